"""Embedded streams in the embedded store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from millpond.stores.base import (
    NewStreamRecord,
    StoredStreamRecord,
    Stream,
    StreamsUsage,
)
from millpond.stores.sqlite.database import Database, Reader, Rows, Writer
from millpond.stores.sqlite.queries import Queries
from millpond.stores.streams import (
    HOUR_MS,
    decode_tags,
    encode_tags,
    longest_retention_ms,
)

SQL: Final = Queries("streams.sql")
SEQUENCE_NUMBER_MAX: Final = 2**63 - 1


class Streams:
    """The `StreamStore` part of the port."""

    streams_database: Database

    async def create_stream(
        self,
        stream_name: str,
        *,
        shard_count: int,
        now_ms: int,
        stream_mode: str = "PROVISIONED",
        tags: Mapping[str, str] | None = None,
    ) -> bool:
        row = (stream_name, shard_count, now_ms, stream_mode, encode_tags(tags))
        return await self.streams_database.write(
            lambda db: bool(db.execute(SQL.create_stream, row).fetchall())
        )

    async def delete_stream(self, stream_name: str) -> bool:
        return await self.streams_database.write(
            lambda db: bool(db.execute(SQL.delete_stream, (stream_name,)).fetchall())
        )

    async def find_stream(self, stream_name: str) -> Stream | None:
        with self.streams_database.reading("find_stream") as cursor:
            rows = cursor.execute(SQL.find_stream, (stream_name,)).fetchall()
        return _stream(rows[0]) if rows else None

    async def list_streams(self, *, after: str | None, limit: int) -> list[Stream]:
        with self.streams_database.reading("list_streams") as cursor:
            rows = cursor.execute(SQL.list_streams, (after or "", limit)).fetchall()
        return [_stream(row) for row in rows]

    async def update_stream(
        self, stream_id: int, change: Callable[[Stream], Stream]
    ) -> Stream | None:
        def job(db: Writer) -> Stream | None:
            rows = db.execute(SQL.find_stream_by_id, (stream_id,)).fetchall()
            if not rows:
                return None
            changed = change(_stream(rows[0]))
            tags = encode_tags(changed.tags)
            row = (changed.retention_hours, changed.stream_mode, tags, stream_id)
            db.execute(SQL.update_stream, row)
            return changed

        return await self.streams_database.write(job)

    async def measure_streams(self) -> StreamsUsage:
        with self.streams_database.reading("measure_streams") as cursor:
            rows = cursor.execute(SQL.measure_streams).fetchall()
        return StreamsUsage(*rows[0])

    async def put_stream_records(
        self, stream_id: int, records: Sequence[NewStreamRecord], *, now_ms: int
    ) -> list[int] | None:
        def job(db: Writer) -> list[int] | None:
            if not db.execute(SQL.find_live_stream, (stream_id,)).fetchall():
                return None
            last = db.execute(SQL.find_last_arrival).fetchall()
            # The clock may step back; arrivals may not, they are searched by halving.
            arrival_ms = max(now_ms, last[0][1]) if last else now_ms
            db.executemany(
                SQL.put_stream_record,
                [
                    (stream_id, each.shard, arrival_ms, each.partition_key, each.data)
                    for each in records
                ],
            )
            # One writer, so the numbers of one job follow each other.
            last_number = db.last_insert_rowid()
            return list(range(last_number - len(records) + 1, last_number + 1))

        return await self.streams_database.write(job)

    async def list_stream_records(
        self, stream_id: int, shard: int, *, after: int, limit: int, bytes_max: int
    ) -> list[StoredStreamRecord]:
        def job(cursor: Reader) -> list[StoredStreamRecord]:
            bounds = (stream_id, shard, after, limit)
            rows = cursor.execute(SQL.list_stream_records, bounds)
            return _take(rows, bytes_max)

        return await self.streams_database.read_slowly("list_stream_records", job)

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
        def job(cursor: Reader) -> list[StoredStreamRecord]:
            below = SEQUENCE_NUMBER_MAX if before is None else before
            bounds = (stream_id, shard, below, partition_key, limit)
            rows = cursor.execute(SQL.list_earlier_stream_records, bounds)
            return _take(rows, bytes_max)

        return await self.streams_database.read_slowly(
            "list_earlier_stream_records", job
        )

    async def find_sequence_number(
        self, stream_id: int, shard: int, *, arrived_before_ms: int | None = None
    ) -> int:
        with self.streams_database.reading("find_sequence_number") as cursor:
            if arrived_before_ms is None:
                rows = cursor.execute(SQL.find_last_sequence_number, (stream_id, shard))
            else:
                bound = _first_arrival(cursor, arrived_before_ms)
                rows = cursor.execute(
                    SQL.find_last_sequence_number_below, (stream_id, shard, bound)
                )
            ((number,),) = rows.fetchall()
        return int(number)

    async def put_stream_payload(
        self, payload_id: str, data: bytes, *, expires_ms: int
    ) -> None:
        row = (payload_id, expires_ms, data)
        await self.streams_database.write(
            lambda db: db.execute(SQL.put_stream_payload, row)
        )

    async def find_stream_payload(
        self, payload_id: str, *, now_ms: int
    ) -> bytes | None:
        with self.streams_database.reading("find_stream_payload") as cursor:
            rows = cursor.execute(
                SQL.find_stream_payload, (payload_id, now_ms)
            ).fetchall()
        return rows[0][0] if rows else None


def _take(rows: Rows, bytes_max: int) -> list[StoredStreamRecord]:
    """Take the first records, as many as there is room for, and one in any case."""
    found: list[StoredStreamRecord] = []
    size = 0
    for row in rows:
        record = StoredStreamRecord(*row)
        size += len(record.data)
        if found and size > bytes_max:
            break
        found.append(record)
    return found


def _first_arrival(cursor: Reader, time_ms: int) -> int:
    """
    Find the first sequence number, of all streams, that arrived at `time_ms` or later;
    one above the last when there is none.

    Arrivals never fall as sequence numbers grow, so halving finds it in a few looks.
    """
    last = cursor.execute(SQL.find_last_arrival).fetchall()
    if not last:
        return 1
    low, high = 1, last[0][0] + 1  # the answer is within, both ends included
    while low < high:
        middle = (low + high) // 2
        rows = cursor.execute(SQL.find_arrival_from, (middle,)).fetchall()
        if rows and rows[0][1] < time_ms:
            low = rows[0][0] + 1
        else:
            high = middle
    return low


def _stream(row: Sequence[Any]) -> Stream:
    stream_id, name, shard_count, creation_date_ms, hours, mode, tags = row
    return Stream(
        stream_id=stream_id,
        stream_name=name,
        shard_count=shard_count,
        creation_date_ms=creation_date_ms,
        retention_hours=hours,
        stream_mode=mode,
        tags=decode_tags(tags),
    )


def purge_records(db: Writer, *, now_ms: int, retention_ms: int, limit: int) -> int:
    """
    Drop stream records beyond retention, the oldest first; return how many.

    Args:
        retention_ms: of streams that have no retention of their own.
    """
    own = [hours for (hours,) in db.execute(SQL.list_retentions).fetchall()]
    longest_ms = longest_retention_ms(own, retention_ms)
    # Nobody can reach what is older than that, whatever stream it is of; which is all
    # there is to do where no stream has a retention of its own.
    bound = _first_arrival(db, now_ms - longest_ms)
    dropped = len(db.execute(SQL.purge_stream_records, (bound, limit)).fetchall())
    if own:
        dropped += _purge_each(db, now_ms, retention_ms, longest_ms, limit - dropped)
    return dropped


def _purge_each(
    db: Writer, now_ms: int, retention_ms: int, longest_ms: int, limit: int
) -> int:
    """Drop records of the streams that keep them for less time than another one."""
    bounds: dict[int, int] = {}  # sequence numbers, by retention
    dropped = 0
    for stream in db.execute(SQL.list_streams_by_retention).fetchall():
        stream_id, shard_count, hours = stream
        kept_ms = retention_ms if hours is None else hours * HOUR_MS
        if kept_ms == longest_ms:
            continue
        if kept_ms not in bounds:
            bounds[kept_ms] = _first_arrival(db, now_ms - kept_ms)
        for shard in range(shard_count):
            if dropped >= limit:
                return dropped
            row = (stream_id, shard, bounds[kept_ms], limit - dropped)
            dropped += len(db.execute(SQL.purge_shard, row).fetchall())
    return dropped


def purge_payloads(db: Writer, *, now_ms: int, limit: int) -> int:
    """Drop expired payloads; return how many."""
    return len(db.execute(SQL.purge_stream_payloads, (now_ms, limit)).fetchall())


def purge_deleted(db: Writer, *, limit: int) -> int:
    """Drop data of a deleted stream; return how many rows."""
    rows = db.execute(SQL.find_deleted_stream).fetchall()
    if not rows:
        return 0
    (stream_id,) = rows[0]
    dropped = len(db.execute(SQL.purge_deleted_stream, (stream_id, limit)).fetchall())
    if dropped < limit:
        db.execute(SQL.drop_stream_consumers, (stream_id,))
        db.execute(SQL.drop_stream, (stream_id,))
        dropped += 1
    return dropped
