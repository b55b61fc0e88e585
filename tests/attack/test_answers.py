"""Answers that nobody reads: how much of them is held, and for how long."""

from __future__ import annotations

import contextlib
import socket

import pytest

from acceptance.raw_http import Request
from acceptance.raw_http2 import Http2Connection
from acceptance.sync_client import Dataset, new_identity
from attack.kit import MIB, answer_of, pool_of, spell
from millpond.testing.deadlines import seconds
from millpond.testing.server import wait_until

LISTS = 8


@pytest.fixture
def target(attack):
    return attack(
        answer_send_timeout_s=2,
        answers_bytes_max=12 * MIB,
        answers_bytes_per_peer_max=12 * MIB,
    )


@pytest.fixture
def dataset(target):
    """A dataset whose list has 5.4 MB: the system's own buffers do not take that."""
    client = target.server.client("cognito-sync")
    found = Dataset(client, pool_of(target), new_identity())
    found.put(a="\x01" * 900_000)  # six bytes each, as JSON has it
    return found


def lists(dataset, raw):
    """Sign a list of the dataset."""
    return raw.signed(Request(target=f"{dataset.path}/records".encode()))


def test_over_http_1(target, dataset):
    """Lists are asked for and not read; who reads gets through."""
    whole = target.raw.send(lists(dataset, target.raw))
    assert whole.status == 200
    assert len(whole.body) > 5 * MIB
    before = target.resident_bytes
    with contextlib.ExitStack() as stack:
        for _ in range(LISTS):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(target.raw.address)
            stack.enter_context(connection)
            connection.sendall(spell(lists(dataset, target.raw), length=0))

        # Clients repeat a 503, and by then those who are stuck have given way.
        send = lambda: target.raw.send(lists(dataset, target.raw))  # noqa: E731
        wait_until(lambda: len(send().body) == len(whole.body))
        grown = target.resident_bytes - before
        held = lambda: target.metric("millpond_answers_bytes")  # noqa: E731
        wait_until(lambda: held() == 0, timeout_s=60)

        assert grown < 40 * MIB
    stuck = target.metric("millpond_refused_total", reason="answer_stuck")
    refused = target.metric("millpond_refused_total", reason="answer_room")
    assert stuck > 0
    assert stuck + refused >= LISTS
    # The connection of one that is stuck is ended: nothing is kept for it.
    wait_until(lambda: target.metric("millpond_connections") < LISTS / 2)


def test_over_http_2(target, dataset):
    """No window is opened for them; the connection ends, with all that it held."""
    before = target.resident_bytes
    with Http2Connection(target.server, reads_on=False) as http2:
        request = http2.sign(
            Request(target=f"{dataset.path}/records".encode()), "cognito-sync"
        )
        for _ in range(LISTS):
            http2.begin(request)
        held = lambda: target.metric("millpond_answers_bytes")  # noqa: E731
        wait_until(lambda: held() > 0)
        wait_until(lambda: held() == 0, timeout_s=60)

        assert target.resident_bytes - before < 40 * MIB
        with contextlib.suppress(BrokenPipeError):
            http2.read_until(lambda: False)  # until it has ended


def test_slow_readers_are_waited_for(target, dataset):
    """Who reads slowly, but does, reads all of it."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.connect(target.raw.address)
        connection.sendall(spell(lists(dataset, target.raw), length=0))
        connection.settimeout(seconds(20))

        answer = answer_of(connection)

    assert answer.status == 200
    assert answer.headers["content-length"] == str(len(answer.body))
