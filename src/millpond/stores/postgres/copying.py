"""
Moving everything out of PostgreSQL and into it (`stores.copying`).

Every kind has two statements of its own and a first position, in tables. A page is
written with one statement, its columns as arrays.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, cast

import msgspec

from millpond.core.identities import Login
from millpond.core.identity_pools import IdentityPool
from millpond.errors import StoreUnavailableError
from millpond.stores import origins
from millpond.stores.copying import (
    ROWS,
    CopyMark,
    Counters,
    DeviceRow,
    IdentityPoolRow,
    IdentityRow,
    Kind,
    Page,
    RecordRow,
    Row,
    SpentSessionRow,
    StreamRecordRow,
    StreamRow,
    size_of,
)
from millpond.stores.postgres import identities, identity_pools
from millpond.stores.postgres.database import Database, Session
from millpond.stores.postgres.datasets import digests_of
from millpond.stores.postgres.distribution import DISTRIBUTED_TABLES
from millpond.stores.postgres.queries import Queries
from millpond.stores.postgres.shards import SQL as SHARDS_SQL
from millpond.stores.postgres.shards import Question, Shards
from millpond.stores.postgres.streams import shard_key

SQL: Final = Queries("copying.sql")
ROWS_AT_ONCE: Final = 64  # of which each may have a MiB
PAYLOADS_AT_ONCE: Final = 4  # which are large, or they would not be there
COUNTED_MAX: Final = 1_000_000  # exactly; to count more takes its time

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[Any]).decode
_encode = msgspec.json.Encoder().encode
_decode_pool = msgspec.json.Decoder(IdentityPool).decode
_decode_logins = msgspec.json.Decoder(list[tuple[str, str]]).decode


class _Export(NamedTuple):
    sql: str
    first: tuple[Any, ...]  # below every position
    adapt: Callable[[Sequence[Any]], Sequence[Any]] | None = None


def _identity(columns: Sequence[Any]) -> Sequence[Any]:
    *others, logins, origin = columns
    logins = tuple(sorted(_decode_logins(logins)))
    return (*others, logins, origins.decode(origin))


def _spent(columns: Sequence[Any]) -> Sequence[Any]:
    *others, amended = columns
    return (*others, None if amended is None else amended.encode())


_EXPORTS: Final = {
    Kind.DEVELOPER_KEYS: _Export(SQL.export_developer_keys, ("",)),
    Kind.TOKEN_KEYS: _Export(SQL.export_token_keys, ("",)),
    Kind.IDENTITY_POOLS: _Export(SQL.export_identity_pools, ("",)),
    Kind.IDENTITIES: _Export(SQL.export_identities, ("",), _identity),
    Kind.DATASETS: _Export(SQL.export_datasets, ("", "", "")),
    Kind.RECORDS: _Export(SQL.export_records, ("", "", "", b"")),
    Kind.SPENT_SESSIONS: _Export(SQL.export_spent_sessions, ("", b""), _spent),
    Kind.DEVICES: _Export(SQL.export_devices, ("", "")),
    Kind.SUBSCRIPTIONS: _Export(SQL.export_subscriptions, ("", "", "", "")),
    Kind.PUSHES: _Export(SQL.export_pushes, ("", "", "")),
    Kind.OUTBOX: _Export(SQL.export_outbox, ("", 0)),
    Kind.PARKED_OUTBOX: _Export(SQL.export_parked_outbox, ("", 0)),
    Kind.BULK_PUBLISH_RUNS: _Export(SQL.export_bulk_publish_runs, ("",)),
    Kind.BULK_PUBLISH_SLICES: _Export(SQL.export_bulk_publish_slices, ("", -1)),
    Kind.IMPORTS: _Export(SQL.export_imports, ("",)),
    Kind.IMPORT_POSITIONS: _Export(SQL.export_import_positions, ("", "")),
    Kind.IMPORTED_IDENTITIES: _Export(SQL.export_imported_identities, ("", "")),
    Kind.STREAMS: _Export(SQL.export_streams, (-1,)),
    Kind.STREAM_CONSUMERS: _Export(SQL.export_stream_consumers, (-1, "")),
    Kind.STREAM_PAYLOADS: _Export(SQL.export_stream_payloads, ("",)),
    Kind.AUDIT: _Export(SQL.export_audit, ("",)),
}
_FIRST_STREAM_RECORD: Final = (-1, 0, 0)
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
    Kind.STREAM_CONSUMERS: SQL.import_stream_consumers,
    Kind.STREAM_RECORDS: SQL.import_stream_records,
    Kind.STREAM_PAYLOADS: SQL.import_stream_payloads,
    Kind.AUDIT: SQL.import_audit,
}


class Copies:
    """What `CopyStore` has beside the port of every store."""

    database: Database
    shards: Shards
    copy_hold: Any = None  # the connection that has the lock of a copy

    async def hold_for_copy(self, *, alone: bool) -> bool:
        with self.database.accepted("hold_for_copy"):
            connection = await self.database.connect("hold_for_copy")
        sql = SQL.try_lock_alone if alone else SQL.try_lock_shared
        held = await self.database.guard("hold_for_copy", connection.fetchval(sql))
        if held:
            self.copy_hold = connection  # it ends with the process, if not before
        else:
            connection.terminate()
        return bool(held)

    async def count_servers(self) -> int:
        async with self.database.session("count_servers") as db:
            return int(await db.value(SQL.count_nodes))

    async def find_copy_mark(self) -> CopyMark | None:
        async with self.database.session("find_copy_mark") as db:
            row = await db.row(SQL.find_copy_mark)
        return None if row is None else CopyMark(**row)

    async def begin_copy(self, mark: CopyMark) -> None:
        async with self.database.session("begin_copy") as db:
            row = (mark.source, mark.fingerprint, mark.begun_ms)
            await db.run(SQL.put_copy_mark, *row)

    async def end_copy(self) -> None:
        async def job(db: Session) -> None:
            await db.run(SQL.drop_copy_positions)
            await db.run(SQL.drop_copy_mark)

        await self.database.write("end_copy", job)

    async def find_copy_position(self, kind: Kind) -> bytes | None:
        async with self.database.session("find_copy_position") as db:
            position: bytes | None = await db.value(SQL.find_copy_position, kind.value)
        return position

    async def count_rows(self, kind: Kind) -> int:
        table = kind.value
        counting = f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {{}}) AS counted"
        if self.database.is_spread and table in DISTRIBUTED_TABLES:
            # Each server counts what it has: nobody is sent the rows themselves.
            sql = f"SELECT ({counting.format('$2')}), ({SHARDS_SQL.estimate_rows_here})"
            columns = "counted bigint, estimated bigint"
            question = Question("count_rows", sql, (table,), columns)
            counts = await self.shards.look_at(None, question, table, COUNTED_MAX)
            return sum(n if n < COUNTED_MAX else max(n, about) for n, about in counts)
        async with self.database.session("count_rows") as db:
            count = int(await db.value(counting.format(COUNTED_MAX)))
            if count < COUNTED_MAX:
                return count
            return max(count, int(await db.value(SQL.estimate_rows, table)))

    async def export(
        self, kind: Kind, *, after: bytes | None, limit: int, bytes_max: int
    ) -> Page:
        async with self.database.moment("export") as db:
            if kind is Kind.STREAM_RECORDS:
                return await _read_stream_records(db, after, limit, bytes_max)
            page = await _read_page(db, kind, after, limit, bytes_max)
            if kind is Kind.IDENTITY_POOLS:
                pools = cast("Sequence[IdentityPoolRow]", page.rows)
                return Page(await _with_uncounted(db, pools), page.position)
            return page

    async def import_(
        self, kind: Kind, rows: Sequence[Row], *, position: bytes
    ) -> None:
        if self.copy_hold is not None and self.copy_hold.is_closed():
            raise StoreUnavailableError(
                "The connection that keeps others from copying was lost.", op="import"
            )

        async def job(db: Session) -> None:
            if rows:
                await _write_rows(db, kind, rows)
            await db.run(SQL.put_copy_position, kind.value, position)

        await self.database.write("import", job)

    async def read_counters(self) -> Counters:
        async with self.database.session("read_counters") as db:
            outbox_id = await db.value(SQL.read_outbox_counter)
            number, arrival_ms = await db.row(SQL.read_stream_counters)
        return Counters(
            outbox_id=outbox_id, sequence_number=number, arrival_ms=arrival_ms
        )

    async def raise_counters(self, counters: Counters) -> None:
        async def job(db: Session) -> None:
            if counters.outbox_id > await db.value(SQL.read_outbox_counter):
                await db.value(SQL.raise_outbox_counter, counters.outbox_id)
            row = (counters.sequence_number, counters.arrival_ms)
            await db.run(SQL.raise_stream_counters, *row)

        await self.database.write("raise_counters", job)


def first_position(kind: Kind) -> tuple[Any, ...]:
    """Give what is below every position of a kind."""
    return _EXPORTS[kind].first


async def _read_page(
    db: Session, kind: Kind, after: bytes | None, limit: int, bytes_max: int
) -> Page:
    sql, first, adapt = _EXPORTS[kind]
    position: Sequence[Any] = first if after is None else _unpack(after)
    length = len(first)
    make = ROWS[kind]
    found: list[Row] = []
    size = 0

    def full(row: Any) -> bool:
        nonlocal position, size
        values = tuple(row)
        columns = values[length:]
        found.append(make(*(columns if adapt is None else adapt(columns))))
        position = values[:length]
        size += size_of(columns)
        return size >= bytes_max

    bounds = (*position, limit)
    at_once = ROWS_AT_ONCE
    if kind is Kind.STREAM_PAYLOADS:
        at_once = PAYLOADS_AT_ONCE
    await db.rows_until(sql, *bounds, full=full, at_once=at_once)
    return Page(found, _pack(position))


async def _read_stream_records(
    db: Session, after: bytes | None, limit: int, bytes_max: int
) -> Page:
    """Read records of the first shard behind a position that has any."""
    begin = _FIRST_STREAM_RECORD if after is None else tuple(_unpack(after))
    found: list[Row] = []
    size = 0

    def full(row: Any) -> bool:
        nonlocal size
        found.append(StreamRecordRow(stream_id, shard, *row))
        size += size_of(tuple(row))
        return size >= bytes_max

    for stream_id, shards in await db.rows(SQL.list_live_streams, begin[0]):
        for shard in range(shards):
            if (stream_id, shard) < begin[:2]:
                continue
            behind = begin[2] if (stream_id, shard) == begin[:2] else 0
            bounds = (shard_key(stream_id, shard), behind, limit)
            await db.rows_until(
                SQL.export_shard, *bounds, full=full, at_once=ROWS_AT_ONCE
            )
            if found:
                last = cast("StreamRecordRow", found[-1])
                return Page(found, _pack((stream_id, shard, last.sequence_number)))
    return Page([], _pack(begin))


async def _with_uncounted(
    db: Session, rows: Sequence[IdentityPoolRow]
) -> list[IdentityPoolRow]:
    """Add what waits with the identities to the usage of pools."""
    pools = [row.identity_pool_id for row in rows]
    waiting = {
        pool: (size, date)
        for pool, size, date in await db.rows(
            identity_pools.SQL.sum_uncounted_usage, pools
        )
    }
    found = []
    for row in rows:
        size, date = waiting.get(row.identity_pool_id, (0, None))
        dates = [each for each in (row.last_modified_date_ms, date) if each is not None]
        found.append(
            msgspec.structs.replace(
                row,
                data_storage=row.data_storage + size,
                last_modified_date_ms=max(dates, default=None),
            )
        )
    return found


async def _write_rows(db: Session, kind: Kind, rows: Sequence[Row]) -> None:
    match kind:
        case Kind.IDENTITY_POOLS:
            await _write_pools(db, cast("Sequence[IdentityPoolRow]", rows))
        case Kind.IDENTITIES:
            await _write_identities(db, cast("Sequence[IdentityRow]", rows))
        case Kind.STREAMS:
            await _write_streams(db, cast("Sequence[StreamRow]", rows))
        case _:
            tuples = map(msgspec.structs.astuple, rows)
            if kind in _COLUMNS:
                tuples = map(_COLUMNS[kind], rows)
            arrays = arrays_of(tuples)
            await db.run(_IMPORTS[kind], *arrays)
            if kind is Kind.DATASETS:
                version = secrets.randbits(48)
                await db.run(SQL.import_heads, *arrays[:2], version)


def arrays_of(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def record_columns(row: Any) -> tuple[Any, ...]:
    record: RecordRow = row
    return (*msgspec.structs.astuple(record), *digests_of([record.record_key]))


def _spent_session(row: Any) -> tuple[Any, ...]:
    session: SpentSessionRow = row
    *columns, amended = msgspec.structs.astuple(session)
    return (*columns, None if amended is None else amended.decode())


def _device(row: Any) -> tuple[Any, ...]:
    device: DeviceRow = row
    digest = hashlib.sha256(device.token.encode()).digest()
    return (*msgspec.structs.astuple(device), digest)


def _stream_record(row: Any) -> tuple[Any, ...]:
    record: StreamRecordRow = row
    stream_id, shard, *columns = msgspec.structs.astuple(record)
    return (shard_key(stream_id, shard), *columns)


# Where the columns are other ones than those of the row.
_COLUMNS: Final[dict[Kind, Callable[[Any], tuple[Any, ...]]]] = {
    Kind.RECORDS: record_columns,
    Kind.SPENT_SESSIONS: _spent_session,
    Kind.DEVICES: _device,
    Kind.STREAM_RECORDS: _stream_record,
}


async def _write_pools(db: Session, rows: Sequence[IdentityPoolRow]) -> None:
    pools = [_decode_pool(row.description) for row in rows]
    ids = [row.identity_pool_id for row in rows]
    await db.run(
        SQL.import_identity_pools,
        ids,
        [row.description for row in rows],
        [identity_pools.is_streaming(pool) for pool in pools],
        [pool.sync_trigger for pool in pools],
    )
    await db.run(
        SQL.import_identity_pool_usage,
        ids,
        [row.sync_sessions_count for row in rows],
        [row.data_storage for row in rows],
        [row.last_modified_date_ms for row in rows],
    )


async def _write_identities(db: Session, rows: Sequence[IdentityRow]) -> None:
    columns = [
        (
            *msgspec.structs.astuple(row)[:-2],
            _encode(row.logins),
            origins.encode(row.origin),
        )
        for row in rows
    ]
    await db.run(SQL.import_identities, *arrays_of(columns))
    logins = [
        (
            identities.digest_of(row.identity_pool_id, Login(*login)),
            row.identity_pool_id,
            row.identity_id,
        )
        for row in rows
        for login in row.logins
    ]
    if logins:
        await db.run(SQL.import_logins, *arrays_of(logins))


async def _write_streams(db: Session, rows: Sequence[StreamRow]) -> None:
    await db.run(SQL.import_streams, *arrays_of(map(msgspec.structs.astuple, rows)))
    shards = [
        (shard_key(row.stream_id, shard), row.stream_id)
        for row in rows
        for shard in range(row.shard_count)
    ]
    await db.run(SQL.import_shards, *arrays_of(shards))
