"""A connection can be ended although its other end takes nothing."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from millpond.server import connections
from millpond.testing.server import wait_until

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(params=["127.0.0.1", "::1"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """A client and its connection in this process, which has much to send."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    try:
        listening = socket.create_server((request.param, 0), family=family)
    except OSError:
        pytest.skip(f"this machine has no {request.param}")
    with listening, socket.create_connection(listening.getsockname()[:2]) as client:
        accepted, _ = listening.accept()
        with accepted:
            accepted.setblocking(False)
            with pytest.raises(BlockingIOError):
                send_for_ever(accepted)
            yield client, accepted


def send_for_ever(connection: socket.socket) -> None:
    """Send until nothing more goes in."""
    while True:
        connection.send(bytes(65536))


def read_for_ever(connection: socket.socket) -> None:
    """Read until the other end closes the connection."""
    while connection.recv(65536):
        pass


def test_abort(pair):
    """It is over for both ends, and what waited to be sent is dropped."""
    client, accepted = pair

    assert connections.abort({client.getsockname()[:2]}) == 1
    with pytest.raises(BrokenPipeError):
        accepted.send(b"more")
    accepted.close()
    with pytest.raises(ConnectionResetError):
        read_for_ever(client)


def test_nobody(pair):
    """Without such a client nothing happens to the others."""
    client, _ = pair
    host, port = client.getsockname()[:2]

    assert connections.abort({(host, port + 1), ("192.0.2.1", port)}) == 0
    assert client.recv(1) == b"\0"


def test_other_files_are_left_alone(pair, tmp_path):
    """Nothing stays open, and locks on files, such as SQLite's, are still held."""
    client, _ = pair
    with (tmp_path / "locked").open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        before = os.listdir("/dev/fd")

        connections.abort({client.getsockname()[:2]})

        assert len(os.listdir("/dev/fd")) == len(before)
        script = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'w'), 6)"
        other = subprocess.run(
            [sys.executable, "-c", script, file.name], capture_output=True, check=False
        )
        assert b"BlockingIOError" in other.stderr


def test_open_files():
    """A server may have as many connections as the system lets it have files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    script = (
        "import resource; from millpond.server import connections;"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (64, {hard}));"
        "connections.allow_many();"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    printed = subprocess.check_output([sys.executable, "-c", script], text=True)

    assert int(printed) == hard


# --- Idle connections -----------------------------------------------------------------


@pytest.fixture
def three() -> Iterator[tuple[int, list[Pair]]]:
    """A port, and three connections to it: (client, accepted)."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        pairs = []
        for _ in range(3):
            client = stack.enter_context(
                socket.create_connection(listening.getsockname())
            )
            accepted, _ = listening.accept()
            pairs.append((client, stack.enter_context(accepted)))
        yield listening.getsockname()[1], pairs


needs_tcp_info = pytest.mark.skipif(
    not hasattr(socket, "TCP_INFO"), reason="this system does not tell what is idle"
)


@needs_tcp_info
def test_idle_connections_end(three):
    """What carries something, in either direction, stays; the rest is ended."""
    port, ((_, _), (talks, heard), (hears, told)) = three

    def end_idle() -> int:
        talks.send(b"x")
        told.send(b"x")
        return connections.end_idle(port, idle_s=1)

    assert wait_until(end_idle) == 1
    assert heard.recv(1) == hears.recv(1) == b"x"
    (silent, _), *_ = three[1]
    assert silent.recv(1) == b""


@needs_tcp_info
def test_other_ports_are_left_alone(three):
    """Connections to elsewhere may be idle, and so may the socket that listens."""
    port, pairs = three
    client_ports = [client.getsockname()[1] for client, _ in pairs]

    assert connections.end_idle(1, idle_s=0) == 0
    assert connections.end_idle(port, idle_s=3600) == 0
    assert port not in client_ports
    assert connections.end_idle(port, idle_s=0) == 3
    with socket.create_connection(("127.0.0.1", port)):
        pass
