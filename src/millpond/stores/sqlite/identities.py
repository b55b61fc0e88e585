"""Identities and their logins in the embedded store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from millpond.core import streaming
from millpond.core.dataset_moves import DatasetMove, move_events
from millpond.core.identities import (
    Identity,
    IdentityChanges,
    IdentityKind,
    Login,
    StoredIdentities,
)
from millpond.core.sync import DatasetId, DatasetState, StoredRecord, gone
from millpond.errors import StoreError
from millpond.stores import origins
from millpond.stores.base import MERGED_LOOKED_AT_MAX, PoolLogin
from millpond.stores.prefixes import bounds_of
from millpond.stores.sqlite import datasets, devices, identity_pools
from millpond.stores.sqlite.database import Database, Reader, Writer
from millpond.stores.sqlite.queries import Queries

SQL: Final = Queries("identities.sql")
_DATASET_SQL: Final = datasets.SQL
_POOL_SQL: Final = identity_pools.SQL


class Identities:
    """The `IdentityStore` part of the port."""

    database: Database

    async def find_identity(self, identity_id: str) -> Identity | None:
        with self.database.reading("find_identity") as cursor:
            return _find(cursor, identity_id)

    async def find_identities(
        self,
        identity_pool_id: str | None,
        *,
        identity_ids: Collection[str],
        logins: Collection[Login],
    ) -> StoredIdentities | None:
        with self.database.reading("find_identities") as cursor:
            return _load(cursor, identity_pool_id, identity_ids, logins)

    async def update_identities(
        self,
        identity_pool_id: str,
        *,
        identity_ids: Collection[str],
        logins: Collection[Login],
        decide: Callable[[StoredIdentities], IdentityChanges],
    ) -> IdentityChanges | None:
        def job(db: Writer) -> IdentityChanges | None:
            stored = _load(db, identity_pool_id, identity_ids, logins)
            if stored is None:
                return None
            changes = decide(stored)
            _save(db, changes)
            streams = identity_pools.is_streaming(stored.pool)
            for move in changes.moves:
                _move(db, move, streams=streams)
            _hand_devices_over(db, changes)
            return changes

        return await self.database.write(job)

    async def list_identities(
        self, identity_pool_id: str, *, after: str | None, limit: int, enabled: bool
    ) -> list[Identity] | None:
        with self.database.reading("list_identities") as cursor:
            if identity_pools.find(cursor, identity_pool_id) is None:
                return None
            rows = cursor.execute(
                SQL.list_identities, (identity_pool_id, after or "", enabled, limit)
            ).fetchall()
            return [_identity(cursor, row) for row in rows]

    async def search_identities(
        self,
        identity_pool_id: str | None,
        *,
        prefix: str,
        kind: IdentityKind | None,
        after: str | None,
        limit: int,
    ) -> list[Identity] | None:
        bounds: tuple[Any, ...] = (*bounds_of(prefix, after), after or "", limit)
        with self.database.reading("search_identities") as cursor:
            if identity_pool_id is None:
                sql = SQL.search_identities
            elif identity_pools.find(cursor, identity_pool_id) is None:
                return None
            elif kind is None:
                sql, bounds = SQL.search_identities_of_pool, (*bounds, identity_pool_id)
            else:
                sql = SQL.search_identities_of_kind
                bounds = (*bounds, identity_pool_id, kind.value)
            rows = cursor.execute(sql, bounds).fetchall()
            return [_identity(cursor, row) for row in rows]

    async def find_login_owners(self, logins: Sequence[PoolLogin]) -> list[Identity]:
        with self.database.reading("find_login_owners") as cursor:
            owners = {
                owner
                for pool, login in logins
                for (owner,) in cursor.execute(
                    SQL.find_owner, (pool, login.provider_name, login.subject)
                ).fetchall()
            }
            found = [_find(cursor, each) for each in owners]
        return sorted(filter(None, found), key=_place)

    async def list_merged_identities(
        self, identity_pool_id: str, identity_id: str, *, limit: int
    ) -> list[Identity]:
        names = (identity_id, identity_pool_id, limit)
        with self.database.reading("list_merged_identities") as cursor:
            rows = cursor.execute(SQL.list_merged, names).fetchall()
            return [_identity(cursor, row) for row in rows]

    async def delete_identity(self, identity_id: str, *, now_ms: int) -> bool:
        def job(db: Writer) -> bool:
            identity = _find(db, identity_id)
            pools = (
                [
                    pool
                    for (pool,) in db.execute(SQL.list_pools_with_data, (identity_id,))
                ]
                if identity is None
                else [identity.identity_pool_id]
            )
            for pool in pools:
                _delete_datasets(db, pool, identity_id, now_ms)
                devices.drop_devices(db, pool, identity_id)
            db.execute(SQL.clear_logins, (identity_id,))
            db.execute(SQL.delete_identity, (identity_id,))
            return bool(pools)

        return await self.database.write(job)


def _place(identity: Identity) -> tuple[str, str]:
    return identity.identity_pool_id, identity.identity_id


def _find(db: Reader, identity_id: str) -> Identity | None:
    rows = db.execute(SQL.find_identity, (identity_id,)).fetchall()
    return _identity(db, rows[0]) if rows else None


def _identity(db: Reader, row: Any) -> Identity:
    identity_id, identity_pool_id, created, modified, guest, merged_into, origin = row
    return Identity(
        identity_pool_id=identity_pool_id,
        identity_id=identity_id,
        creation_date_ms=created,
        last_modified_date_ms=modified,
        guest=bool(guest),
        merged_into=merged_into,
        logins=tuple(Login(*each) for each in db.execute(SQL.list_logins, row[:1])),
        origin=origins.decode(origin),
    )


def _load(
    db: Reader,
    identity_pool_id: str | None,
    identity_ids: Collection[str],
    logins: Collection[Login],
) -> StoredIdentities | None:
    if identity_pool_id is None:
        (named,) = identity_ids
        rows = db.execute(SQL.find_pool_of_identity, (named,)).fetchall()
        if not rows:
            return None
        ((identity_pool_id,),) = rows
    pool = identity_pools.find(db, identity_pool_id)
    if pool is None:
        return None
    named_or_owners = [*identity_ids]
    for login in logins:
        row = (identity_pool_id, login.provider_name, login.subject)
        named_or_owners += [owner for (owner,) in db.execute(SQL.find_owner, row)]
    found: dict[str, Identity] = {}
    _follow(db, identity_pool_id, named_or_owners, found)
    if logins:
        _follow(db, identity_pool_id, _leftovers(db, found), found)
    # One that is not there yet may have datasets: its data came first.
    involved = {*found, *identity_ids}
    several = len(involved) > 1
    return StoredIdentities(
        pool,
        found,
        {each: _datasets(db, identity_pool_id, each) for each in involved if several},
    )


def _follow(
    db: Reader, pool: str, identity_ids: Collection[str], found: dict[str, Identity]
) -> None:
    """Add identities of a pool to those found, and whom they were merged into."""
    todo = list(identity_ids)
    while todo:
        identity_id = todo.pop()
        identity = None if identity_id in found else _find(db, identity_id)
        if identity is None or identity.identity_pool_id != pool:
            continue
        found[identity_id] = identity
        if identity.merged_into is not None:
            todo.append(identity.merged_into)


def _leftovers(db: Reader, found: Mapping[str, Identity]) -> list[str]:
    """List who was merged into one of these, and has live datasets all the same."""
    return [
        leftover
        for each in found.values()
        if each.merged_into is None
        for (leftover,) in db.execute(
            SQL.list_leftovers,
            (each.identity_id, each.identity_pool_id, MERGED_LOOKED_AT_MAX),
        )
    ]


def _datasets(
    db: Reader, identity_pool_id: str, identity_id: str
) -> dict[str, DatasetState]:
    rows = db.execute(SQL.list_all_datasets, (identity_pool_id, identity_id))
    return {name: datasets.to_state(rest) for _, name, *rest in rows}


def _save(db: Writer, changes: IdentityChanges) -> None:
    # All leave their logins before anybody takes one: a login has one owner at a time.
    for each in changes.written:
        db.execute(SQL.clear_logins, (each.identity_id,))
    for each in changes.written:
        _put(db, each)


def _put(db: Writer, identity: Identity) -> None:
    columns = (
        identity.identity_id,
        identity.identity_pool_id,
        identity.creation_date_ms,
        identity.last_modified_date_ms,
        identity.guest,
        identity.merged_into,
        origins.encode(identity.origin),
    )
    if not db.execute(SQL.put_identity, columns).fetchall():
        raise StoreError(
            f"Identity '{identity.identity_id}' belongs to another identity pool.",
            op="update_identities",
        )
    owner = (identity.identity_pool_id, identity.identity_id)
    for login in identity.logins:
        db.execute(SQL.put_login, (*owner, login.provider_name, login.subject))


def _move(db: Writer, move: DatasetMove, *, streams: bool) -> None:
    old, new = move.old, move.new
    pool = old.identity_pool_id
    # A dataset that is gone from the new place has no records, only a counter. A live
    # one is not overwritten: the names are unique, and all is rolled back.
    db.execute(SQL.delete_dead_dataset, (pool, new.identity_id, new.dataset_name))
    ((number,),) = db.execute(
        SQL.rename_dataset,
        (pool, old.identity_id, old.dataset_name, new.identity_id, new.dataset_name),
    ).fetchall()
    datasets.save_dataset(db, new, number, move.moved)
    if move.record_sync_count is not None:
        db.execute(_DATASET_SQL.stamp_records, (number, move.record_sync_count))
    devices.follow(db, number, move)
    datasets.save_dataset(db, old, None, move.left)
    if streams:
        for identity_id, event in move_events(move, _records(db, number)):
            db.execute(_DATASET_SQL.put_outbox, (pool, identity_id, event))


def _hand_devices_over(db: Writer, changes: IdentityChanges) -> None:
    survivor = changes.identity
    losers = {each.identity_id for each in changes.written if each.merged_into}
    # Of those merged before, too: a device may have registered with old credentials.
    losers |= {move.old.identity_id for move in changes.moves}
    for loser in sorted(losers):
        devices.hand_over(db, survivor.identity_pool_id, loser, survivor.identity_id)


def _records(db: Writer, number: int) -> list[StoredRecord]:
    rows = db.execute(_DATASET_SQL.list_live_records, (number,))
    return [StoredRecord(*row) for row in rows]


def _delete_datasets(
    db: Writer, identity_pool_id: str, identity_id: str, now_ms: int
) -> None:
    pool = identity_pools.find(db, identity_pool_id)
    streams = pool is not None and identity_pools.is_streaming(pool)
    names = (identity_pool_id, identity_id)
    for number, name, *columns in db.execute(SQL.list_all_datasets, names).fetchall():
        state = datasets.to_state(columns)
        if streams and state.exists:
            event = streaming.deletion_event(
                DatasetId(*names, name),
                sync_count=gone(state, now_ms=now_ms).sync_count,
                last_modified_date_ms=now_ms,
            )
            db.execute(_DATASET_SQL.put_outbox, (*names, event))
        db.execute(_DATASET_SQL.clear_records, (number,))
        devices.forget_dataset(db, number)
        db.execute(_POOL_SQL.purge_dataset, (number,))
        db.execute(_POOL_SQL.add_data_storage, (names[0], -state.data_storage, now_ms))
