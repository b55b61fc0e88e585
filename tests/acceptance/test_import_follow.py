"""What an old app writes elsewhere comes after it, and never over what is here."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acceptance.moving import Move, at
from acceptance.moving import shown as shown_whole
from acceptance.sync_client import Dataset
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer, wait_until

pytestmark = pytest.mark.timeout(seconds(240.0))  # these start a dozen of processes


@pytest.fixture
def move(start_server: Callable[..., RunningServer]) -> Move:
    return Move(start_server, start_server("source"))


def shown(dataset: Dataset) -> dict[str, Any]:
    """What a device is shown, but for who wrote it: a stream does not tell that."""
    found = shown_whole(dataset)
    names = ("Key", "Value", "SyncCount", "LastModifiedDate")
    found["Records"] = [
        {name: each.get(name) for name in names} for each in found["Records"]
    ]
    return found


def stream_of(move: Move) -> str:
    """Give the pool a stream at the source; say where it is, as one in Kinesis."""
    move.source.client("kinesis").create_stream(StreamName="changes", ShardCount=2)
    move.sync_there.set_identity_pool_configuration(
        IdentityPoolId=move.pool,
        CognitoStreams={"StreamName": "changes", "StreamingStatus": "ENABLED"},
    )
    return f"kinesis://changes?region=us-east-1&endpoint={move.source.endpoint}"


def follow(move: Move, target: RunningServer, *words: str) -> Any:
    """Follow until nothing is left; give what the command says."""
    done = move.run(target, "follow", move.pool, "--once", "--output", "json", *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def status(move: Move, target: RunningServer) -> Any:
    done = move.run(target, "status", move.pool, "--output", "json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["Imports"]
    return found


def test_the_stream(move: Move) -> None:
    """
    Updates, removals and deletions come with their counts; who was not here yet comes
    whole; a follower that was killed goes on; what was written here stays.
    """
    earlier = move.guest(2)  # before there was a stream
    url = stream_of(move)
    target = move.start_target(read_through=False)
    datasets = [earlier, move.guest(3), move.guest(1, "games")]
    earlier.put(k9="late")
    words = move.words(target, "follow", move.pool, "--stream", url)
    # Killed as soon as anything has come, and once more.
    for number in range(2):
        follower = subprocess.Popen(
            words, env=move.environment(), stderr=subprocess.DEVNULL
        )
        try:
            datasets[number].put(**{f"more{number}": "x"})
            there, here = datasets[number], at(target, datasets[number])
            wait_until(
                lambda pair=(there, here): shown(pair[0]) == shown(pair[1]),
                timeout_s=60.0,
            )
        finally:
            follower.kill()
            follower.wait()
    datasets[2].delete()
    follow(move, target, "--stream", url)
    for each in datasets:
        assert shown(at(target, each)) == shown(each)

    ours = at(target, earlier)
    ours.put(mine="1")
    before = shown(ours)
    earlier.put(theirs="2")
    datasets[1].put(theirs="2")
    found = follow(move, target, "--stream", url)
    (aside,) = found["SetAside"]
    assert (aside["IdentityId"], aside["DatasetName"]) == (earlier.identity, "prefs")
    assert shown(ours) == before
    assert shown(at(target, datasets[1])) == shown(datasets[1])
    assert follow(move, target, "--stream", url)["Events"] == 0
    told = status(move, target)
    assert told["AllAside"] == 1
    assert told["Follower"]["lag_seconds"] == 0


def test_asking_again(move: Move) -> None:
    """Without a stream changes come by asking; the follower ends when it is told to."""
    there = move.guest(2)
    target = move.start_target(read_through=False)
    here = at(target, there)
    words = move.words(target, "follow", move.pool, "--interval", "0.2")
    follower = subprocess.Popen(
        [*words, "--output", "json"],
        env=move.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        there.put(later="1")
        wait_until(lambda: shown(here) == shown(there), timeout_s=60.0)
        new = move.guest(1)
        wait_until(lambda: shown(at(target, new)) == shown(new), timeout_s=60.0)
    finally:
        follower.send_signal(signal.SIGTERM)
        printed, _ = follower.communicate()
    assert follower.returncode == 0
    assert json.loads(printed)["Passes"] >= 1


def test_files_alone(move: Move, tmp_path: Path) -> None:
    """What Firehose has kept comes without the source, and nothing comes twice."""
    url = stream_of(move)
    target = move.start_target(read_through=False)
    there = move.guest(3)
    kept = [_read_stream(move)]
    (tmp_path / "delivered").mkdir()
    (tmp_path / "delivered" / "2").write_bytes(b"".join(kept) + b"garbage")
    (tmp_path / "delivered" / "1").write_bytes(b"".join(kept))
    files = ("--files", str(tmp_path / "delivered"), "--no-api")

    found = follow(move, target, *files)

    assert shown(at(target, there)) == shown(there)
    assert found["PassedOverCount"] == 1
    assert found["PassedOver"][0]["What"] == "2"
    assert follow(move, target, *files)["DatasetsWritten"] == 0
    assert follow(move, target, "--stream", url)["DatasetsWritten"] == 0


def _read_stream(move: Move) -> bytes:
    """Read everything in the source's stream, as Firehose delivers it."""
    kinesis = move.source.client("kinesis")

    def read() -> bytes:
        found = b""
        for shard in kinesis.list_shards(StreamName="changes")["Shards"]:
            iterator = kinesis.get_shard_iterator(
                StreamName="changes",
                ShardId=shard["ShardId"],
                ShardIteratorType="TRIM_HORIZON",
            )["ShardIterator"]
            records = kinesis.get_records(ShardIterator=iterator)["Records"]
            found += b"".join(each["Data"] for each in records)
        return found if found.count(b'"identityPoolId"') == 3 else b""

    data: bytes = wait_until(read)
    return data
