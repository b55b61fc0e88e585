"""
What the tests of our clients for JavaScript share: a server, Node.js, and a browser.

The store does not matter to a client, so all run on one, the embedded one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.config import Config
from playwright.sync_api import Browser, BrowserContext

from acceptance.users import Backend
from clients.browser import driven
from clients.node import install_packages, require_node
from clients_js.runtimes import CLIENTS, Files, InNode
from millpond.testing.server import RunningServer


@pytest.fixture(scope="session")
def packages() -> None:
    """What checks the clients: the compiler and the bundler, installed."""
    require_node()
    install_packages(CLIENTS)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that pages of this machine may call."""
    with RunningServer(
        tmp_path_factory.mktemp("server") / "data",
        settings={"cors_origins": json.dumps(["http://127.0.0.1:*"])},
    ) as running:
        yield running


@pytest.fixture(scope="session")
def identities(server: RunningServer) -> Iterator[Any]:
    """The boto3 client of Cognito Identity, with developer credentials."""
    client = server.client(
        "cognito-identity", config=Config(retries={"mode": "standard"})
    )
    yield client
    client.close()


@pytest.fixture(scope="session")
def developer(server: RunningServer) -> Iterator[Any]:
    """The boto3 client of Cognito Sync, with developer credentials."""
    client = server.client("cognito-sync")
    yield client
    client.close()


@pytest.fixture
def backend(identities: Any) -> Backend:
    """The backend of an app, with a fresh pool that takes guests."""
    return Backend(identities)


@pytest.fixture
def pool(backend: Backend) -> str:
    """The pool of the app."""
    return backend.pool


@pytest.fixture
def new_node() -> Iterator[Callable[[], InNode]]:
    """Start processes of Node.js that have `@millpond/sync` as `millpond`."""
    require_node()
    started: list[InNode] = []

    def start() -> InNode:
        started.append(InNode())
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def node(new_node: Callable[[], InNode]) -> InNode:
    """One such process."""
    return new_node()


@pytest.fixture(scope="session")
def files() -> Iterator[Files]:
    """The web server that the pages come from."""
    files = Files()
    yield files
    files.close()


@pytest.fixture(scope="module")  # another test may have one of its own
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    with driven() as browser:
        yield browser


@pytest.fixture
def new_device(browser: Browser) -> Iterator[Callable[[], BrowserContext]]:
    """Make devices: contexts of the browser, each with storage of its own."""
    made: list[BrowserContext] = []

    def make() -> BrowserContext:
        made.append(browser.new_context())
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def device(new_device: Callable[[], BrowserContext]) -> BrowserContext:
    """One such device: its tabs share storage."""
    return new_device()
