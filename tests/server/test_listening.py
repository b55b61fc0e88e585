"""The port is the server's from before it listens."""

from __future__ import annotations

import errno
import socket

import pytest

from millpond.errors import SettingsError
from millpond.server.listening import hold_port
from millpond.settings import Settings


def bound(port: int, *, shares: bool = False) -> int | None:
    """Try to have a port, as another program would; give the number of the error."""
    with socket.socket() as other:
        if shares:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            other.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno
    return None


def test_nobody_else_gets_the_port_that_was_found():
    """Another program is refused; the HTTP server, which shares, is not."""
    with hold_port(Settings(port=0)) as port:
        assert bound(port) == errno.EADDRINUSE
        assert bound(port, shares=True) is None
    assert bound(port) is None


def test_who_holds_it_does_not_answer():
    """Until the server listens, clients are refused rather than left waiting."""
    with hold_port(Settings(port=0)) as port, socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


@pytest.mark.parametrize("shares", [False, True])
def test_a_port_that_is_taken(shares):
    """It is refused, even where whoever has it would share."""
    with socket.socket() as other:
        if shares:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(SettingsError, match=f"port {port}"):
            hold_port(Settings(port=port)).__enter__()
