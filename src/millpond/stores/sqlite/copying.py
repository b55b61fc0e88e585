"""
Moving everything out of the embedded store and into it (`stores.copying`).

Every kind has two statements of its own and a first position, in tables. Rows are as
long and as bare as the tables' own; only what the tables keep otherwise than the rows
of the port has a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, cast

import msgspec

from millpond.core.identity_pools import IdentityPool
from millpond.stores import origins
from millpond.stores.copying import (
    ROWS,
    STREAM_KINDS,
    CopyMark,
    Counters,
    IdentityPoolRow,
    IdentityRow,
    Kind,
    Page,
    Row,
    StreamRecordRow,
    size_of,
)
from millpond.stores.sqlite import identity_pools, streams
from millpond.stores.sqlite.database import Database, Reader, Writer
from millpond.stores.sqlite.queries import Queries

SQL: Final = Queries("copying.sql")
_STREAMS_SQL: Final = Queries("copying_streams.sql")

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[Any]).decode
_decode_pool = msgspec.json.Decoder(IdentityPool).decode
_decode_logins = msgspec.json.Decoder(list[tuple[str, str]]).decode


class _Export(NamedTuple):
    sql: str
    first: tuple[Any, ...]  # below every position
    adapt: Callable[[Sequence[Any]], Sequence[Any]] | None = None


def _identity(columns: Sequence[Any]) -> Sequence[Any]:
    *others, guest, merged_into, logins, origin = columns
    logins = tuple(sorted(_decode_logins(logins)))
    return (*others, bool(guest), merged_into, logins, origins.decode(origin))


def _boolean(index: int) -> Callable[[Sequence[Any]], Sequence[Any]]:
    def adapt(columns: Sequence[Any]) -> Sequence[Any]:
        adapted = list(columns)
        adapted[index] = bool(adapted[index])
        return adapted

    return adapt


_EXPORTS: Final = {
    Kind.DEVELOPER_KEYS: _Export(SQL.export_developer_keys, ("",), _boolean(4)),
    Kind.TOKEN_KEYS: _Export(SQL.export_token_keys, ("",)),
    Kind.IDENTITY_POOLS: _Export(SQL.export_identity_pools, ("",)),
    Kind.IDENTITIES: _Export(SQL.export_identities, ("",), _identity),
    Kind.DATASETS: _Export(SQL.export_datasets, (0,), _boolean(4)),
    Kind.RECORDS: _Export(SQL.export_records, (0, "")),
    Kind.SPENT_SESSIONS: _Export(SQL.export_spent_sessions, (b"",)),
    Kind.DEVICES: _Export(SQL.export_devices, ("",), _boolean(7)),
    Kind.SUBSCRIPTIONS: _Export(SQL.export_subscriptions, (0, "")),
    Kind.PUSHES: _Export(SQL.export_pushes, ("", "")),
    Kind.OUTBOX: _Export(SQL.export_outbox, (0,)),
    Kind.PARKED_OUTBOX: _Export(SQL.export_parked_outbox, (0,)),
    Kind.BULK_PUBLISH_RUNS: _Export(SQL.export_bulk_publish_runs, ("",)),
    Kind.BULK_PUBLISH_SLICES: _Export(
        SQL.export_bulk_publish_slices, ("", -1), _boolean(5)
    ),
    Kind.IMPORTS: _Export(SQL.export_imports, ("",)),
    Kind.IMPORT_POSITIONS: _Export(SQL.export_import_positions, ("", "")),
    Kind.IMPORTED_IDENTITIES: _Export(SQL.export_imported_identities, ("", "")),
    Kind.STREAMS: _Export(_STREAMS_SQL.export_streams, (-1,)),
    Kind.STREAM_CONSUMERS: _Export(_STREAMS_SQL.export_stream_consumers, (-1, "")),
    Kind.STREAM_RECORDS: _Export(_STREAMS_SQL.export_stream_records, (-1, 0, 0)),
    Kind.STREAM_PAYLOADS: _Export(_STREAMS_SQL.export_stream_payloads, ("",)),
    Kind.AUDIT: _Export(SQL.export_audit, ("",), _boolean(4)),
}
_IMPORTS: Final = {
    Kind.DEVELOPER_KEYS: SQL.import_developer_keys,
    Kind.TOKEN_KEYS: SQL.import_token_keys,
    Kind.DATASETS: SQL.import_datasets,
    Kind.RECORDS: SQL.import_records,
    Kind.SPENT_SESSIONS: SQL.import_spent_sessions,
    Kind.DEVICES: SQL.import_devices,
    Kind.SUBSCRIPTIONS: SQL.import_subscriptions,
    Kind.PUSHES: SQL.import_pushes,
    Kind.OUTBOX: SQL.import_outbox,
    Kind.PARKED_OUTBOX: SQL.import_parked_outbox,
    Kind.BULK_PUBLISH_RUNS: SQL.import_bulk_publish_runs,
    Kind.BULK_PUBLISH_SLICES: SQL.import_bulk_publish_slices,
    Kind.IMPORTS: SQL.import_imports,
    Kind.IMPORT_POSITIONS: SQL.import_import_positions,
    Kind.IMPORTED_IDENTITIES: SQL.import_imported_identities,
    Kind.STREAMS: _STREAMS_SQL.import_streams,
    Kind.STREAM_CONSUMERS: _STREAMS_SQL.import_stream_consumers,
    Kind.STREAM_PAYLOADS: _STREAMS_SQL.import_stream_payloads,
    Kind.AUDIT: SQL.import_audit,
}


class Copies:
    """What `CopyStore` has beside the port of every store."""

    database: Database
    streams_database: Database

    async def hold_for_copy(self, *, alone: bool) -> bool:
        self.database.reading("hold_for_copy")
        return True  # the lock of the folder is held

    async def count_servers(self) -> int:
        self.database.reading("count_servers")
        return 0  # the lock of the folder tells

    async def find_copy_mark(self) -> CopyMark | None:
        rows = self.database.look("find_copy_mark", SQL.find_copy_mark, ())
        if not rows:
            return None
        source, fingerprint, begun_ms = rows[0]
        return CopyMark(source=source, fingerprint=fingerprint, begun_ms=begun_ms)

    async def begin_copy(self, mark: CopyMark) -> None:
        row = (mark.source, mark.fingerprint, mark.begun_ms)
        await self.database.write(lambda db: db.execute(SQL.put_copy_mark, row))

    async def end_copy(self) -> None:
        def forget(db: Writer) -> None:
            db.execute(SQL.drop_copy_positions)
            db.execute(SQL.drop_copy_mark)

        # The mark last: as long as it stands, the copy can be completed again.
        await self.streams_database.write(
            lambda db: db.execute(_STREAMS_SQL.drop_streams_copy_positions)
        )
        await self.database.write(forget)

    async def find_copy_position(self, kind: Kind) -> bytes | None:
        sql = SQL.find_copy_position
        if kind in STREAM_KINDS:
            sql = _STREAMS_SQL.find_streams_copy_position
        rows = self._file_of(kind).look("find_copy_position", sql, (kind.value,))
        return rows[0][0] if rows else None

    async def count_rows(self, kind: Kind) -> int:
        def job(cursor: Reader) -> int:
            rows = cursor.execute(f"SELECT count(*) FROM {kind.value}").fetchall()
            return int(rows[0][0])

        return await self._file_of(kind).read_slowly("count_rows", job)

    async def export(
        self, kind: Kind, *, after: bytes | None, limit: int, bytes_max: int
    ) -> Page:
        def job(cursor: Reader) -> Page:
            return _read_page(cursor, kind, after, limit, bytes_max)

        return await self._file_of(kind).read_slowly("export", job)

    async def import_(
        self, kind: Kind, rows: Sequence[Row], *, position: bytes
    ) -> None:
        find_position, put_position = SQL.find_copy_position, SQL.put_copy_position
        if kind in STREAM_KINDS:
            find_position = _STREAMS_SQL.find_streams_copy_position
            put_position = _STREAMS_SQL.put_streams_copy_position

        def job(db: Writer) -> None:
            # Stream records that were given other numbers cannot be told from new ones.
            if db.execute(find_position, (kind.value,)).fetchall() != [(position,)]:
                _write_rows(db, kind, rows)
                db.execute(put_position, (kind.value, position))

        await self._file_of(kind).write(job)

    async def read_counters(self) -> Counters:
        outbox = self.database.look("read_counters", SQL.read_outbox_counter, ())
        look = self.streams_database.look
        numbers = look("read_counters", _STREAMS_SQL.read_stream_counter, ())
        last = look("read_counters", streams.SQL.find_last_arrival, ())
        return Counters(
            outbox_id=outbox[0][0] if outbox else 0,
            sequence_number=numbers[0][0] if numbers else 0,
            arrival_ms=last[0][1] if last else 0,
        )

    async def raise_counters(self, counters: Counters) -> None:
        def raise_outbox(db: Writer) -> None:
            row = (counters.outbox_id,)
            if not db.execute(SQL.raise_outbox_counter, row).fetchall():
                db.execute(SQL.begin_outbox_counter, row)

        def raise_numbers(db: Writer) -> None:
            row = (counters.sequence_number,)
            if not db.execute(_STREAMS_SQL.raise_stream_counter, row).fetchall():
                db.execute(_STREAMS_SQL.begin_stream_counter, row)

        await self.database.write(raise_outbox)
        await self.streams_database.write(raise_numbers)

    def _file_of(self, kind: Kind) -> Database:
        return self.streams_database if kind in STREAM_KINDS else self.database


def first_position(kind: Kind) -> tuple[Any, ...]:
    """Give what is below every position of a kind."""
    return _EXPORTS[kind].first


def _read_page(
    cursor: Reader, kind: Kind, after: bytes | None, limit: int, bytes_max: int
) -> Page:
    sql, first, adapt = _EXPORTS[kind]
    position = list(first) if after is None else _unpack(after)
    length = len(first)
    make = ROWS[kind]
    found: list[Row] = []
    size = 0
    for row in cursor.execute(sql, (*position, limit)):
        columns = row[length:]
        found.append(make(*(columns if adapt is None else adapt(columns))))
        position = row[:length]
        size += size_of(columns)
        if size >= bytes_max:
            break
    return Page(found, _pack(position))


def _write_rows(db: Writer, kind: Kind, rows: Sequence[Row]) -> None:
    match kind:
        case Kind.IDENTITY_POOLS:
            _write_pools(db, cast("Sequence[IdentityPoolRow]", rows))
        case Kind.IDENTITIES:
            _write_identities(db, cast("Sequence[IdentityRow]", rows))
        case Kind.STREAM_RECORDS:
            _write_stream_records(db, cast("Sequence[StreamRecordRow]", rows))
        case _:
            db.executemany(_IMPORTS[kind], map(msgspec.structs.astuple, rows))


def _write_pools(db: Writer, rows: Iterable[IdentityPoolRow]) -> None:
    for pool_id, description, *usage in map(msgspec.structs.astuple, rows):
        pool = _decode_pool(description)
        streaming = identity_pools.is_streaming(pool)
        columns = (pool_id, description, streaming, pool.sync_trigger)
        db.execute(SQL.import_identity_pool, columns)
        db.execute(SQL.import_identity_pool_usage, (pool_id, *usage))


def _write_identities(db: Writer, rows: Iterable[IdentityRow]) -> None:
    for row in rows:
        *columns, logins, origin = msgspec.structs.astuple(row)
        db.execute(SQL.import_identity, (*columns, origins.encode(origin)))
        owner = (row.identity_pool_id, row.identity_id)
        db.executemany(SQL.import_login, [(*owner, *each) for each in logins])


def _write_stream_records(db: Writer, rows: Iterable[StreamRecordRow]) -> None:
    """
    Write stream records; a number that another shard has used becomes a higher one.

    Within a shard the order stays: what follows such a record goes behind it.
    """
    last: dict[tuple[int, int], int] = {}
    for row in rows:
        shard = (row.stream_id, row.shard)
        if shard not in last:
            ((last[shard],),) = db.execute(
                _STREAMS_SQL.find_last_number_of_shard, shard
            ).fetchall()
        number = max(row.sequence_number, last[shard] + 1)
        columns = (row.arrival_ms, row.partition_key, row.data)
        while not db.execute(
            _STREAMS_SQL.import_stream_record, (*shard, number, *columns)
        ).fetchall():
            number += 1
        last[shard] = number
