"""`millpond stream create|list|tail`: streams of any kind, by name."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acceptance.sync_client import Dataset, create_pool, new_identity, remove, replace
from millpond.cli.administration import plain
from millpond.cli.stream import _describe
from millpond.core import streaming
from millpond.core.streaming import StreamRecord
from millpond.core.sync import DatasetId, StoredRecord
from millpond.sinks.file import FileSink, FileStream
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer, wait_until
from processes import finished

SECRET_URL = "file:///nowhere/backups?rotate_s=77"


@pytest.fixture
def stream(run, home):
    """Run `millpond stream` on a store of its own."""
    run("store", "create", "--data", str(home / "data"))

    def run_command(*words: str) -> Any:
        return run("stream", *words, "--data", str(home / "data"))

    return run_command


def update(key: str, value: str | None, *, identity: str = "us-east-1:ann") -> bytes:
    return streaming.update_event(
        DatasetId("us-east-1:pool", identity, "prefs"),
        [StoredRecord(key, value, 3, 1_790_000_000_000, "me", None)],
        sync_count=3,
        last_modified_date_ms=1_790_000_000_000,
    )


def put_file(folder: Path, *records: StreamRecord) -> None:
    async def put() -> None:
        sink = FileSink(FileStream(str(folder), 1000, 1000, volatile=True))
        await sink.open()
        await sink.put(records)
        await sink.aclose()

    asyncio.run(put())


@pytest.fixture
def files(tmp_path, monkeypatch) -> Path:
    """The folder behind the stream `backups`."""
    folder = tmp_path / "backups"
    folder.mkdir()
    monkeypatch.setenv(
        "MILLPOND_STREAMS", json.dumps({"backups": f"file://{folder}?volatile=true"})
    )
    return folder


# --- create and list ----------------------------------------------------------------


def test_a_stream_is_created_once(stream):
    """It has the shards that were asked for; a second one of its name is refused."""
    first = stream("create", "changes", "--shards", "3", "--output", "json")
    again = stream("create", "changes")

    assert json.loads(first.out) == {"StreamName": "changes", "ShardCount": 3}
    assert (again.code, again.out) == (1, "")
    assert again.err == "millpond stream: stream 'changes' exists already.\n"
    assert stream("create", "one").out == "Created stream one with 1 shard.\n"


def test_a_stream_behind_something_else_is_created_there(stream, monkeypatch):
    """The refusal says where the name leads, without its options."""
    monkeypatch.setenv("MILLPOND_STREAMS", json.dumps({"backups": SECRET_URL}))

    result = stream("create", "backups")

    assert result.code == 1
    assert result.err == (
        "millpond stream: stream 'backups' is file:///nowhere/backups by the setting "
        "'streams'; create it there, with the tools of its kind. For example: mkdir -p "
        "/nowhere/backups\n"
    )


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("a b",), "it cannot be created: 'a b' is not the name of a stream: 1 to 128"),
        (("x" * 129,), "xxx...' is not the name of a stream: 1 to 128 letters"),
        (("\x1b[2J",), "it cannot be created: '\\x1b[2J' is not the name of a stream"),
        (("x", "--shards", "100000"), "the limit is"),
    ],
)
def test_what_kinesis_would_refuse_is_refused(stream, words, reason):
    """Names and numbers have the form that the API gives them."""
    result = stream("create", *words)

    assert result.code == 1
    assert reason in result.err
    assert stream("list").out == ""


@pytest.mark.parametrize(
    "words",
    [
        ["create"],
        ["create", "x", "--shards", "0"],
        ["create", "x", "--shards", "two"],
        ["tail"],
        ["tail", "x", "--count", "-1"],
        ["verify"],
        ["verify", "--identity-pool-id", "x", "--wait", "-1"],
        ["verify", "--identity-pool-id", "x", "--wait", "nan"],
    ],
)
def test_wrong_words_are_a_usage_error(run, words):
    """What the command does not know is refused with status 2."""
    result = run("stream", *words)

    assert (result.code, result.out) == (2, "")
    assert "usage: millpond stream" in result.err


def test_all_streams_are_listed(stream, server, run, monkeypatch):
    """Embedded ones, mapped ones, and those that a pool names and nobody created."""
    monkeypatch.setenv("MILLPOND_STREAMS", json.dumps({"backups": SECRET_URL}))
    pools = {name: create_pool(server) for name in ("mine", "backups", "nowhere")}
    client = server.client("cognito-sync")
    for name, pool in pools.items():
        client.set_identity_pool_configuration(
            IdentityPoolId=pool,
            CognitoStreams={"StreamName": name, "StreamingStatus": "DISABLED"},
        )
    client.close()
    data = ("--data", str(server.data))
    run("stream", "create", "mine", "--shards", "2", *data)

    listed = json.loads(run("stream", "list", "--output", "json", *data).out)
    lines = run("stream", "list", *data).out.splitlines()

    def row(name: str, kind: str, place: str, **others: object) -> dict[str, object]:
        lag = {"Entries": 0, "OldestDate": None, "ParkedCount": 0}
        user = {
            "IdentityPoolId": pools[name],
            "StreamingStatus": "DISABLED",
            "DisabledReason": None,
        }
        row = {"StreamName": name, "Kind": kind, "Place": place}
        return {**row, **others, **lag, "IdentityPools": [{**user, **lag}]}

    assert [each for each in listed["Streams"] if each["StreamName"] in pools] == [
        row("backups", "file", "file:///nowhere/backups"),
        row("mine", "embedded", "embedded:mine", ShardCount=2),
        row("nowhere", "embedded", "embedded:nowhere", ShardCount=0),
    ]
    for name, place, state in (
        ("mine", "embedded:mine", "2 shards"),
        ("backups", "file:///nowhere/backups", "-"),
        ("nowhere", "embedded:nowhere", "does not exist"),
    ):
        assert f"{name}\t{place}\t{state}\t0\t-\t0\t{pools[name]} DISABLED" in lines


# --- tail ---------------------------------------------------------------------------


def test_a_tail_is_for_people_and_shows_no_values(stream, files):
    """One line for each record: when, whose, what; nothing that steers a terminal."""
    put_file(
        files,
        StreamRecord("us-east-1:ann", update("k", "secret")),
        StreamRecord("us-east-1:ann", update("k", None)),
        StreamRecord("\x1b[31m", b"\x1b[31m"),
    )

    result = stream("tail", "backups", "--from-start", "--count", "3")

    begin = "2026-09-21T14:13:20+00:00\tus-east-1:ann\tprefs\t3\t"
    assert result.code == 0
    assert result.out.splitlines() == [
        f"{begin}1 set, 0 removed",
        f"{begin}0 set, 1 removed",
        "-\t\\x1b[31m\tno event: 5 bytes",
    ]


def test_other_events_have_lines_too():
    """A deletion, a link, a date out of bounds."""
    dataset_id = DatasetId("p", "i", "d")
    deletion = streaming.deletion_event(
        dataset_id, sync_count=7, last_modified_date_ms=10**18
    )
    moved = streaming.move_records_out(update("k", "v"), "http://here/secret")

    assert _describe(StreamRecord("i", deletion)) == "-\ti\td\t7\tdataset deleted"
    assert _describe(StreamRecord("i", moved)).endswith("\t3\trecords behind a link")
    assert plain("k\u00e4se") == "k\u00e4se"


def test_a_raw_tail_prints_the_json_as_it_is(stream, files):
    """Records of one identity, byte for byte, as many as were asked for."""
    bob = [update(str(n), "v", identity="us-east-1:bob") for n in range(3)]
    put_file(
        files,
        StreamRecord("us-east-1:ann", update("k", "v")),
        *(StreamRecord("us-east-1:bob", each) for each in bob),
    )

    result = stream(
        *("tail", "backups", "--from-start", "--count", "2", "--raw"),
        *("--identity-id", "us-east-1:bob"),
    )

    assert result.out.encode() == bob[0] + b"\n" + bob[1] + b"\n"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        (
            "nothing",
            "Stream 'nothing' does not exist. `millpond stream create nothing`",
        ),
        ("backups", "backups' does not exist. Create it"),
    ],
)
def test_a_stream_that_is_not_there_is_told(stream, files, name, complaint):
    """With what to do about it, and status 1."""
    files.rmdir()

    result = stream("tail", name)

    assert result.code == 1
    assert complaint in result.err


class Tail:
    """A `millpond stream tail` in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def end(self, number: int | None = None) -> tuple[int, str, str]:
        """Wait for its end, after a signal if there is one: status and output."""
        if number is not None:
            self.process.send_signal(number)
        out, err = finished(self.process, 30)
        return self.process.returncode, out, err


@pytest.fixture
def tail(programs, server) -> Callable[..., Tail]:
    """Start a tail of a stream of the server."""
    return lambda *words: Tail(
        programs.millpond(
            *("stream", "tail", *words, "--data", str(server.data)),
            environment={"PYTHONUNBUFFERED": ""},
        )
    )


@pytest.fixture
def live(server, run) -> Any:
    """A dataset whose changes go to the embedded stream `live`."""
    run("stream", "create", "live", "--data", str(server.data))
    pool = create_pool(server)
    client = server.client("cognito-sync")
    client.set_identity_pool_configuration(
        IdentityPoolId=pool,
        CognitoStreams={"StreamName": "live", "StreamingStatus": "ENABLED"},
    )
    yield Dataset(client, pool, new_identity())
    client.close()


def test_a_tail_follows_an_embedded_stream(tail, server, live):
    """It shows what comes, until Ctrl-C ends it without many words."""
    following = tail("live", "--from-start", "--identity-id", live.identity)
    live.update(replace("colour", "teal"))
    assert following.process.stdout is not None
    assert live.identity in following.process.stdout.readline()
    live.update(remove("colour", 1))
    assert "1 removed" in following.process.stdout.readline()

    assert following.end(signal.SIGINT) == (130, "\n", "")


def test_a_tail_begins_at_the_end(tail, server, live):
    """Without --from-start it shows what comes after it has begun."""
    live.update(replace("colour", "teal"))
    wait_until(lambda: b"teal" in stream_text(server))
    following = tail("live", "--raw", "--count", "1")
    numbers = iter(range(2, 1000))

    def ended() -> bool:
        live.put(colour=f"blue {next(numbers)}")
        return following.process.poll() is not None

    wait_until(ended, pause_s=0.1)
    code, out, err = following.end()

    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 1
    assert "blue" in out


def stream_text(server: RunningServer) -> bytes:
    """Give all that the stream `live` has, as a tail does."""
    process = subprocess.run(
        [
            *(sys.executable, "-m", "millpond", "stream", "tail", "live"),
            *("--from-start", "--count", "1", "--raw", "--data", str(server.data)),
        ],
        capture_output=True,
        timeout=seconds(30),
        check=True,
    )
    return process.stdout


def test_a_closed_pipe_is_no_stack_trace(tail, server, live):
    """As with `| head`: whoever was reading has gone, and the tail ends."""
    following = tail("live", "--from-start")
    assert following.process.stdout is not None
    live.update(replace("colour", "teal"))
    following.process.stdout.readline()
    following.process.stdout.close()
    numbers = iter(range(1000))

    def ended() -> bool:
        live.put(colour=str(next(numbers)))
        return following.process.poll() is not None

    wait_until(ended)
    assert following.process.stderr is not None
    assert following.process.stderr.read() == ""
