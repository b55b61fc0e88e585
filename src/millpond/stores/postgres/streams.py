"""
Embedded streams in PostgreSQL.

The records of a shard are one after the other: a put holds the row of the shard from
drawing numbers to its commit, so no reader can see a number and later find a lower one.
Puts into different shards do not wait for each other.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from millpond.stores.base import (
    NewStreamRecord,
    StoredStreamRecord,
    Stream,
    StreamsUsage,
)
from millpond.stores.postgres.database import Database, Session
from millpond.stores.postgres.queries import Queries
from millpond.stores.streams import HOUR_MS, decode_tags, encode_tags

SQL: Final = Queries("streams.sql")
STREAM_ID_BITS: Final = 62
SEQUENCE_NUMBER_MAX: Final = 2**63 - 1
FOR_EVER_MS: Final = 2**62  # later than any arrival


class Streams:
    """The `StreamStore` part of the port."""

    database: Database

    async def create_stream(
        self,
        stream_name: str,
        *,
        shard_count: int,
        now_ms: int,
        stream_mode: str = "PROVISIONED",
        tags: Mapping[str, str] | None = None,
    ) -> bool:
        stream_id = secrets.randbits(STREAM_ID_BITS)
        about = (stream_mode, encode_tags(tags))
        row = (stream_id, stream_name, shard_count, now_ms, *about)

        async def job(db: Session) -> bool:
            if not await db.run(SQL.create_stream, *row):
                return False
            shards = [(shard_key(stream_id, n), stream_id) for n in range(shard_count)]
            await db.run_many(SQL.create_shard, shards)
            return True

        return await self.database.write("create_stream", job)

    async def delete_stream(self, stream_name: str) -> bool:
        async with self.database.session("delete_stream") as db:
            return await db.run(SQL.delete_stream, stream_name) > 0

    async def find_stream(self, stream_name: str) -> Stream | None:
        async with self.database.session("find_stream") as db:
            row = await db.row(SQL.find_stream, stream_name)
        return None if row is None else _stream(row)

    async def list_streams(self, *, after: str | None, limit: int) -> list[Stream]:
        async with self.database.session("list_streams") as db:
            rows = await db.rows(SQL.list_streams, after or "", limit)
        return [_stream(row) for row in rows]

    async def update_stream(
        self, stream_id: int, change: Callable[[Stream], Stream]
    ) -> Stream | None:
        async def job(db: Session) -> Stream | None:
            row = await db.row(SQL.find_stream_to_change, stream_id)
            if row is None:
                return None
            changed = change(_stream(row))
            about = (changed.retention_hours, changed.stream_mode)
            tags = encode_tags(changed.tags)
            await db.run(SQL.update_stream, stream_id, *about, tags)
            return changed

        return await self.database.write("update_stream", job)

    async def measure_streams(self) -> StreamsUsage:
        async with self.database.session("measure_streams") as db:
            row = await db.row(SQL.measure_streams)
        return StreamsUsage(*row)

    async def put_stream_records(
        self, stream_id: int, records: Sequence[NewStreamRecord], *, now_ms: int
    ) -> list[int] | None:
        by_shard: dict[int, list[int]] = {}
        for index, each in enumerate(records):
            by_shard.setdefault(each.shard, []).append(index)

        async def job(db: Session) -> list[int] | None:
            if await db.value(SQL.find_live_stream, stream_id) is None:
                return None
            numbers = [0] * len(records)
            # In one order for all, or two puts would wait for each other in a circle.
            for shard, indexes in sorted(by_shard.items()):
                first = await db.value(
                    SQL.append_to_shard,
                    stream_id,
                    shard_key(stream_id, shard),
                    now_ms,
                    [records[index].partition_key for index in indexes],
                    [records[index].data for index in indexes],
                )
                if first is None:
                    raise _StreamGoneError
                for number, index in enumerate(indexes, first):
                    numbers[index] = number
            return numbers

        try:
            return await self.database.write("put_stream_records", job)
        except _StreamGoneError:
            return None

    async def list_stream_records(
        self, stream_id: int, shard: int, *, after: int, limit: int, bytes_max: int
    ) -> list[StoredStreamRecord]:
        async with self.database.moment("list_stream_records") as db:
            bounds = (shard_key(stream_id, shard), after, limit)
            return await _take(
                db, SQL.list_stream_records, *bounds, bytes_max=bytes_max
            )

    async def list_earlier_stream_records(
        self,
        stream_id: int,
        shard: int,
        *,
        partition_key: str | None,
        before: int | None,
        limit: int,
        bytes_max: int,
    ) -> list[StoredStreamRecord]:
        below = SEQUENCE_NUMBER_MAX if before is None else before
        bounds = (shard_key(stream_id, shard), below, partition_key, limit)
        async with self.database.moment("list_earlier_stream_records") as db:
            sql = SQL.list_earlier_stream_records
            return await _take(db, sql, *bounds, bytes_max=bytes_max)

    async def find_sequence_number(
        self, stream_id: int, shard: int, *, arrived_before_ms: int | None = None
    ) -> int:
        key = shard_key(stream_id, shard)
        async with self.database.session("find_sequence_number") as db:
            if arrived_before_ms is None:
                return int(await db.value(SQL.find_last_sequence_number, key))
            bounds = (key, arrived_before_ms)
            return int(await db.value(SQL.find_last_sequence_number_before, *bounds))

    async def put_stream_payload(
        self, payload_id: str, data: bytes, *, expires_ms: int
    ) -> None:
        async with self.database.session("put_stream_payload") as db:
            await db.run(SQL.put_stream_payload, payload_id, expires_ms, data)

    async def find_stream_payload(
        self, payload_id: str, *, now_ms: int
    ) -> bytes | None:
        async with self.database.session("find_stream_payload") as db:
            data: bytes | None = await db.value(
                SQL.find_stream_payload, payload_id, now_ms
            )
        return data


async def _take(
    db: Session, sql: str, *bounds: Any, bytes_max: int
) -> list[StoredStreamRecord]:
    """Take the first records, as many as there is room for, and one in any case."""
    found: list[StoredStreamRecord] = []
    size = 0

    def full(row: Any) -> bool:
        nonlocal size
        record = StoredStreamRecord(*row)
        size += len(record.data)
        if found and size > bytes_max:
            return True
        found.append(record)
        return False

    await db.rows_until(sql, *bounds, full=full)
    return found


class _StreamGoneError(Exception):
    """The stream was deleted while records were put into it."""


def shard_key(stream_id: int, shard: int) -> str:
    return f"{stream_id}:{shard}"


def _stream(row: Any) -> Stream:
    columns = dict(row)
    return Stream(tags=decode_tags(columns.pop("tags")), **columns)


async def purge_records(
    database: Database, *, now_ms: int, retention_ms: int, limit: int
) -> int:
    """
    Drop stream records beyond retention, the oldest first; return how many.

    Args:
        retention_ms: of streams that have no retention of their own.
    """
    before_ms: dict[str, int] = {}
    async with database.session("purge") as db:
        for stream in await db.rows(SQL.list_streams_by_retention):
            stream_id, shard_count, hours = stream
            kept_ms = retention_ms if hours is None else hours * HOUR_MS
            keys = (shard_key(stream_id, shard) for shard in range(shard_count))
            before_ms |= dict.fromkeys(keys, now_ms - kept_ms)
    return await _purge_shards(database, before_ms, limit)


async def _purge_shards(
    database: Database, before_ms: Mapping[str, int], limit: int
) -> int:
    """Drop the oldest records of shards, those from before a time."""
    if not before_ms:
        return 0
    bounds = ([*before_ms], [*before_ms.values()], limit)
    dropped = 0
    async with database.session("purge") as db:
        for key, last in await db.rows(SQL.find_old_stream_records, *bounds):
            dropped += await db.run(SQL.purge_stream_records, key, last)
    return dropped


async def purge_payloads(database: Database, *, now_ms: int, limit: int) -> int:
    """Drop expired payloads; return how many."""
    async with database.session("purge") as db:
        rows = await db.rows(SQL.list_expired_payloads, now_ms, limit)
        ids = [payload_id for (payload_id,) in rows]
        return await db.run(SQL.purge_stream_payloads, ids) if ids else 0


async def purge_deleted(database: Database, *, limit: int) -> int:
    """Drop data of a deleted stream; return how many rows."""
    async with database.session("purge") as db:
        row = await db.row(SQL.find_deleted_stream)
    if row is None:
        return 0
    stream_id, shard_count = row
    keys = [shard_key(stream_id, shard) for shard in range(shard_count)]
    dropped = await _purge_shards(database, dict.fromkeys(keys, FOR_EVER_MS), limit)
    if dropped:
        return dropped

    async def job(db: Session) -> int:
        for key in keys:
            await db.run(SQL.drop_shard, key)
        await db.run(SQL.drop_stream_consumers, stream_id)
        await db.run(SQL.drop_stream, stream_id)
        return 1

    return await database.write("purge", job)
