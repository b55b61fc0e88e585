"""A connection can be ended although its other end takes nothing."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from millpond.metrics import Metrics
from millpond.server.connections import Connections, connections_max
from millpond.server.peers import TrustedProxies
from millpond.server.under_way import Client, UnderWay, take_one
from millpond.settings import Settings
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


def make_connections(
    port: int, under_way: UnderWay | None = None, **settings: Any
) -> Connections:
    """Make what looks at the connections to a port of this process."""
    return Connections(
        Settings(port=port, **settings),
        under_way or UnderWay(),
        Metrics(),
        TrustedProxies(settings.get("trusted_proxies", [])),
    )


def client_of(connection: socket.socket) -> Client:
    """Name the end that a client has, as a request does."""
    host, port = connection.getsockname()[:2]
    return host, str(port)


def begin(under_way: UnderWay, client: Client) -> None:
    """Begin a request, as the gateway does."""
    under_way.requests[client] += 1


def end(under_way: UnderWay, client: Client) -> None:
    """End it."""
    take_one(under_way.requests, client)
    under_way.last_s[client] = time.monotonic()


def ended(pairs: list[Pair]) -> list[int]:
    """Say which connections were ended."""
    numbers = []
    for number, (client, _) in enumerate(pairs):
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            numbers += [number] if client.recv(1) == b"" else []
        client.setblocking(True)
    return numbers


def test_abort(pair):
    """It is over for both ends, and what waited to be sent is dropped."""
    client, accepted = pair
    connections = make_connections(accepted.getsockname()[1])

    connections.look({client_of(client)})

    with pytest.raises(BrokenPipeError):
        accepted.send(b"more")
    accepted.close()
    with pytest.raises(ConnectionResetError):
        read_for_ever(client)


def test_nobody(pair):
    """Without such a client nothing happens to the others."""
    client, accepted = pair
    host, port = client_of(client)
    connections = make_connections(accepted.getsockname()[1])

    connections.look({(host, str(int(port) + 1)), ("192.0.2.1", port)})

    assert client.recv(1) == b"\0"


def test_other_files_are_left_alone(pair, tmp_path):
    """Nothing stays open, and locks on files, such as SQLite's, are still held."""
    client, accepted = pair
    connections = make_connections(accepted.getsockname()[1])
    with (tmp_path / "locked").open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        before = os.listdir("/dev/fd")

        connections.look({client_of(client)})

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


# --- Who must go ---------------------------------------------------------------------


@pytest.fixture
def many() -> Iterator[Callable[[int], tuple[int, list[Pair]]]]:
    """Open connections to a port of this process."""
    with contextlib.ExitStack() as stack:

        def connect(count: int) -> tuple[int, list[Pair]]:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            pairs = []
            for _ in range(count):
                client = stack.enter_context(
                    socket.create_connection(listening.getsockname())
                )
                accepted, _ = listening.accept()
                pairs.append((client, stack.enter_context(accepted)))
            return listening.getsockname()[1], pairs

        yield connect


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let time go by, for what looks at connections."""
    ahead = [0.0]
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + ahead[0])

    def forward(s: float) -> None:
        ahead[0] += s

    return forward


def test_those_who_say_nothing_whole(many, clock):
    """Without a request a connection ends in time, whatever else it has said."""
    port, pairs = many(3)
    under_way = UnderWay()
    connections = make_connections(port, under_way, connection_head_s=10)
    connections.look()
    begin(under_way, client_of(pairs[1][0]))  # has one under way
    begin(under_way, client_of(pairs[2][0]))
    end(under_way, client_of(pairs[2][0]))  # had one

    clock(9)
    pairs[0][0].send(b"GET / HT")
    connections.look()
    assert ended(pairs) == []
    clock(2)
    connections.look()

    assert ended(pairs) == [0]
    with socket.create_connection(("127.0.0.1", port)):  # it listens on
        pass


@pytest.mark.skipif(
    not hasattr(socket, "TCP_INFO"), reason="this system does not tell what is idle"
)
def test_idle_connections(many, clock):
    """What had a request ends when neither a request nor anything else comes."""
    port, pairs = many(2)
    under_way = UnderWay()
    connections = make_connections(
        port, under_way, connection_idle_s=1, live_comment_s=1
    )
    for client, _ in pairs:
        begin(under_way, client_of(client))
        end(under_way, client_of(client))

    def look() -> list[int]:
        pairs[1][0].send(b"x")  # a ping, for example
        connections.look()
        return ended(pairs)

    clock(3)  # the system's own clock tells the rest: whether anything came
    assert wait_until(look) == [0]
    clock(120)
    wait_until(lambda: 1 in look())


def test_other_ports_are_left_alone(many, clock):
    """Connections to elsewhere are nobody's business here."""
    _, pairs = many(3)
    connections = make_connections(1, connection_head_s=1)
    connections.look()
    clock(100)

    assert connections.look()[0] == set()
    assert ended(pairs) == []


def test_who_gives_way_when_it_is_full(many, clock):
    """Strangers before those who are known, the oldest first, nobody who is busy."""
    port, pairs = many(10)
    under_way = UnderWay()
    connections = make_connections(port, under_way, connections_max=10)
    connections.look()
    for number, (client, _) in enumerate(pairs[:9]):
        begin(under_way, client_of(client))
        if number < 3:
            under_way.known.add(client_of(client))
        if number != 3:  # which stays busy
            clock(1)
            end(under_way, client_of(client))
    clock(2)

    connections.look()

    # The tenth has never had a request, and is the oldest by that; 7 of 10 may stay.
    assert ended(pairs) == [4, 5, 9]


def test_who_gives_way_when_a_peer_has_too_many(many, clock):
    """Those alone on which nothing was signed are counted, and none of a proxy."""
    port, pairs = many(10)
    under_way = UnderWay()
    options = {"connections_per_peer_max": 5}
    for_all = make_connections(port, under_way, **options)
    of_proxy = make_connections(
        port, under_way, trusted_proxies=["127.0.0.0/8"], **options
    )
    for client, _ in pairs[:3]:
        under_way.known.add(client_of(client))
    of_proxy.look()
    for_all.look()
    assert ended(pairs) == []  # all of them are young
    clock(2)

    of_proxy.look()
    assert ended(pairs) == []
    for_all.look()

    assert len(ended(pairs)) == 2
    assert not {0, 1, 2} & {*ended(pairs)}


def test_files_bound_connections(monkeypatch):
    """There are never more than the system allows open files."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))

    assert connections_max(Settings()) == 768
    assert connections_max(Settings(connections_max=100)) == 100
