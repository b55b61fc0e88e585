"""A pool that moves in, in the embedded store (`stores.importing`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final

import msgspec

from millpond.core.identities import Identity, Login
from millpond.core.identity_pools import IdentityPool
from millpond.core.sync import DatasetId
from millpond.stores import origins
from millpond.stores.copying import IdentityRow, RecordRow
from millpond.stores.importing import (
    Arrival,
    Arrived,
    ArrivingDataset,
    Aside,
    Decide,
    ImportedIdentity,
    ImportMeasure,
    ImportState,
)
from millpond.stores.settling import (
    Stored,
    identity_row,
    row_of,
    settle,
    state_of,
)
from millpond.stores.sqlite import copying, datasets, devices, identities
from millpond.stores.sqlite import identity_pools as pools
from millpond.stores.sqlite.database import Database, Reader, Writer
from millpond.stores.sqlite.queries import Queries

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
        def job(db: Writer) -> ImportState | None:
            name = (pool.identity_pool_id,)
            found = db.execute(SQL.find_import, name).fetchall()
            if found:
                return _decode_state(found[0][0])
            if pools.find(db, pool.identity_pool_id) is None:
                ((count,),) = db.execute(pools.SQL.count_identity_pools).fetchall()
                if count >= pools_max:
                    return None
                db.execute(pools.SQL.create_identity_pool, pools.to_row(pool))
                db.execute(pools.SQL.create_identity_pool_usage, name)
            else:
                ((empty,),) = db.execute(SQL.is_empty, name).fetchall()
                if not empty:
                    return None
                db.execute(pools.SQL.update_identity_pool, pools.to_row(pool))
            db.execute(SQL.put_import, (*name, _encode(state)))
            return state

        return await self.database.write(job)

    async def find_import(self, identity_pool_id: str) -> ImportState | None:
        rows = self.database.look("find_import", SQL.find_import, (identity_pool_id,))
        return _decode_state(rows[0][0]) if rows else None

    async def list_imports(self) -> list[ImportState]:
        rows = self.database.look("list_imports", SQL.list_imports, ())
        return [_decode_state(state) for (state,) in rows]

    async def change_import(
        self, identity_pool_id: str, change: Callable[[ImportState], ImportState]
    ) -> ImportState | None:
        def job(db: Writer) -> ImportState | None:
            found = db.execute(SQL.find_import, (identity_pool_id,)).fetchall()
            if not found:
                return None
            state = change(_decode_state(found[0][0]))
            db.execute(SQL.put_import, (identity_pool_id, _encode(state)))
            return state

        return await self.database.write(job)

    async def find_import_position(
        self, identity_pool_id: str, name: str
    ) -> bytes | None:
        row = (identity_pool_id, name)
        rows = self.database.look("find_import_position", SQL.find_import_position, row)
        return rows[0][0] if rows else None

    async def put_import_position(
        self, identity_pool_id: str, name: str, position: bytes | None
    ) -> None:
        await self.database.write(
            lambda db: _put_position(db, identity_pool_id, name, position)
        )

    async def find_imported(
        self, identity_pool_id: str, identity_ids: Collection[str]
    ) -> dict[str, ImportedIdentity]:
        found = {}
        with self.database.reading("find_imported") as cursor:
            for each in identity_ids:
                row = (identity_pool_id, each)
                for mark, _ in cursor.execute(SQL.find_imported, row):
                    found[each] = _decode_mark(mark)
        return found

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
        def job(db: Writer) -> Arrived | None:
            if pools.find(db, identity_pool_id) is None:
                return None
            total = Arrived()
            for each in arrivals:
                total = total.plus(
                    _arrive(db, each, decide, pass_number=pass_number, now_ms=now_ms)
                )
            if position is not None:
                _put_position(db, identity_pool_id, *position)
            return total

        return await self.database.write(job)

    async def note_enabled(
        self, identity_pool_id: str, identity_ids: Collection[str], *, pass_number: int
    ) -> None:
        rows = [(identity_pool_id, each, pass_number) for each in identity_ids]
        await self.database.write(lambda db: db.executemany(SQL.note_enabled, rows))

    async def list_not_enabled(
        self, identity_pool_id: str, *, pass_number: int, after: str, limit: int
    ) -> list[str]:
        row = (identity_pool_id, after, pass_number, limit)

        def job(cursor: Reader) -> list[str]:
            return [each for (each,) in cursor.execute(SQL.list_not_enabled, row)]

        return await self.database.read_slowly("list_not_enabled", job)

    async def list_imported(
        self, identity_pool_id: str, *, after: str, limit: int, aside: bool = False
    ) -> list[tuple[str, ImportedIdentity]]:
        sql = SQL.list_imported_aside if aside else SQL.list_imported
        rows = self.database.look(
            "list_imported", sql, (identity_pool_id, after, limit)
        )
        return [(identity_id, _decode_mark(mark)) for identity_id, mark in rows]

    async def measure_import(self, identity_pool_id: str) -> ImportMeasure:
        def job(cursor: Reader) -> ImportMeasure:
            rows = cursor.execute(SQL.measure_import, (identity_pool_id,)).fetchall()
            identities_, done, datasets_, aside = rows[0]
            return ImportMeasure(
                identities=identities_, done=done, datasets=datasets_, aside=aside
            )

        return await self.database.read_slowly("measure_import", job)

    async def find_arrival(
        self, identity_pool_id: str, identity_id: str
    ) -> Arrival | None:
        def job(cursor: Reader) -> Arrival | None:
            return _read_arrival(cursor, identity_pool_id, identity_id)

        return await self.database.read_slowly("find_arrival", job)


def _put_position(db: Writer, pool: str, name: str, position: bytes | None) -> None:
    if position is None:
        db.execute(SQL.drop_import_position, (pool, name))
    else:
        db.execute(SQL.put_import_position, (pool, name, position))


def _arrive(
    db: Writer, arrival: Arrival, decide: Decide, *, pass_number: int, now_ms: int
) -> Arrived:
    names = (arrival.identity_pool_id, arrival.identity_id)
    marks = db.execute(SQL.find_imported, names).fetchall()
    found = {name: row for name, *row in db.execute(SQL.list_datasets_to_settle, names)}
    states = {name: datasets.to_state(row[1:]) for name, row in found.items()}
    stored = Stored(
        mark=_decode_mark(marks[0][0]) if marks else None,
        identity=_find_identity(db, arrival.identity_id),
        datasets=states,
        merged_into=marks[0][1] if marks else None,
    )
    settled = settle(arrival, stored, decide, pass_number=pass_number, now_ms=now_ms)
    if settled.identity is not None:
        _put_identity(db, settled.identity)
    grown = records = size = 0
    for each in settled.datasets:
        name = each.row.dataset_name
        before = states.get(name)
        number = found[name][0] if name in found else None
        after = _put_dataset(db, each, number)
        grown += after - (before.data_storage if before else 0)
        records += len(each.records)
        size += after
    if settled.datasets:
        dates = [each.row.last_modified_date_ms for each in settled.datasets]
        usage = (arrival.identity_pool_id, grown, max(dates))
        db.execute(pools.SQL.add_data_storage, usage)
    for loser in arrival.merged:
        db.execute(
            SQL.note_survivor, (arrival.identity_pool_id, loser, arrival.identity_id)
        )
    _put_mark(db, arrival, settled.mark, settled.asides)
    return Arrived(
        identities=int(settled.identity is not None),
        datasets=len(settled.datasets),
        records=records,
        data_bytes=size,
        asides=settled.asides,
        unclaimed=int(settled.unclaimed),
    )


def _put_mark(
    db: Writer, arrival: Arrival, mark: ImportedIdentity, asides: Sequence[Aside]
) -> None:
    row = (
        arrival.identity_pool_id,
        arrival.identity_id,
        mark.pass_number,
        mark.datasets_taken,
        mark.datasets_aside + sum(not each.dataset_name for each in asides),
        _encode(mark),
    )
    db.execute(SQL.put_imported, row)


def _find_identity(db: Reader, identity_id: str) -> Identity | None:
    rows = db.execute(SQL.find_any_identity, (identity_id,)).fetchall()
    if not rows:
        return None
    identity_id, pool, created_ms, modified_ms, guest, merged_into, origin = rows[0]
    logins = db.execute(identities.SQL.list_logins, (identity_id,))
    return Identity(
        identity_id=identity_id,
        identity_pool_id=pool,
        creation_date_ms=created_ms,
        last_modified_date_ms=modified_ms,
        guest=bool(guest),
        merged_into=merged_into,
        logins=tuple(Login(*each) for each in logins),
        origin=origins.decode(origin),
    )


def _put_identity(db: Writer, row: IdentityRow) -> None:
    *columns, logins, origin = msgspec.structs.astuple(row)
    columns.append(origins.encode(origin))
    db.execute(identities.SQL.put_identity, columns).fetchall()
    db.execute(identities.SQL.clear_logins, (row.identity_id,))
    owner = (row.identity_pool_id, row.identity_id)
    db.executemany(copying.SQL.import_login, [(*owner, *each) for each in logins])


def _put_dataset(db: Writer, dataset: ArrivingDataset, number: int | None) -> int:
    """Write a dataset with its records; return its size in bytes."""
    row = dataset.row
    name = DatasetId(row.identity_pool_id, row.identity_id, row.dataset_name)
    known = number is not None
    number = datasets.save_dataset(db, name, number, state_of(row))
    whole = dataset.whole or not row.live
    if known and whole:
        db.execute(datasets.SQL.clear_records, (number,))
    sql = datasets.SQL.put_record if whole else SQL.put_newer_record
    db.executemany(sql, _record_columns(number, dataset.records))
    if not row.live:
        devices.forget_dataset(db, number)
    if whole:
        return row.data_storage
    ((count, size),) = db.execute(SQL.measure_records, (number,)).fetchall()
    db.execute(SQL.set_size, (number, count, size))
    return int(size)


def _record_columns(
    number: int, records: Sequence[RecordRow]
) -> Iterator[tuple[Any, ...]]:
    for each in records:
        yield (
            number,
            each.record_key,
            each.value,
            each.sync_count,
            each.last_modified_date_ms,
            each.last_modified_by,
            each.device_last_modified_date_ms,
        )


def _read_arrival(cursor: Reader, pool: str, identity_id: str) -> Arrival | None:
    identity = _find_identity(cursor, identity_id)
    if identity is not None and identity.identity_pool_id != pool:
        return None
    found = cursor.execute(SQL.list_datasets_to_settle, (pool, identity_id)).fetchall()
    if identity is None and not found:
        return None
    arriving = [
        ArrivingDataset(
            row=row_of(pool, identity_id, name, datasets.to_state(columns)),
            records=[
                RecordRow(
                    identity_id=identity_id,
                    identity_pool_id=pool,
                    dataset_name=name,
                    record_key=key,
                    sync_count=count,
                    last_modified_date_ms=modified_ms,
                    last_modified_by=by,
                    device_last_modified_date_ms=device_ms,
                    value=value,
                )
                for key, value, count, modified_ms, by, device_ms in cursor.execute(
                    SQL.list_all_records, (number,)
                )
            ],
        )
        for name, number, *columns in found
    ]
    return Arrival(
        identity_pool_id=pool,
        identity_id=identity_id,
        identity=None if identity is None else identity_row(identity),
        datasets=arriving,
        names=[name for name, _, _, live, *_ in found if live],
        disabled=identity is not None and identity.merged_into is not None,
    )
