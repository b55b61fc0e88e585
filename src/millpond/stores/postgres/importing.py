"""A pool that moves in, in PostgreSQL (`stores.importing`)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Sequence
from operator import itemgetter
from typing import Any, Final

import msgspec

from millpond.core.identities import Identity, Login
from millpond.core.identity_pools import IdentityPool
from millpond.core.sync import DatasetState
from millpond.stores.copying import IdentityRow, RecordRow
from millpond.stores.importing import (
    Arrival,
    Arrived,
    ArrivingDataset,
    Decide,
    ImportedIdentity,
    ImportMeasure,
    ImportState,
)
from millpond.stores.postgres import copying, heads, identities
from millpond.stores.postgres import identity_pools as pools
from millpond.stores.postgres.database import Database, Session
from millpond.stores.postgres.queries import Queries
from millpond.stores.postgres.rows import to_state
from millpond.stores.settling import (
    Settlement,
    Stored,
    identity_row,
    row_of,
    settle,
)

SQL: Final = Queries("importing.sql")

_encode = msgspec.json.Encoder().encode
_decode_state = msgspec.json.Decoder(ImportState).decode
_decode_mark = msgspec.json.Decoder(ImportedIdentity).decode


class Imports:
    """The `ImportStore` part of the port."""

    database: Database

    async def begin_import(
        self, pool: IdentityPool, state: ImportState, *, pools_max: int
    ) -> ImportState | None:
        name = pool.identity_pool_id

        async def job(db: Session) -> ImportState | None:
            await db.run(pools.SQL.lock_identity_pools)
            await db.run(pools.SQL.hold_pool_to_change, name)
            found = await db.value(SQL.find_import, name)
            if found is not None:
                return _decode_state(found)
            if await pools.find(db, name) is None:
                if await db.value(pools.SQL.count_identity_pools) >= pools_max:
                    return None
                await db.run(pools.SQL.create_identity_pool, *pools.columns_of(pool))
                await db.run(pools.SQL.create_identity_pool_usage, name)
            else:
                for sql in (SQL.has_identities, SQL.has_datasets):
                    if await db.value(sql, name):
                        return None
                await db.run(pools.SQL.update_identity_pool, *pools.columns_of(pool))
            await db.run(SQL.put_import, name, _encode(state))
            return state

        return await self.database.write("begin_import", job)

    async def find_import(self, identity_pool_id: str) -> ImportState | None:
        async with self.database.session("find_import") as db:
            state = await db.value(SQL.find_import, identity_pool_id)
        return None if state is None else _decode_state(state)

    async def list_imports(self) -> list[ImportState]:
        async with self.database.session("list_imports") as db:
            rows = await db.rows(SQL.list_imports)
        return [_decode_state(state) for (state,) in rows]

    async def change_import(
        self, identity_pool_id: str, change: Callable[[ImportState], ImportState]
    ) -> ImportState | None:
        async def job(db: Session) -> ImportState | None:
            await db.run(pools.SQL.hold_pool_to_change, identity_pool_id)
            found = await db.value(SQL.find_import, identity_pool_id)
            if found is None:
                return None
            state = change(_decode_state(found))
            await db.run(SQL.put_import, identity_pool_id, _encode(state))
            return state

        return await self.database.write("change_import", job)

    async def find_import_position(
        self, identity_pool_id: str, name: str
    ) -> bytes | None:
        row = (identity_pool_id, name)
        async with self.database.session("find_import_position") as db:
            position: bytes | None = await db.value(SQL.find_import_position, *row)
        return position

    async def put_import_position(
        self, identity_pool_id: str, name: str, position: bytes | None
    ) -> None:
        async with self.database.session("put_import_position") as db:
            await _put_position(db, identity_pool_id, name, position)

    async def find_imported(
        self, identity_pool_id: str, identity_ids: Collection[str]
    ) -> dict[str, ImportedIdentity]:
        ids = sorted(identity_ids)
        async with self.database.session("find_imported") as db:
            rows = await db.rows(SQL.find_imported, identity_pool_id, ids)
        return {identity_id: _decode_mark(mark) for identity_id, mark, _ in rows}

    async def arrive(
        self,
        identity_pool_id: str,
        arrivals: Sequence[Arrival],
        decide: Decide,
        *,
        pass_number: int,
        now_ms: int,
        position: tuple[str, bytes] | None = None,
    ) -> Arrived | None:
        async def job(db: Session) -> Arrived | None:
            await pools.hold(db, identity_pool_id)
            if await pools.find(db, identity_pool_id) is None:
                return None
            total = Arrived()
            # One that comes in parts sees what its first part has written.
            for group in _without_repeats(arrivals):
                ids = [each.identity_id for each in group]
                await heads.hold(db, identity_pool_id, ids)
                stored = await _load(db, identity_pool_id, ids)
                settled = [
                    settle(
                        each,
                        stored[each.identity_id],
                        decide,
                        pass_number=pass_number,
                        now_ms=now_ms,
                    )
                    for each in group
                ]
                arrived = await _write(db, identity_pool_id, group, settled, stored)
                total = total.plus(arrived)
            if position is not None:
                await _put_position(db, identity_pool_id, *position)
            return total

        return await self.database.write("arrive", job)

    async def note_enabled(
        self, identity_pool_id: str, identity_ids: Collection[str], *, pass_number: int
    ) -> None:
        row = (identity_pool_id, sorted(identity_ids), pass_number)
        async with self.database.session("note_enabled") as db:
            await db.run(SQL.note_enabled, *row)

    async def list_not_enabled(
        self, identity_pool_id: str, *, pass_number: int, after: str, limit: int
    ) -> list[str]:
        bounds = (identity_pool_id, after, pass_number, limit)
        async with self.database.session("list_not_enabled") as db:
            return [each for (each,) in await db.rows(SQL.list_not_enabled, *bounds)]

    async def list_imported(
        self, identity_pool_id: str, *, after: str, limit: int, aside: bool = False
    ) -> list[tuple[str, ImportedIdentity]]:
        sql = SQL.list_imported_aside if aside else SQL.list_imported
        async with self.database.session("list_imported") as db:
            rows = await db.rows(sql, identity_pool_id, after, limit)
        return [(identity_id, _decode_mark(mark)) for identity_id, mark in rows]

    async def measure_import(self, identity_pool_id: str) -> ImportMeasure:
        async with self.database.session("measure_import") as db:
            row = await db.row(SQL.measure_import, identity_pool_id)
        return ImportMeasure(
            identities=row[0], done=row[1], datasets=row[2], aside=row[3]
        )

    async def find_arrival(
        self, identity_pool_id: str, identity_id: str
    ) -> Arrival | None:
        async with self.database.moment("find_arrival") as db:
            return await _read_arrival(db, identity_pool_id, identity_id)


def _without_repeats(arrivals: Sequence[Arrival]) -> Iterable[list[Arrival]]:
    """Part arrivals, in their order, so that no identity is in a group twice."""
    group: dict[str, Arrival] = {}
    for each in arrivals:
        if each.identity_id in group:
            yield list(group.values())
            group = {}
        group[each.identity_id] = each
    if group:
        yield list(group.values())


async def _put_position(
    db: Session, pool: str, name: str, position: bytes | None
) -> None:
    if position is None:
        await db.run(SQL.drop_import_position, pool, name)
    else:
        await db.run(SQL.put_import_position, pool, name, position)


async def _load(db: Session, pool: str, ids: Sequence[str]) -> dict[str, Stored]:
    marks = {
        identity_id: (_decode_mark(mark), merged_into)
        for identity_id, mark, merged_into in await db.rows(
            SQL.find_imported, pool, ids
        )
    }
    found = {
        row["identity_id"]: identities.identity_of(row)
        for row in await db.rows(SQL.find_any_identities, ids)
    }
    states: dict[str, dict[str, DatasetState]] = {each: {} for each in ids}
    for row in await db.rows(SQL.list_all_datasets, pool, ids):
        states[row["identity_id"]][row["dataset_name"]] = to_state(row)
    return {
        each: Stored(
            mark=marks[each][0] if each in marks else None,
            identity=found.get(each),
            datasets=states[each],
            merged_into=marks[each][1] if each in marks else None,
        )
        for each in ids
    }


async def _write(
    db: Session,
    pool: str,
    arrivals: Sequence[Arrival],
    settled: Sequence[Settlement],
    stored: dict[str, Stored],
) -> Arrived:
    written = [each.identity for each in settled if each.identity is not None]
    for row in written:
        await _put_identity(db, row, stored[row.identity_id].identity)
    grown: dict[str, tuple[int, int]] = {}
    records = size = 0
    await _put_datasets(db, [each for one in settled for each in one.datasets], stored)
    for arrival, one in zip(arrivals, settled, strict=True):
        before = stored[arrival.identity_id].datasets
        for each in one.datasets:
            after = await _settle_size(db, each)
            old = before.get(each.row.dataset_name)
            more, date_ms = grown.get(arrival.identity_id, (0, 0))
            grown[arrival.identity_id] = (
                more + after - (old.data_storage if old else 0),
                max(date_ms, each.row.last_modified_date_ms),
            )
            records += len(each.records)
            size += after
    usage = [(pool, identity_id, *each) for identity_id, each in grown.items()]
    if usage:
        await db.run_many(SQL.add_usage, usage)
    marks = [
        (
            arrival.identity_id,
            pool,
            one.mark.pass_number,
            one.mark.datasets_taken,
            one.mark.datasets_aside + sum(not e.dataset_name for e in one.asides),
            _encode(one.mark),
        )
        for arrival, one in zip(arrivals, settled, strict=True)
    ]
    await db.run(SQL.put_imported, *copying.arrays_of(marks))
    survivors = [(pool, loser, e.identity_id) for e in arrivals for loser in e.merged]
    if survivors:
        await db.run_many(SQL.note_survivor, survivors)
    return Arrived(
        identities=len(written),
        datasets=sum(len(one.datasets) for one in settled),
        records=records,
        data_bytes=size,
        asides=[each for one in settled for each in one.asides],
        unclaimed=sum(one.unclaimed for one in settled),
    )


async def _put_identity(db: Session, row: IdentityRow, before: Identity | None) -> None:
    pool = row.identity_pool_id
    if before is not None and before.logins:
        old = [identities.digest_of(pool, each) for each in before.logins]
        await db.run(identities.SQL.delete_logins, old)
    logins = {identities.digest_of(pool, Login(*each)): each for each in row.logins}
    if logins:
        for digest, _ in await db.rows(SQL.find_owners, list(logins)):
            del logins[digest]  # another identity has it
    kept = tuple(sorted(logins.values()))
    await identities.put(
        db,
        Identity(
            identity_id=row.identity_id,
            identity_pool_id=pool,
            creation_date_ms=row.creation_date_ms,
            last_modified_date_ms=row.last_modified_date_ms,
            guest=row.guest,
            merged_into=row.merged_into,
            logins=tuple(Login(*each) for each in kept),
            origin=row.origin,
        ),
    )


async def _put_datasets(
    db: Session, written: Sequence[ArrivingDataset], stored: dict[str, Stored]
) -> None:
    if not written:
        return
    rows = [msgspec.structs.astuple(each.row) for each in written]
    await db.run(SQL.put_datasets, *copying.arrays_of(rows))
    for each in written:
        row = each.row
        name = (row.identity_pool_id, row.identity_id, row.dataset_name)
        known = row.dataset_name in stored[row.identity_id].datasets
        if known and (each.whole or not row.live):
            await db.run(identities.SQL.clear_records, *name)
        if known and not row.live:
            await db.run(SQL.clear_subscriptions, *name)
    whole = [each for one in written if one.whole for each in one.records]
    part = [each for one in written if not one.whole for each in one.records]
    if whole:
        await db.run(copying.SQL.import_records, *_record_arrays(whole))
    if part:
        await db.run(SQL.put_newer_records, *_record_arrays(part))


def _record_arrays(records: Sequence[RecordRow]) -> list[list[Any]]:
    return copying.arrays_of(map(copying.record_columns, records))


async def _settle_size(db: Session, dataset: ArrivingDataset) -> int:
    """Count what a dataset holds whose records came in part; return its bytes."""
    row = dataset.row
    if dataset.whole or not row.live:
        return row.data_storage
    name = (row.identity_pool_id, row.identity_id, row.dataset_name)
    count, size = await db.row(SQL.measure_records, *name)
    await db.run(SQL.set_size, *name, count, size)
    return int(size)


async def _read_arrival(db: Session, pool: str, identity_id: str) -> Arrival | None:
    stored = (await _load(db, pool, [identity_id]))[identity_id]
    identity = stored.identity
    if identity is not None and identity.identity_pool_id != pool:
        return None
    if identity is None and not stored.datasets:
        return None
    rows = await db.rows(SQL.list_all_records, pool, identity_id)
    records = {
        name: [_record_row(pool, identity_id, each) for each in group]
        for name, group in itertools.groupby(rows, itemgetter("dataset_name"))
    }
    return Arrival(
        identity_pool_id=pool,
        identity_id=identity_id,
        identity=None if identity is None else identity_row(identity),
        datasets=[
            ArrivingDataset(
                row=row_of(pool, identity_id, name, state),
                records=records.get(name, ()),
            )
            for name, state in stored.datasets.items()
        ],
        names=[name for name, state in stored.datasets.items() if state.exists],
        disabled=identity is not None and identity.merged_into is not None,
    )


def _record_row(pool: str, identity_id: str, row: Any) -> RecordRow:
    return RecordRow(
        identity_id=identity_id,
        identity_pool_id=pool,
        dataset_name=row["dataset_name"],
        record_key=row["record_key"],
        sync_count=row["sync_count"],
        last_modified_date_ms=row["last_modified_date_ms"],
        last_modified_by=row["last_modified_by"],
        device_last_modified_date_ms=row["device_last_modified_date_ms"],
        value=row["value"],
    )
