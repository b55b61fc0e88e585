"""The reader of a Kinesis stream misses nothing and keeps the order of each key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from millpond.core.streaming import StreamRecord
from millpond.errors import SettingsError, SinkUnavailableError, StreamGoneError
from millpond.sinks import kinesis_reader as reader_module
from millpond.sinks import load_engine
from millpond.sinks.kinesis import make_reader, make_sink
from millpond.sinks.kinesis_reader import KinesisReader
from millpond.testing.deadlines import seconds
from sinks.faulty_kinesis import (
    CREDENTIALS,
    THROTTLED,
    CutAnswer,
    FaultyKinesis,
    Garbage,
    Refuse,
)
from sinks.moto_server import Moto

KEYS = [f"key-{n}" for n in range(8)]


@pytest.fixture(autouse=True)
def _quick_and_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials, and pauses that take no time."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(reader_module, "PAUSE_S", 0.002)
    monkeypatch.setattr(reader_module, "THROTTLED_PAUSE_S", 0.002)


@pytest.fixture
def kinesis() -> Iterator[FaultyKinesis]:
    """A stream of three shards that lists two things at a time."""
    with FaultyKinesis(shards=3, page=2) as running:
        yield running


def play(
    url: str,
    scene: Callable[[KinesisReader], Coroutine[Any, Any, None]],
    *,
    from_end: bool = False,
) -> None:
    """Run a scene with an open reader."""

    async def main() -> None:
        reader = make_reader(url, from_end=from_end)
        try:
            await reader.open()
            await reader.open()
            await scene(reader)
        finally:
            await reader.aclose()
            await reader.aclose()

    asyncio.run(main())


async def read_all(reader: KinesisReader) -> list[StreamRecord]:
    """Read to the end."""
    found: list[StreamRecord] = []
    while records := await reader.read(wait_s=0.0):
        found += records
    return found


def by_key(records: list[StreamRecord]) -> dict[str, list[bytes]]:
    return {
        key: [each.data for each in records if each.partition_key == key]
        for key in {each.partition_key for each in records}
    }


async def put(url: str, *rounds: int) -> list[StreamRecord]:
    """Put a record of each key for every round; give what was put."""
    records = [StreamRecord(key, f"{n}".encode()) for n in rounds for key in KEYS]
    sink = make_sink(url, None)
    await sink.open()
    assert (await sink.put(records)).failed == ()
    await sink.aclose()
    return records


def test_everything_is_read_from_the_beginning(kinesis):
    """All shards and all pages come, in order for each key; then nothing."""

    async def scene(reader):
        records = await put(kinesis.sink_url, 0, 1, 2)

        assert by_key(records) == by_key(await read_all(reader))
        assert list(await reader.read(wait_s=0.01)) == []
        later = await put(kinesis.sink_url, 3)
        assert by_key(later) == by_key(await read_all(reader))
        assert repr(reader) == "<KinesisReader kinesis://changes, open>"

    play(kinesis.sink_url, scene)


def test_reading_from_the_end_passes_over_what_was_there(kinesis):
    """What arrives between opening and the first read is read."""

    async def scene(reader):
        records = await put(kinesis.sink_url, 2)

        assert by_key(records) == by_key(await read_all(reader))

    asyncio.run(put(kinesis.sink_url, 0, 1))
    kinesis.split("shardId-000000000000")
    play(kinesis.sink_url, scene, from_end=True)


@pytest.mark.parametrize("from_end", [False, True])
def test_children_are_read_after_their_parents(kinesis, from_end):
    """Shards that are split and merged while they are read lose no order."""

    async def scene(reader):
        records = await put(kinesis.sink_url, 0)
        kinesis.split("shardId-000000000001")  # into 3 and 4
        records += await put(kinesis.sink_url, 1)
        kinesis.merge("shardId-000000000000", "shardId-000000000003")  # into 5
        records += await put(kinesis.sink_url, 2)
        found = await read_all(reader)
        kinesis.split("shardId-000000000005")
        records += await put(kinesis.sink_url, 3)
        found += await read_all(reader)

        assert by_key(records) == by_key(found)
        assert len(records) == len(found)

    play(kinesis.sink_url, scene, from_end=from_end)


def test_shards_that_retention_took_away_are_not_missed(kinesis):
    """A child whose parent is not listed any more is read at once."""

    async def scene(reader):
        assert by_key(await read_all(reader)) == by_key(kinesis.records())

    asyncio.run(put(kinesis.sink_url, 0))
    kinesis.split("shardId-000000000000")
    kinesis.forget("shardId-000000000000")
    asyncio.run(put(kinesis.sink_url, 1))
    play(kinesis.sink_url, scene)


def test_a_shard_that_goes_while_it_is_listed_is_left_alone(kinesis):
    """Between listing and reading a closed shard may go; the others are read."""

    async def scene(reader):
        kinesis.forget("shardId-000000000000")

        assert by_key(await read_all(reader)) == by_key(kinesis.records())

    asyncio.run(put(kinesis.sink_url, 0))
    kinesis.split("shardId-000000000000")
    play(kinesis.sink_url, scene)


def test_iterators_that_expired_are_renewed(kinesis):
    """Reading goes on behind the last record read, or where it began."""

    async def scene(reader):
        kinesis.expire_iterators()
        records = await put(kinesis.sink_url, 0, 1)
        found = list(await reader.read(wait_s=seconds(1.0)))
        kinesis.expire_iterators()
        found += await read_all(reader)

        assert by_key(records) == by_key(found)

    play(kinesis.sink_url, scene)
    starts = [
        each["ShardIteratorType"] for each in kinesis.requests("GetShardIterator")
    ]

    assert "AFTER_SEQUENCE_NUMBER" in starts


def test_iterators_at_the_end_that_expired_are_renewed_by_time(kinesis):
    """LATEST again would pass over what came meanwhile."""

    async def scene(reader):
        kinesis.expire_iterators()
        records = await put(kinesis.sink_url, 0)

        assert by_key(records) == by_key(await read_all(reader))

    play(kinesis.sink_url, scene, from_end=True)
    starts = [
        each["ShardIteratorType"] for each in kinesis.requests("GetShardIterator")
    ]

    assert starts == ["LATEST"] * 3 + ["AT_TIMESTAMP"] * 3


def test_throttles_are_waited_out(kinesis):
    """Who reads too fast is not told of it; the records come later."""
    kinesis.script("GetRecords", *[Refuse(THROTTLED)] * 5, Refuse("Internal", 500))

    async def scene(reader):
        records = await put(kinesis.sink_url, 0)

        assert by_key(records) == by_key(await read_all(reader))

    play(kinesis.sink_url, scene)


def test_a_throttle_that_does_not_end_is_an_error(kinesis, monkeypatch):
    """Waiting has an end, and nothing must not look like the end of the stream."""
    monkeypatch.setattr(reader_module, "THROTTLED_S_MAX", 0.05)
    kinesis.script("GetRecords", *[Refuse(THROTTLED)] * 1000)

    async def scene(reader):
        with pytest.raises(SinkUnavailableError, match=THROTTLED[:20]):
            await reader.read(wait_s=0.0)

    play(kinesis.sink_url, scene)


def test_a_lost_answer_loses_no_records(kinesis):
    """After a cut connection, the next read comes with what was on the way."""
    kinesis.script("GetRecords", CutAnswer())

    async def scene(reader):
        records = await put(kinesis.sink_url, 0)
        with pytest.raises(SinkUnavailableError):
            await reader.read(wait_s=1.0)

        assert by_key(records) == by_key(await read_all(reader))

    play(kinesis.sink_url, scene)


def test_a_stream_that_is_gone_cannot_be_read(kinesis):
    """Neither opened nor read on; a closed reader asks to be opened."""

    async def scene(reader):
        kinesis.exists = False
        with pytest.raises(StreamGoneError):
            await reader.read(wait_s=0.0)
        await reader.aclose()
        with pytest.raises(SinkUnavailableError, match="not open"):
            await reader.read(wait_s=0.0)
        with pytest.raises(StreamGoneError):
            await reader.open()

    play(kinesis.sink_url, scene)


@pytest.mark.parametrize("operation", ["ListShards", "GetShardIterator"])
@pytest.mark.parametrize("trouble", [Refuse("InternalFailure", 500), Garbage()])
def test_trouble_while_opening_is_an_error_of_a_sink(kinesis, operation, trouble):
    """Whatever call fails, no error of a driver comes out."""
    kinesis.script(operation, trouble)
    with pytest.raises(SinkUnavailableError):
        asyncio.run(make_reader(kinesis.sink_url, from_end=True).open())


def test_the_kinesis_of_others_can_be_read():
    """What the sink puts into moto's stream, the reader reads."""
    moto = Moto()
    client = moto.client("kinesis")
    client.create_stream(StreamName="read", ShardCount=2)
    url = f"kinesis:///read?region=us-east-1&endpoint={moto.url}"

    async def scene(reader):
        records = await put(url, 0, 1)

        assert by_key(records) == by_key(await read_all(reader))

    try:
        play(url, scene)
    finally:
        client.delete_stream(StreamName="read")
        client.close()
        moto.close()


def test_the_engine_is_found_by_its_scheme():
    """The registry's engine makes readers, and refuses a URL that cannot be right."""
    engine = load_engine("kinesis")

    assert repr(engine.make_reader("kinesis://a", from_end=True)).endswith("closed>")
    with pytest.raises(SettingsError):
        engine.make_reader("kinesis://", from_end=False)
