"""What the tests of the client share: a real server, a pool, a proxy in between."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from acceptance.oidc_provider import OidcProvider
from acceptance.users import Backend
from client.passing import Proxy
from millpond.client.calls import Calls
from millpond.testing.server import RunningServer


@pytest.fixture(scope="session")
def provider() -> Iterator[OidcProvider]:
    """A login provider."""
    with contextlib.closing(OidcProvider()) as running:
        yield running


@pytest.fixture(scope="session")
def server(tmp_path_factory, provider) -> Iterator[RunningServer]:
    """A real server that knows the provider, one for each process of the test run."""
    known = {"login_providers": json.dumps({provider.name: provider.setting})}
    data = tmp_path_factory.mktemp("server") / "data"
    with RunningServer(data, settings=known) as running:
        yield running


@pytest.fixture(scope="session")
def identities(server) -> Any:
    """Cognito Identity, as the developer calls it."""
    return server.client("cognito-identity")


@pytest.fixture(scope="session")
def backend(identities, provider) -> Backend:
    """The backend of an app whose pool takes guests, its users and the provider's."""
    return Backend(identities, OpenIdConnectProviderARNs=[provider.arn])


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
