"""Reading an embedded stream from the store: from its beginning or its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from millpond.core.streaming import StreamRecord
from millpond.errors import (
    SinkError,
    SinkUnavailableError,
    StoreError,
    StoreUnavailableError,
    StreamGoneError,
)
from millpond.sinks import embedded_reader, make_reader
from millpond.sinks.base import SinkReader
from millpond.sinks.embedded import EmbeddedSink
from millpond.stores.base import StoredStreamRecord
from millpond.stores.sqlite import SqliteStore

NOW_MS = 1_750_000_000_000
RECORDS = [StreamRecord(f"key-{n % 7}", str(n).encode()) for n in range(50)]


class BreakableStore(SqliteStore):
    """A store whose stream reads can be made to fail."""

    failure: StoreError | None = None

    async def list_stream_records(
        self, stream_id: int, shard: int, *, after: int, limit: int, bytes_max: int
    ) -> list[StoredStreamRecord]:
        if self.failure is not None:
            raise self.failure
        return await super().list_stream_records(
            stream_id, shard, after=after, limit=limit, bytes_max=bytes_max
        )


@contextlib.asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[BreakableStore]:
    store = BreakableStore(tmp_path)
    await store.open()
    try:
        await store.create_stream("changes", shard_count=3, now_ms=NOW_MS)
        yield store
    finally:
        await store.aclose()


def with_store(
    tmp_path: Path, scene: Callable[[BreakableStore], Awaitable[None]]
) -> None:
    async def run() -> None:
        async with opened(tmp_path) as store:
            await scene(store)

    asyncio.run(run())


async def put(store: SqliteStore, records: Sequence[StreamRecord]) -> None:
    sink = EmbeddedSink("changes", store=store, now_ms=lambda: NOW_MS)
    await sink.put(records)


def reader_of(store: SqliteStore, *, from_end: bool = False) -> SinkReader:
    return make_reader("Embedded:changes", store=store, from_end=from_end)


async def read_on(reader: SinkReader) -> dict[str, list[bytes]]:
    """Read to the end; data by partition key, in the order in which it came."""
    found: dict[str, list[bytes]] = {}
    while batch := await reader.read(wait_s=0):
        for record in batch:
            found.setdefault(record.partition_key, []).append(record.data)
    return found


def by_key(records: Sequence[StreamRecord]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for record in records:
        found.setdefault(record.partition_key, []).append(record.data)
    return found


def test_all_shards_are_read_each_in_order(tmp_path, monkeypatch):
    """Everything comes once, also in small pieces, and then what is new."""
    monkeypatch.setattr(embedded_reader, "READ_RECORDS_MAX", 3)

    async def scene(store: BreakableStore) -> None:
        await put(store, RECORDS)
        reader = reader_of(store)
        await reader.open()
        await reader.open()
        assert await read_on(reader) == by_key(RECORDS)
        assert await reader.read(wait_s=0) == []
        await put(store, RECORDS[:9])
        assert await read_on(reader) == by_key(RECORDS[:9])
        await reader.aclose()
        await reader.aclose()

    with_store(tmp_path, scene)


def test_a_reader_may_begin_at_the_end(tmp_path):
    """It waits for what comes after it was opened."""

    async def scene(store: BreakableStore) -> None:
        await put(store, RECORDS)
        reader = reader_of(store, from_end=True)
        await reader.open()
        assert await reader.read(wait_s=0) == []
        reading = asyncio.create_task(reader.read(wait_s=20))
        await put(store, RECORDS[:1])
        assert await reading == RECORDS[:1]

    with_store(tmp_path, scene)


def test_a_stream_that_is_not_there_cannot_be_read(tmp_path):
    """Neither from the beginning, nor on when it is deleted, or created anew."""

    async def scene(store: BreakableStore) -> None:
        reader = reader_of(store)
        with pytest.raises(SinkError, match="must be opened"):
            await reader.read(wait_s=0)
        await reader.open()
        assert repr(reader) == "<EmbeddedReader embedded:changes, open>"
        await store.delete_stream("changes")
        with pytest.raises(StreamGoneError, match="does not exist"):
            await reader.read(wait_s=0)
        with pytest.raises(StreamGoneError, match="does not exist"):
            await reader_of(store).open()
        await store.create_stream("changes", shard_count=1, now_ms=NOW_MS)
        with pytest.raises(StreamGoneError, match="created again"):
            await reader.read(wait_s=0)

    with_store(tmp_path, scene)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (StoreUnavailableError("It is busy."), SinkUnavailableError),
        (StoreError("It is broken."), SinkError),
    ],
)
def test_a_store_that_fails_is_a_sink_error(tmp_path, failure, kind):
    """Errors of the store come out as those of a stream, worth another try or not."""

    async def scene(store: BreakableStore) -> None:
        reader = reader_of(store)
        await reader.open()
        store.failure = failure
        with pytest.raises(kind, match="'changes' cannot be read: It is") as caught:
            await reader.read(wait_s=0)
        assert caught.value.retryable == failure.retryable

    with_store(tmp_path, scene)
