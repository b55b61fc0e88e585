"""What the tests of the console share: a server, and people who look at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from console.visitor import Visitor
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
