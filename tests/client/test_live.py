"""Changes at the server, heard at once where they can be, asked for where not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from acceptance.sync_client import Dataset, create_pool, new_identity, replace
from cli.relay import Relay
from client.passing import Asked, Forward, Reply, error, page, refuse_all
from millpond.client.calls import Calls
from millpond.client.credentials import fixed, guest
from millpond.client.live import Listener
from millpond.testing.deadlines import Deadline, seconds
from millpond.testing.server import RunningServer


@pytest.fixture
def there(server, pool) -> Dataset:
    """The dataset `prefs` of a new identity, as another device (boto3) has it."""
    return Dataset(server.client("cognito-sync"), pool, new_identity())


@pytest.fixture
def listen(server, there, kept) -> Iterator[Callable[..., Listener]]:
    """Listen to that identity; every listener ends with the test."""
    started: list[Listener] = []

    def start(url: str = server.endpoint, **options: Any) -> Listener:
        calls = Calls(url, "us-east-1")
        caller = fixed(there.identity, server.access_key_id, server.secret_access_key)
        started.append(
            Listener(calls, there.pool, caller.open(calls, there.pool, kept), **options)
        )
        return started[-1]

    yield start
    for each in started:
        each.close()


def next_names(listener: Listener) -> set[str]:
    """Wait until it tells of datasets."""
    deadline = Deadline(20)
    while not deadline.passed():
        told = listener.wait(deadline.left_s())
        assert told is not None
        if told.names:
            return {*told.names}
    raise AssertionError(f"{listener} tells of nothing: {listener.trouble}")


def is_asking(listener: Listener) -> bool:
    """Wait until it says that anything may have changed."""
    deadline = Deadline(20)
    while not deadline.passed():
        told = listener.wait(deadline.left_s())
        assert told is not None
        if told.anything:
            return True
    return False


def test_it_begins_with_everything_and_goes_on_with_changes(listen, there):
    """Each dataset once, then what others write, at once."""
    there.update(replace("k", "v"))
    Dataset(there.client, there.pool, there.identity, "notes").put(k="v")
    listener = listen()
    found: set[str] = set()
    while found != {"prefs", "notes"}:
        found |= next_names(listener)
    there.update(replace("k", "w", 1))

    assert next_names(listener) == {"prefs"}
    assert listener.live is True


def test_nothing_is_missed_while_the_server_is_away(tmp_path, there, kept):
    """It comes back after a crash with the id of the last event."""
    with RunningServer(tmp_path / "data") as server, Relay(server.endpoint) as line:
        developer = server.client("cognito-sync")
        pool = create_pool(server)
        calls = Calls(line.url, "us-east-1")
        caller = fixed(there.identity, server.access_key_id, server.secret_access_key)
        Dataset(developer, pool, there.identity).put(k="v")
        listener = Listener(calls, pool, caller.open(calls, pool, kept))
        try:
            assert next_names(listener) == {"prefs"}
            line.cut(frozen=False)
            server.kill()
            server.start()
            back = server.client("cognito-sync")
            Dataset(back, pool, there.identity, "other").put(k="v")
            line.lead_to(server.endpoint)
            line.mend()

            assert next_names(listener) == {"other"}  # prefs is not told of again
        finally:
            listener.close()


@pytest.mark.parametrize(
    "trick",
    [
        error(404, "UnknownOperationException"),
        error(403, "AccessDeniedException"),
        page(200),
        page(404),
        error(429, "TooManyRequestsException"),
    ],
)
def test_where_nothing_is_told_it_asks(listen, proxy, trick):
    """AWS itself, or a proxy without streams: every so often, and without an end."""
    proxy.trick = trick
    listener = listen(proxy.url, ask_every_s=0.05)

    assert all(is_asking(listener) for _ in range(3))
    assert listener.live is not True
    assert listener.trouble is not None


def test_a_stream_that_is_switched_on_later_is_found(server, listen, proxy, there):
    """After a while of asking it tries to listen again."""
    asked: list[str] = []

    def trick(asked_for: Asked, forward: Forward) -> Reply | None:
        asked.append(asked_for.path)
        if len(asked) == 1:
            return Reply(404, {}, b"")
        body = b'id: 1-a\ndata: {"datasetName": "prefs", "syncCount": 1}\n\n'
        return Reply(200, {"content-type": "text/event-stream"}, body)

    proxy.trick = trick
    listener = listen(proxy.url, ask_every_s=0.05, listen_again_s=0.2)

    assert next_names(listener) == {"prefs"}


def test_garbage_in_a_stream_is_no_change(listen, proxy):
    """What is no live update ends the stream; then it asks."""
    body = b"id: 1\ndata: <html>\n\n"
    proxy.trick = lambda asked, forward: Reply(
        200, {"content-type": "text/event-stream"}, body
    )
    listener = listen(proxy.url, ask_every_s=0.05)

    assert is_asking(listener)


def test_nobody_there_is_asked_at_growing_pauses(listen, proxy):
    """An app that is offline for a day does not ask a million times."""
    proxy.trick = refuse_all
    listener = listen(proxy.url)
    assert listener.wait(seconds(1.5)) is not None

    assert 1 <= len(proxy.asked) <= 8
    assert listener.live is None


def test_a_stream_is_closed_at_once(listen, there):
    """Whoever waits goes on, and the connection is not waited for."""
    there.update(replace("k", "v"))
    listener = listen()
    assert next_names(listener) == {"prefs"}
    ended: list[object] = []
    waiting = threading.Thread(target=lambda: ended.append(listener.wait(None)))
    waiting.start()
    listener.close()
    waiting.join(seconds(20))

    assert ended == [None]
    assert not listener._thread.is_alive()
    assert "closed" in repr(listener)


def test_it_listens_to_whoever_the_caller_is_by_now(server, pool, calls, kept):
    """A guest who is another one by now is not told of the one before."""
    caller = guest().open(calls, pool, kept)
    first = caller.identity_id()
    developer = server.client("cognito-sync")
    Dataset(developer, pool, first).put(k="v")
    listener = Listener(Calls(server.endpoint, "us-east-1"), pool, caller)
    try:
        assert next_names(listener) == {"prefs"}
        caller.forget()
        second = caller.identity_id()
        Dataset(developer, pool, second, "mine").put(k="v")
        Dataset(developer, pool, first, "not-mine").put(k="v")  # wakes the old stream

        assert next_names(listener) == {"mine"}
    finally:
        listener.close()
