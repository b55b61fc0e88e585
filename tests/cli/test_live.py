"""`millpond live`: the changes of an identity, as they are made."""

from __future__ import annotations

import http.server
import json
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from acceptance.sync_client import Dataset, create_pool, new_identity, replace
from millpond.client.api.events import Message, parse
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer
from processes import Programs, finished

POOL = "us-east-1:7c4f5e0a-0000-4000-8000-000000000001"
ANN = "us-east-1:a0000000-0000-4000-8000-00000000000a"


class Follower:
    """A `millpond live` in a process of its own, which listens already."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.out: IO[str] = self.process.stdout  # type: ignore[assignment]
        self.err: IO[str] = self.process.stderr  # type: ignore[assignment]
        self.greeting = self.err.readline()

    def end(self) -> tuple[int, str, str]:
        """Wait for the end: status, and what was not read yet."""
        out, err = finished(self.process)
        return self.process.returncode, out, err


@pytest.fixture
def follow(programs: Programs) -> Callable[..., Follower]:
    """Start followers; none outlives the test."""

    def start(*words: str, server: RunningServer | None = None, url: str = "") -> Any:
        environment = {
            "AWS_ACCESS_KEY_ID": server.access_key_id if server else "AKID",
            "AWS_SECRET_ACCESS_KEY": server.secret_access_key if server else "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": server.endpoint if server else url,
            "TZ": "UTC",
        }
        return Follower(programs.millpond("live", *words, environment=environment))

    return start


@pytest.fixture
def prefs(server) -> Iterator[Dataset]:
    """A dataset of an identity of a real server, not written yet."""
    client = server.client("cognito-sync")
    yield Dataset(client, create_pool(server), new_identity())
    client.close()


def names(dataset: Dataset) -> tuple[str, ...]:
    return ("--identity-pool-id", dataset.pool, "--identity-id", dataset.identity)


# --- With a real server ---------------------------------------------------------------


def test_changes_are_told_as_they_are_made(follow, server, prefs):
    """A line for each, at once, until Ctrl-C, which is status 130 and no traceback."""
    follower = follow(*names(prefs), server=server)
    assert follower.greeting == f"Listening to {prefs.identity}; Ctrl-C ends it.\n"
    prefs.update(replace("k", "secret"))
    first = follower.out.readline()
    prefs.update(replace("k", "other", 1))
    second = follower.out.readline()
    follower.process.send_signal(signal.SIGINT)

    assert first.split("\t")[1:] == ["prefs", "1\n"]
    assert second.split("\t")[1:] == ["prefs", "2\n"]
    assert follower.end() == (130, "", "")


def test_what_there_is_can_be_told_first(follow, server, prefs):
    """Every dataset once, in JSON; `--count` ends it."""
    prefs.update(replace("k", "v"))
    words = ("--from-start", "--count", "2", "--output", "json")
    shouted = tuple(each.upper() if ":" in each else each for each in names(prefs))
    follower = follow(*shouted, *words, server=server)
    first = json.loads(follower.out.readline())
    prefs.update(replace("k", "w", 1))
    status, rest, _ = follower.end()

    assert first == {
        "source": "cognito-sync",
        "identityPoolId": prefs.pool,
        "identityId": prefs.identity,
        "datasetName": "prefs",
        "syncCount": 1,
    }
    assert (status, json.loads(rest)["syncCount"]) == (0, 2)


@pytest.mark.parametrize("pool", [POOL, "us-east-1:", "x", "%"])
def test_a_pool_that_is_not_there_is_refused(run, server, monkeypatch, pool):
    """As the server says it, at once."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_access_key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    result = run(
        *("live", "--identity-pool-id", pool, "--identity-id", ANN),
        *("--endpoint-url", server.endpoint),
    )

    assert (result.code, result.out) == (255, "")
    assert "when calling the GetLiveUpdates operation" in result.err


def test_nobody_there_is_told(run):
    """A server that never answered is not waited for."""
    result = run(
        *("live", "--identity-pool-id", POOL, "--identity-id", ANN),
        *("--endpoint-url", "http://127.0.0.1:1"),
    )

    assert (result.code, result.out) == (255, "")
    assert "Could not connect to the endpoint URL" in result.err


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--identity-pool-id", POOL),
        ("--identity-pool-id", POOL, "--identity-id", ANN, "--count", "0"),
        ("--identity-pool-id", POOL, "--identity-id", ANN, "--patience", "nan"),
        ("--identity-pool-id", POOL, "--identity-id", ANN, "more"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(run, words):
    """Before anybody is asked."""
    if not words:
        words = ("--identity-id", ANN)

    assert run("live", *words).code == 2


# --- With a server that plays a part --------------------------------------------------


class Actor:
    """A server that answers each request with the next part of a script."""

    def __init__(self, *parts: tuple[int, str, str]) -> None:
        actor = self
        self.asked: list[str | None] = []
        left = list(parts)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                actor.asked.append(query.get("lastEventId", [None])[0])
                status, kind, body = left.pop(0) if len(left) > 1 else left[0]
                self.send_response(status)
                self.send_header("content-type", kind)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def event(event_id: str, count: int) -> str:
    data = json.dumps({"datasetName": "prefs", "syncCount": count})
    return f"id: {event_id}\ndata: {data}\n\n"


STREAM = "text/event-stream"
BUSY = (503, "application/json", '{"__type": "ServiceUnavailableException"}')


@pytest.fixture
def play() -> Iterator[Callable[..., Actor]]:
    """Start servers with a script; the last part is played for ever."""
    started: list[Actor] = []

    def start(*parts: tuple[int, str, str]) -> Actor:
        started.append(Actor(*parts))
        return started[-1]

    yield start
    for each in started:
        each.close()


def test_it_comes_back_with_the_last_event_id(follow, play):
    """After the end of a stream, and after a while without a server; once each."""
    actor = play(
        (200, STREAM, ": connected\nid: a\n\n" + event("b", 1)),
        (200, STREAM, "id: b\n\nid: c\ndata: {cut off"),
        BUSY,
        (200, STREAM, event("d", 2)),
    )
    words = ("--identity-pool-id", POOL, "--identity-id", ANN, "--count", "2")

    status, out, err = follow(*words, url=actor.url).end()

    assert status == 0
    assert [line.split("\t")[2] for line in out.splitlines()] == ["1", "2"]
    assert actor.asked == [None, "b", "b", "b"]
    assert "Trying again for 5 min 00 s." in err
    assert err.endswith("The server answers again.\n")


def test_patience_ends(follow, play):
    """Then it says why, with the status of a call that was not answered."""
    actor = play((200, STREAM, event("a", 1)), BUSY)
    words = ("--identity-pool-id", POOL, "--identity-id", ANN, "--patience", "0")

    status, out, err = follow(*words, url=actor.url).end()

    assert (status, len(out.splitlines())) == (255, 1)
    assert "ServiceUnavailableException" in err


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", "<html>Welcome</html>"),
        ("", ""),
        (STREAM, "data: [1]\n\n"),
        (STREAM, "data: \x1b[31m\n\n"),
    ],
)
def test_another_server_is_told_from_ours(run, play, kind, body):
    """It is not asked again and again."""
    actor = play((200, kind, body))

    result = run(
        *("live", "--identity-pool-id", POOL, "--identity-id", ANN),
        *("--endpoint-url", actor.url),
    )

    assert (result.code, result.out) == (255, "")
    assert "live update" in result.err
    assert "\x1b" not in result.err
    assert len(actor.asked) == 1


def test_whoever_stops_reading_ends_it(follow, play):
    """As with `| head -1`: no complaint."""
    actor = play((200, STREAM, "".join(event(str(n), n) for n in range(1000))))
    follower = follow("--identity-pool-id", POOL, "--identity-id", ANN, url=actor.url)
    follower.out.readline()
    follower.out.close()

    assert follower.err.read() == ""
    follower.process.wait(seconds(20))


# --- Server-sent events ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "messages"),
    [
        ([b"id: 1", b"data: x", b""], [Message("1", "x")]),
        ([b"data:x", b"data: y", b""], [Message(None, "x\ny")]),
        ([b": comment", b""], [Message(None, None)]),
        ([b"id: 1", b"data: cut off"], []),
        ([b"retry: 5", b"other", b"id", b""], [Message("", None)]),
        ([b"data: \xff", b""], [Message(None, "\ufffd")]),
        ([], []),
    ],
)
def test_events_are_read_as_browsers_do(lines, messages):
    """Fields, comments, several lines of data; what is not ended is not there."""
    assert list(parse(lines)) == messages
