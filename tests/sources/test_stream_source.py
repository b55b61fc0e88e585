"""A pool's stream is read on where it was, and what is not the pool's is named."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from millpond.core.streaming import StreamRecord
from millpond.core.sync import SyncLimits
from millpond.errors import SourceError
from millpond.sinks import kinesis_reader
from millpond.sinks.kinesis import make_reader, make_sink
from millpond.sources.base import Batch, nothing_known
from millpond.sources.stream import StreamSource
from sinks.faulty_kinesis import CREDENTIALS, FaultyKinesis, Refuse
from sources.events import OTHER_POOL, POOL, encoded, event, identity


@pytest.fixture(autouse=True)
def _quick_and_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(kinesis_reader, "PAUSE_S", 0.002)
    monkeypatch.setattr(kinesis_reader, "THROTTLED_PAUSE_S", 0.002)


@pytest.fixture
def kinesis() -> Iterator[FaultyKinesis]:
    with FaultyKinesis(shards=2, page=2) as running:
        yield running


def source(url: str, **options: Any) -> StreamSource:
    reader = make_reader(url, from_end=False)
    defaults = {"name": "stream 'changes'", "limits": SyncLimits()}
    return StreamSource(POOL, reader, **{**defaults, **options})


async def put(url: str, *events: object) -> None:
    sink = make_sink(url, None)
    await sink.open()
    records = [
        StreamRecord(
            each.get("identityId", "x") if isinstance(each, dict) else "x",
            each if isinstance(each, bytes) else json.dumps(each).encode(),
        )
        for each in events
    ]
    assert (await sink.put(records)).failed == ()
    await sink.aclose()


async def read(one: StreamSource, after: bytes | None) -> list[Batch]:
    return [each async for each in one.read(after, nothing_known)]


def updates(batches: list[Batch]) -> dict[str, list[int]]:
    """Give the sync counts that arrived, by identity, in order."""
    found: dict[str, list[int]] = {}
    for batch in batches:
        for each in batch.arrivals:
            for dataset in each.datasets:
                found.setdefault(each.identity_id, []).append(dataset.row.sync_count)
    return found


def test_goes_on_where_it_was(kinesis: FaultyKinesis) -> None:
    """
    Behind any position, also in shards that were split and merged since, another source
    gives the rest: nothing is missing, and what an identity did comes in its order.
    """
    people = [identity(n) for n in range(6)]

    async def scene() -> None:
        await put(kinesis.sink_url, *(event(n, c) for c in (1, 2) for n in range(6)))
        first = source(kinesis.sink_url)
        batches = await read(first, None)
        kinesis.split("shardId-000000000000")  # into 2 and 3
        await put(kinesis.sink_url, *(event(n, 3) for n in range(6)))
        kinesis.merge("shardId-000000000002", "shardId-000000000003")
        await put(kinesis.sink_url, *(event(n, 4) for n in range(6)))
        batches += await read(first, batches[-1].position)
        await first.aclose()
        assert updates(batches) == {each: [1, 2, 3, 4] for each in people}

        for number in range(-1, len(batches)):
            position = batches[number].position if number >= 0 else None
            other = source(kinesis.sink_url)
            rest = updates(await read(other, position))
            await other.aclose()
            before = updates(batches[: number + 1])
            for each in people:
                assert before.get(each, []) + rest.get(each, []) == [1, 2, 3, 4]

    asyncio.run(scene())


def test_what_an_update_says(kinesis: FaultyKinesis) -> None:
    """Counts, dates, removals, deletions and copies of a merge come as they are."""

    async def scene() -> None:
        removed = {"key": "gone", "syncCount": 7, "op": "remove", "value": "old"}
        copy = f"prefs.{identity(9)}"
        await put(
            kinesis.sink_url,
            event(1, 7, kinesisSyncRecords=[removed], dataSetName=copy),
            event(1, 8, operation="remove", kinesisSyncRecords=None),
        )
        one = source(kinesis.sink_url)
        arrivals = [e for batch in await read(one, None) for e in batch.arrivals]
        await one.aclose()
        update, deletion = (each.datasets[0] for each in arrivals)
        assert (update.row.live, update.row.sync_count, update.whole) == (
            True,
            7,
            False,
        )
        assert update.row.root_dataset_name == "prefs"
        (record,) = update.records
        assert (record.record_key, record.value, record.sync_count) == ("gone", None, 7)
        assert record.last_modified_date_ms == 1007
        assert (deletion.row.live, deletion.row.sync_count) == (False, 8)
        assert not deletion.records
        assert all(each.names is None and each.identity is None for each in arrivals)

    asyncio.run(scene())


def test_what_is_not_the_pools(kinesis: FaultyKinesis) -> None:
    """Other pools are counted, garbage is named, and what no store keeps put aside."""
    long = {"key": "k", "value": "x" * 11, "syncCount": 1}
    nul = {"key": "k\0", "value": "", "syncCount": 1}
    half = b'{"key": "k", "value": "\\ud800", "syncCount": 1}'

    async def scene() -> None:
        await put(
            kinesis.sink_url,
            *(event(1, n, identityPoolId=OTHER_POOL) for n in (1, 2)),
            b"\x00garbage",
            b'{"a": 1}',
            event(1, identityId="US-EAST-1:ABCDEF"),
            event(1, identityId=identity(1).replace("us-east-1", "eu-west-1")),
            event(1, 0),
            event(2, kinesisSyncRecords=[long]),
            event(3, kinesisSyncRecords=[nul]),
            encoded(event(4)).replace(
                json.dumps(event(4)["kinesisSyncRecords"][0]).encode(), half
            ),
            event(5),
        )
        one = source(kinesis.sink_url, limits=SyncLimits(record_value_chars=10))
        batches = await read(one, None)
        await one.aclose()
        unreadable = [reason for b in batches for reason in b.unreadable.values()]
        told = " ".join(unreadable)
        assert OTHER_POOL in " ".join(name for b in batches for name in b.unreadable)
        assert (
            sum(int(each.split()[0]) for each in unreadable if "another" in each) == 2
        )
        for each in (
            *("no stream record", "US-EAST-1:ABCDEF", "no positive number"),
            "not in the region",
        ):
            assert each in told
        arrivals = {e.identity_id: e for batch in batches for e in batch.arrivals}
        assert "record_value_chars_max" in arrivals[identity(2)].asides["prefs"]
        assert "NUL" in arrivals[identity(3)].asides["prefs"]
        assert identity(4) not in arrivals  # half a character is no JSON
        assert arrivals[identity(5)].datasets

    asyncio.run(scene())


def test_records_behind_a_link(kinesis: FaultyKinesis) -> None:
    """They are fetched; where the link has ended the dataset is put aside."""
    records = json.dumps(event(1, 3)["kinesisSyncRecords"]).encode()
    links = {
        "https://there/1": records,
        "https://there/2": None,
        "https://there/3": b"<",
    }

    async def scene() -> None:
        for n in (1, 2, 3):
            linked = event(
                n,
                3,
                kinesisSyncRecords=None,
                payloadType="S3Url",
                kinesisSyncRecordsURL=f"https://there/{n}",
            )
            await put(kinesis.sink_url, linked)
        one = source(kinesis.sink_url, fetch=links.get)
        batches = await read(one, None)
        await one.aclose()
        arrivals = {e.identity_id: e for batch in batches for e in batch.arrivals}
        assert [e.value for e in arrivals[identity(1)].datasets[0].records] == ["v3"]
        for n in (2, 3):
            assert "link" in arrivals[identity(n)].asides["prefs"]
            assert not arrivals[identity(n)].datasets

    asyncio.run(scene())


def test_a_place_that_is_not_known_any_more(kinesis: FaultyKinesis) -> None:
    """The shard is read from its beginning, and that is said."""

    async def scene() -> None:
        await put(kinesis.sink_url, *(event(n, 1) for n in range(6)))
        one = source(kinesis.sink_url)
        position = (await read(one, None))[-1].position
        await one.aclose()
        await put(kinesis.sink_url, *(event(n, 2) for n in range(6)))
        kinesis.script("GetShardIterator", Refuse("InvalidArgumentException"))
        other = source(kinesis.sink_url)
        batches = await read(other, position)
        await other.aclose()
        found = updates(batches)
        assert {counts[-1] for counts in found.values()} == {2}
        assert {len(counts) for counts in found.values()} == {1, 2}
        assert "1 shards do not know" in " ".join(
            reason for batch in batches for reason in batch.unreadable.values()
        )

    asyncio.run(scene())


def test_no_such_stream(kinesis: FaultyKinesis, tmp_path: Path) -> None:
    """That is said in words, and as an error of a source."""

    async def scene() -> None:
        one = source(kinesis.sink_url.replace("changes", "others"))
        with pytest.raises(SourceError, match="'others'"):
            await read(one, None)
        await one.aclose()

    asyncio.run(scene())
