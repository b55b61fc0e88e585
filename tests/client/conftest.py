"""What the tests of the client share: a real server, a pool, a proxy in between."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from acceptance.users import Backend
from client.passing import Proxy
from millpond.client.calls import Calls
from millpond.testing.server import RunningServer


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[RunningServer]:
    """A real server, one for each process of the test run."""
    with RunningServer(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def backend(server) -> Backend:
    """The backend of an app, with its pool, which lets guests in."""
    return Backend(server.client("cognito-identity"))


@pytest.fixture
def pool(backend) -> str:
    """The id of that pool."""
    return backend.pool


@pytest.fixture
def proxy(server) -> Iterator[Proxy]:
    """A proxy between the devices and the server."""
    running = Proxy(server.endpoint)
    yield running
    running.close()


@pytest.fixture
def calls(proxy) -> Calls:
    """Calls through the proxy."""
    return Calls(proxy.url, "us-east-1")


class Notes(dict[str, str]):
    """What a storage keeps beside the data, in memory."""

    def swap(self, name: str, before: str | None, after: str | None) -> str | None:
        if self.get(name) == before:
            if after is None:
                self.pop(name, None)
            else:
                self[name] = after
        return self.get(name)


@pytest.fixture
def kept() -> Notes:
    """The notes of an app's storage."""
    return Notes()
