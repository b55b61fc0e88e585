"""What the tests of the console share: a server, and people who look at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from clients.browser import driven
from clients.node import install_packages
from console.visitor import Visitor
from console.windows import Watched, watching
from console.worlds import serving
from millpond.testing.server import RunningServer


@pytest.fixture(scope="module")
def console_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with a key."""
    with RunningServer(tmp_path_factory.mktemp("console") / "data") as running:
        yield running


@pytest.fixture
def stranger(console_server: RunningServer) -> Visitor:
    """Somebody who is not logged in."""
    return Visitor(console_server.endpoint)


@pytest.fixture
def visitor(console_server: RunningServer) -> Visitor:
    """Somebody who is logged in with a key that may do everything."""
    visitor = Visitor(console_server.endpoint)
    visitor.log_in(console_server)
    return visitor


@pytest.fixture(scope="module")
def world_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with two pools, some identities and their data (`cli.world`)."""
    with serving(tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.fixture(scope="module")
def looker(world_server: RunningServer) -> Visitor:
    """Somebody who is logged in there, with a key that may do everything."""
    visitor = Visitor(world_server.endpoint)
    visitor.log_in(world_server)
    return visitor


@pytest.fixture(scope="module")  # another test may have one of its own
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    with driven() as browser:
        yield browser


@pytest.fixture(scope="session")
def axe() -> None:
    """axe-core, installed."""
    install_packages()


@pytest.fixture
def signed_in(browser: Browser, console_server: RunningServer) -> Iterator[Watched]:
    """A browser that is logged in, with script."""
    with watching(browser, console_server) as watched:
        yield watched
        assert watched.faults == []


@pytest.fixture
def without_script(
    browser: Browser, console_server: RunningServer
) -> Iterator[Watched]:
    """A browser that is logged in, and runs no script."""
    with watching(browser, console_server, script=False) as watched:
        yield watched
        assert watched.faults == []
