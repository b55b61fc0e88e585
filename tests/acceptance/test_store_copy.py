"""Devices go on after their store was moved, and notice nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from acceptance.command_line import Printed
from acceptance.sync_client import Dataset, create_pool, new_identity, replace
from acceptance.users import get_credentials
from millpond.server import secret_key
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer, wait_until

STREAM = "changes"


def millpond(*words: str) -> Printed:
    """Run a command that needs no server."""
    done = subprocess.run(
        [sys.executable, "-m", "millpond", *words],
        capture_output=True,
        timeout=seconds(60),
        check=False,
    )
    return Printed(done.returncode, done.stdout, done.stderr)


@pytest.fixture(
    params=[
        ("folder", "database"),
        ("database", "folder"),
        ("folder", "cluster"),
        ("cluster", "database"),
        ("database", "cluster"),
    ],
    ids="-".join,
)
def places(
    request: pytest.FixtureRequest, tmp_path: Path
) -> list[tuple[Path, dict[str, str]]]:
    """Two stores: the data folder and the settings of a server on each."""

    def settings(kind: str) -> dict[str, str]:
        if kind == "folder":
            return {}
        makes = "new_database" if kind == "database" else "new_spread_database"
        new: Callable[[], str] = request.getfixturevalue(makes)
        return {"store": new()}

    return [(tmp_path / kind, settings(kind)) for kind in request.param]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Stops whatever was started."""
    with ExitStack() as running:
        yield running


def word_of(place: tuple[Path, dict[str, str]]) -> str:
    """Name a store as the command line does."""
    folder, settings = place
    return settings.get("store", str(folder))


def move(
    first: RunningServer, places: list[tuple[Path, dict[str, str]]]
) -> RunningServer:
    """Stop a server, move its store, and give a server on the other one."""
    first.stop()
    (there, _), (here, settings) = places
    moved = millpond("store", "copy", word_of(places[0]), word_of(places[1]))
    assert moved.code == 0, moved
    here.mkdir(exist_ok=True)
    shutil.copy(there / secret_key.FILE_NAME, here / secret_key.FILE_NAME)
    second = RunningServer(here, settings=settings)
    second.access_key_id = first.access_key_id
    second.secret_access_key = first.secret_access_key
    return second


def test_devices_notice_nothing(
    places: list[tuple[Path, dict[str, str]]], stack: ExitStack
) -> None:
    """Counts, ids, tokens, credentials and answers to repeats are what they were."""
    first = stack.enter_context(RunningServer(places[0][0], settings=places[0][1]))
    pool, identity = create_pool(first), new_identity()
    sync = first.client("cognito-sync")
    kinesis = first.client("kinesis")
    kinesis.create_stream(StreamName=STREAM, ShardCount=1)
    sync.set_identity_pool_configuration(
        IdentityPoolId=pool,
        CognitoStreams={"StreamName": STREAM, "StreamingStatus": "ENABLED"},
    )
    dataset = Dataset(sync, pool, identity)
    dataset.put(a="1", b="2")
    dataset.update({"Op": "remove", "Key": "b", "SyncCount": 1})
    spent, patch = dataset.token(), replace("c", "3", 0)
    answer = dataset.update(patch, token=spent)["Records"]
    open_token = dataset.token()
    old = Dataset(sync, pool, identity, "old")
    old.put(x="1")
    old.delete()
    guest = get_credentials(first.client("cognito-identity"), pool)
    before = (dataset.list()["Records"], dataset.describe())
    consumer = Consumer(kinesis)
    told = consumer.read_until(5)

    with move(first, places) as second:
        sync = second.client("cognito-sync")
        dataset = Dataset(sync, pool, identity)
        after = (dataset.list()["Records"], dataset.describe())
        assert after == before
        assert dataset.list(last_sync_count=3)["Records"] == []
        assert dataset.update(patch, token=spent)["Records"] == answer
        assert dataset.describe()["LastModifiedDate"] == before[1]["LastModifiedDate"]
        (changed,) = dataset.update(replace("a", "4", 1), token=open_token)["Records"]
        assert changed["SyncCount"] == 4
        listed = Dataset(sync, pool, identity, "old").list(last_sync_count=1)
        assert listed["DatasetDeletedAfterRequestedSyncCount"] is True
        as_guest = second.client("cognito-sync", **guest.options())
        mine = Dataset(as_guest, pool, guest.identity_id)
        mine.put(k="v")
        assert mine.counts() == {"k": 1}
        # The consumer goes on behind the number that it knows.
        consumer = Consumer(second.client("kinesis"), after=consumer.position)
        assert len(told) == 5
        assert [each["syncCount"] for each in consumer.read_until(2)] == [4, 1]


class Consumer:
    """Reads the one shard of a stream."""

    def __init__(self, kinesis: Any, after: str | None = None) -> None:
        self._kinesis = kinesis
        self.position = after
        where: dict[str, str] = {"ShardIteratorType": "TRIM_HORIZON"}
        if after is not None:
            where = {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "StartingSequenceNumber": after,
            }
        (shard,) = kinesis.list_shards(StreamName=STREAM)["Shards"]
        self._iterator = kinesis.get_shard_iterator(
            StreamName=STREAM, ShardId=shard["ShardId"], **where
        )["ShardIterator"]

    def read_until(self, count: int) -> list[Any]:
        """Read so many events."""
        found: list[Any] = []

        def read() -> bool:
            page = self._kinesis.get_records(ShardIterator=self._iterator)
            self._iterator = page["NextShardIterator"]
            for each in page["Records"]:
                self.position = each["SequenceNumber"]
                found.append(json.loads(each["Data"]))
            return len(found) >= count

        wait_until(read)
        return found
