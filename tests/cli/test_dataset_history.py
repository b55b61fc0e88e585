"""`millpond dataset history`: what a stream tells of the last changes of a dataset."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cli import world
from cli.world import ANN, EMPTY_POOL, GUEST, POOL, STREAM, Place
from millpond.core import streaming
from millpond.core.shards import place as shard_for
from millpond.core.streaming import StreamRecord
from millpond.core.sync import DatasetId, StoredRecord
from millpond.sinks.file import FileSink, FileStream
from millpond.stores.base import NewStreamRecord, Store
from millpond.testing.store_contract.bench import NOW_MS

PREFS = DatasetId(POOL, ANN, "prefs")
GONE = "us-east-1:f0000000-0000-4000-8000-00000000000f"


def update(
    count: int, *, dataset: DatasetId = PREFS, **values: str | None
) -> StreamRecord:
    """An update, as it goes into a stream."""
    records = [
        StoredRecord(key, value, count, NOW_MS + count * 1000, "me", None)
        for key, value in values.items()
    ]
    data = streaming.update_event(
        dataset, records, sync_count=count, last_modified_date_ms=NOW_MS + count * 1000
    )
    return StreamRecord(dataset.identity_id, data)


def snapshot(count: int, **values: str) -> StreamRecord:
    """A dataset as a bulk publish sends it: its records are older than it is."""
    records = [
        {"key": key, "value": value, "syncCount": number, "op": "replace"}
        for number, (key, value) in enumerate(values.items(), 1)
    ]
    data = streaming.snapshot_event(
        PREFS,
        json.dumps(records).encode(),
        sync_count=count,
        last_modified_date_ms=NOW_MS,
    )
    return StreamRecord(ANN, data)


def removal(count: int) -> StreamRecord:
    """The deletion of the dataset."""
    data = streaming.deletion_event(
        PREFS, sync_count=count, last_modified_date_ms=NOW_MS + count * 1000
    )
    return StreamRecord(ANN, data)


OTHERS = DatasetId(POOL, GUEST, "prefs")
SECOND = DatasetId(POOL, ANN, "other")
EVENTS: Sequence[StreamRecord] = (
    update(1, color="red", size="1"),
    update(9, dataset=OTHERS, color="of another identity"),
    update(9, dataset=SECOND, color="of another dataset"),
    StreamRecord(ANN, b"no event \xff"),
    StreamRecord(ANN, b""),
    update(2, size=None),
    update(2, size=None),  # a stream may repeat
    snapshot(2, color="red"),
    removal(3),
    update(4, color="blue"),
)
LINES = [
    "2025-06-15T15:06:44+00:00\t4\treplace\tcolor\tblue",
    "2025-06-15T15:06:43+00:00\t3\tdataset deleted\t-\t-",
    "2025-06-15T15:06:40+00:00\t2\tbulk publish of 1 records\t-\t-",
    "2025-06-15T15:06:42+00:00\t2\tremove\tsize\t-",
    "2025-06-15T15:06:41+00:00\t1\treplace\tcolor\tred",
    "2025-06-15T15:06:41+00:00\t1\treplace\tsize\t1",
]


async def put_events(store: Store) -> None:
    """Put the events into the embedded stream, each into its shard."""
    stream = await store.find_stream(STREAM)
    assert stream is not None
    for each in EVENTS:
        shard = shard_for(each.partition_key, stream.shard_count)
        record = NewStreamRecord(shard, each.partition_key, each.data)
        await store.put_stream_records(stream.stream_id, [record], now_ms=NOW_MS)


@pytest.fixture
def place(place: Place) -> Place:
    """The store with the small world, and a stream with the events."""
    place.run(put_events)
    return place


@pytest.fixture
def history(run, place):
    """Run `millpond dataset history` on the store."""
    return lambda *words: run("dataset", "history", *words, *place.words)


def test_the_last_changes_come_first(history):
    """A line for each record that was changed; repeats and others' changes are out."""
    result = history(ANN, "prefs")

    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == LINES


def test_programs_get_events(history):
    """With all records of each, and whether it is a whole dataset."""
    found = json.loads(history(ANN, "prefs", "--output", "json").out)

    assert (found["IdentityId"], found["StreamName"]) == (ANN, STREAM)
    assert found["NextToken"] is None
    assert [each["SyncCount"] for each in found["Events"]] == [4, 3, 2, 2, 1]
    assert [each["Snapshot"] for each in found["Events"]] == [False] * 2 + [True] + (
        [False] * 2
    )
    assert found["Events"][1]["Operation"] == "remove"
    assert found["Events"][3] == {
        "LastModifiedDate": "2025-06-15T15:06:42+00:00",
        "SyncCount": 2,
        "Operation": "replace",
        "Snapshot": False,
        "RecordsUrl": None,
        "Records": [{"Key": "size", "Value": None, "SyncCount": 2, "Op": "remove"}],
    }


@pytest.mark.parametrize("looked_at", [1, 2, 50_000])
def test_pages_go_back_in_time(history, monkeypatch, looked_at):
    """However far one look goes, all of them together tell everything once."""
    monkeypatch.setattr("millpond.service.looking.history.LOOKED_AT_MAX", looked_at)
    monkeypatch.setattr("millpond.service.looking.history._ROWS_AT_ONCE", 2)
    counts: list[int] = []
    token: tuple[str, ...] = ()
    for _ in range(20):
        words = (ANN, "prefs", "--max-items", "2", "--output", "json", *token)
        page = json.loads(history(*words).out)
        assert len(page["Events"]) <= 2
        counts += [each["SyncCount"] for each in page["Events"]]
        if page["NextToken"] is None:
            break
        token = ("--starting-token", page["NextToken"])

    assert page["NextToken"] is None
    assert [*dict.fromkeys(counts)] == [4, 3, 2, 1]


def test_an_identity_that_is_gone_has_a_past(history, place):
    """With its whole id and its pool; what nothing is told of is said to be so."""

    async def put_one(store: Store) -> None:
        stream = await store.find_stream(STREAM)
        assert stream is not None
        event = update(5, dataset=DatasetId(POOL, GONE, "prefs"), k="v")
        record = NewStreamRecord(shard_for(GONE, 2), GONE, event.data)
        await store.put_stream_records(stream.stream_id, [record], now_ms=NOW_MS)

    place.run(put_one)

    found = history(GONE.upper(), "prefs", "--identity-pool-id", POOL)
    nothing = history(GUEST, "never")

    assert found.out == "2025-06-15T15:06:45+00:00\t5\treplace\tk\tv\n"
    assert (nothing.code, nothing.out) == (0, "")
    assert nothing.err == f"Stream '{STREAM}' tells of no change of it.\n"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((GONE, "prefs"), f"there is no identity '{GONE}'."),
        (("a0000000", "prefs"), "may be one of several"),
        ((ANN, "prefs", "--from", "nowhere"), "stream 'nowhere' does not exist."),
        ((ANN, "prefs", "--starting-token", "e30"), "--starting-token is not one"),
        ((GONE, "x", "--identity-pool-id", EMPTY_POOL), "has no stream; name one with"),
    ],
)
def test_what_cannot_be_looked_up_is_refused(history, words, reason):
    """In words, with nothing on standard output."""
    result = history(*words)

    assert (result.code, result.out) == (1, "")
    assert reason in result.err


def test_a_stream_behind_something_else_is_read_through(
    run, tmp_path: Path, monkeypatch
):
    """The same lines; only an embedded stream can go on where a page ended."""
    place = Place("--data", str(tmp_path / "data"))
    place.run(world.fill)
    folder = tmp_path / "files"
    folder.mkdir()
    monkeypatch.setenv(
        "MILLPOND_STREAMS", json.dumps({STREAM: f"file://{folder}?volatile=true"})
    )

    async def put_files() -> None:
        sink = FileSink(FileStream(str(folder), 1000, 1000, volatile=True))
        await sink.open()
        await sink.put([each for each in EVENTS if each.data])
        await sink.aclose()

    asyncio.run(put_files())
    words = ("dataset", "history", ANN, "prefs", *place.words)

    whole = run(*words)
    newest: Any = run(*words, "--max-items", "2")
    refused = run(*words, "--starting-token", "NQ")

    assert (whole.code, whole.out.splitlines()) == (0, LINES)
    assert newest.out.splitlines() == LINES[:2]
    assert refused.code == 1
    assert "is for streams that are embedded" in refused.err
