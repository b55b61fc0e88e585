"""
Fixtures for the tests of apps that use Millpond, for pytest.

    def test_settings_are_synced(millpond_pool, millpond_user, millpond_calls):
        app = App(millpond_user.client("cognito-sync"), millpond_pool.id, ...)
        app.save("theme", "dark")

        assert millpond_calls.names() == ["ListRecords", "UpdateRecords"]

pytest loads this by itself where Millpond is installed, so it imports nothing until a
fixture is asked for, and then starts one server for the session; with pytest-xdist one
for each worker. `-p no:millpond` leaves it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from millpond.testing.ephemeral import Calls, Clock, EphemeralServer, Pool, User


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark and the option."""
    config.addinivalue_line(
        "markers",
        "millpond_user(user_id): whom millpond_user is; without it, a guest",
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the settings of the server be given."""
    parser.addini(
        "millpond_settings",
        "settings of the server of the fixture millpond: lines of name = value",
        type="linelist",
        default=[],
    )


@pytest.fixture(scope="session")
def millpond_server(request: pytest.FixtureRequest) -> Iterator[EphemeralServer]:
    """The server of this session, for fixtures that last as long; nothing is reset."""
    from millpond.testing.ephemeral import EphemeralServer

    settings = {}
    for line in request.config.getini("millpond_settings"):
        name, _, value = line.partition("=")
        settings[name.strip()] = value.strip()
    with EphemeralServer(settings) as server:
        yield server


@pytest.fixture
def millpond(millpond_server: EphemeralServer) -> EphemeralServer:
    """The server of this session, as new: without data, and its clock is right."""
    millpond_server.reset()
    return millpond_server


@pytest.fixture
def millpond_env(
    millpond: EphemeralServer, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The variables that lead SDKs to the server, as its developer; they are set."""
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    environment = millpond.environment()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


@pytest.fixture
def millpond_pool(millpond: EphemeralServer) -> Pool:
    """A new identity pool, which lets guests in and users of the developer's."""
    return millpond.create_pool()


@pytest.fixture
def millpond_user(millpond_pool: Pool, request: pytest.FixtureRequest) -> User:
    """A guest of the pool, or who the mark `millpond_user("alice")` says."""
    mark = request.node.get_closest_marker("millpond_user")
    return millpond_pool.user(mark.args[0]) if mark else millpond_pool.guest()


@pytest.fixture
def millpond_clock(millpond: EphemeralServer) -> Clock:
    """The clock of the server: `advance(hours=2)`."""
    return millpond.clock


@pytest.fixture
def millpond_calls(millpond: EphemeralServer) -> Calls:
    """The calls that the app makes in this test."""
    return millpond.calls
