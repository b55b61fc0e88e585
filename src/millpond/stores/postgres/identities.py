"""
Identities and their logins in PostgreSQL.

A request that changes identities may involve several of them: the one presented, the
owners of logins, those it was merged with. Their heads are held in the order of their
ids before anything is decided, so that two such requests, or one and an update of a
dataset, come one after the other.

The identity has the list of its logins; the table `logins` leads from a login to its
identity, and lets a login have one owner.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

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
from millpond.errors import StoreError, StoreUnavailableError
from millpond.stores import origins
from millpond.stores.base import MERGED_LOOKED_AT_MAX, PoolLogin
from millpond.stores.postgres import devices, heads, identity_pools
from millpond.stores.postgres.database import Database, Session
from millpond.stores.postgres.queries import Queries
from millpond.stores.postgres.rows import state_columns, to_state
from millpond.stores.prefixes import bounds_of

SQL: Final = Queries("identities.sql")
LOADS_MAX: Final = 10  # of identities that others join meanwhile

_encode = msgspec.json.Encoder().encode
_decode_logins = msgspec.json.Decoder(list[tuple[str, str]]).decode


class Identities:
    """The `IdentityStore` part of the port."""

    database: Database

    async def find_identity(self, identity_id: str) -> Identity | None:
        async with self.database.session("find_identity") as db:
            return await _find(db, identity_id)

    async def find_identities(
        self,
        identity_pool_id: str | None,
        *,
        identity_ids: Collection[str],
        logins: Collection[Login],
    ) -> StoredIdentities | None:
        async with self.database.moment("find_identities") as db:
            return await _load(db, identity_pool_id, identity_ids, logins)

    async def update_identities(
        self,
        identity_pool_id: str,
        *,
        identity_ids: Collection[str],
        logins: Collection[Login],
        decide: Callable[[StoredIdentities], IdentityChanges],
    ) -> IdentityChanges | None:
        held: set[str] = set(identity_ids)

        async def job(db: Session) -> IdentityChanges | None:
            await identity_pools.hold(db, identity_pool_id)
            await heads.hold(db, identity_pool_id, held)
            stored = await _load(db, identity_pool_id, identity_ids, logins)
            if stored is None:
                return None
            # To hold more now would be out of order; the next run begins with them.
            if not held >= set(stored.identities):
                held.update(stored.identities)
                raise _MoreInvolvedError
            changes = decide(stored)
            await _save(db, stored, changes)
            return changes

        for _ in range(LOADS_MAX):
            try:
                return await self.database.write("update_identities", job)
            except _MoreInvolvedError:
                continue
        raise StoreUnavailableError(
            "The identities are being joined faster than they can be read.",
            op="update_identities",
        )

    async def list_identities(
        self, identity_pool_id: str, *, after: str | None, limit: int, enabled: bool
    ) -> list[Identity] | None:
        bounds = (identity_pool_id, after or "", enabled, limit)
        async with self.database.moment("list_identities") as db:
            if await identity_pools.find(db, identity_pool_id) is None:
                return None
            rows = await db.rows(SQL.list_identities, *bounds)
        return [identity_of(row) for row in rows]

    async def search_identities(
        self,
        identity_pool_id: str | None,
        *,
        prefix: str,
        kind: IdentityKind | None,
        after: str | None,
        limit: int,
    ) -> list[Identity] | None:
        bounds = (*bounds_of(prefix, after), after or "", limit)
        async with self.database.moment("search_identities") as db:
            if identity_pool_id is None:
                rows = await db.rows(SQL.search_identities, *bounds)
            elif await identity_pools.find(db, identity_pool_id) is None:
                return None
            elif kind is None:
                pool = (identity_pool_id,)
                rows = await db.rows(SQL.search_identities_of_pool, *bounds, *pool)
            else:
                part = (identity_pool_id, kind.value)
                rows = await db.rows(SQL.search_identities_of_kind, *bounds, *part)
        return [identity_of(row) for row in rows]

    async def find_login_owners(self, logins: Sequence[PoolLogin]) -> list[Identity]:
        digests = [digest_of(*each) for each in logins]
        async with self.database.moment("find_login_owners") as db:
            rows = await db.rows(SQL.find_owners, digests)
            owners = sorted({owner for (owner,) in rows})
            rows = await db.rows(SQL.list_by_id, owners) if owners else []
        return [identity_of(row) for row in rows]

    async def list_merged_identities(
        self, identity_pool_id: str, identity_id: str, *, limit: int
    ) -> list[Identity]:
        names = (identity_pool_id, identity_id, limit)
        async with self.database.session("list_merged_identities") as db:
            rows = await db.rows(SQL.list_merged_into, *names)
        return [identity_of(row) for row in rows]

    async def delete_identity(self, identity_id: str, *, now_ms: int) -> bool:
        async def job(db: Session) -> bool:
            identity = await _find(db, identity_id)
            if identity is not None:
                pools = [identity.identity_pool_id]
            else:
                rows = await db.rows(SQL.list_pools_with_data, identity_id)
                pools = sorted(pool for (pool,) in rows)
            for pool in pools:
                await identity_pools.hold(db, pool)
                await heads.hold(db, pool, [identity_id])
                await _delete_in(db, pool, identity_id, now_ms)
            return bool(pools)

        return await self.database.write("delete_identity", job)


class _MoreInvolvedError(Exception):
    """A request involves identities that are not held yet."""


def digest_of(identity_pool_id: str, login: Login) -> bytes:
    """Make the key of a login. NUL is in none of its parts, so it is unambiguous."""
    text = f"{identity_pool_id}\0{login.provider_name}\0{login.subject}"
    return hashlib.sha256(text.encode()).digest()


async def _find(db: Session, identity_id: str) -> Identity | None:
    row = await db.row(SQL.find_identity, identity_id)
    return None if row is None else identity_of(row)


def identity_of(row: Any) -> Identity:
    return Identity(
        identity_pool_id=row["identity_pool_id"],
        identity_id=row["identity_id"],
        creation_date_ms=row["creation_date_ms"],
        last_modified_date_ms=row["last_modified_date_ms"],
        guest=row["guest"],
        merged_into=row["merged_into"],
        logins=_logins(row["logins"]),
        origin=origins.decode(row["origin"]),
    )


def _logins(encoded: bytes) -> tuple[Login, ...]:
    return tuple(Login(*each) for each in _decode_logins(encoded))


async def _load(
    db: Session,
    identity_pool_id: str | None,
    identity_ids: Collection[str],
    logins: Collection[Login],
) -> StoredIdentities | None:
    if identity_pool_id is None:
        (named,) = identity_ids
        identity_pool_id = await db.value(SQL.find_pool_of_identity, named)
        if identity_pool_id is None:
            return None
    pool = await identity_pools.find(db, identity_pool_id)
    if pool is None:
        return None
    named_or_owners = set(identity_ids)
    if logins:
        digests = [digest_of(identity_pool_id, each) for each in logins]
        rows = await db.rows(SQL.find_owners, digests)
        named_or_owners |= {owner for (owner,) in rows}
    found: dict[str, Identity] = {}
    await _follow(db, identity_pool_id, named_or_owners, found)
    if logins:
        leftovers = await _leftovers(db, identity_pool_id, found)
        await _follow(db, identity_pool_id, leftovers, found)
    # One that is not there yet may have datasets: its data came first.
    involved = {*found, *identity_ids}
    datasets = {}
    if len(involved) > 1:
        datasets = await _datasets(db, identity_pool_id, involved)
    return StoredIdentities(pool, found, datasets)


async def _follow(
    db: Session, pool: str, identity_ids: Collection[str], found: dict[str, Identity]
) -> None:
    """Add identities of a pool to those found, and whom they were merged into."""
    todo = set(identity_ids) - set(found)
    asked: set[str] = set()
    while todo:
        asked |= todo
        rows = await db.rows(SQL.find_identities, pool, sorted(todo))
        found |= {row["identity_id"]: identity_of(row) for row in rows}
        todo = {e.merged_into for e in found.values() if e.merged_into} - asked
        todo -= set(found)


async def _leftovers(
    db: Session, pool: str, found: Mapping[str, Identity]
) -> Collection[str]:
    """List who was merged into one of these, and has live datasets all the same."""
    merged: set[str] = set()
    last = {each.identity_id for each in found.values() if each.merged_into is None}
    while last and len(merged) < MERGED_LOOKED_AT_MAX:
        limit = MERGED_LOOKED_AT_MAX - len(merged)
        rows = await db.rows(SQL.list_merged, pool, sorted(last), limit)
        last = {identity_id for (identity_id,) in rows} - merged
        merged |= last
    if not merged:
        return ()
    rows = await db.rows(SQL.list_with_live_datasets, pool, sorted(merged))
    return [identity_id for (identity_id,) in rows]


async def _datasets(
    db: Session, identity_pool_id: str, identity_ids: Collection[str]
) -> dict[str, dict[str, DatasetState]]:
    """Load all datasets of some identities, by identity and name."""
    ids = sorted(identity_ids)
    found: dict[str, dict[str, DatasetState]] = {each: {} for each in ids}
    for row in await db.rows(SQL.list_all_datasets, identity_pool_id, ids):
        found[row["identity_id"]][row["dataset_name"]] = to_state(row)
    return found


async def _save(
    db: Session, stored: StoredIdentities, changes: IdentityChanges
) -> None:
    pool = stored.pool.identity_pool_id
    await _save_identities(db, pool, changes.written)
    streams = identity_pools.is_streaming(stored.pool)
    for move in changes.moves:
        await _move(db, move, streams=streams)
    survivor = changes.identity.identity_id
    losers = {each.identity_id for each in changes.written if each.merged_into}
    # Of those merged before, too: a device may have registered with old credentials.
    losers |= {move.old.identity_id for move in changes.moves}
    for loser in sorted(losers):
        await devices.hand_over(db, pool, loser, survivor)


async def _save_identities(db: Session, pool: str, written: Sequence[Identity]) -> None:
    if not written:
        return
    ids = [each.identity_id for each in written]
    # All leave their logins before anybody takes one: a login has one owner at a time.
    before = await db.rows(SQL.list_logins_of, pool, ids)
    left = [
        digest_of(pool, login) for row in before for login in _logins(row["logins"])
    ]
    if left:
        await db.run(SQL.delete_logins, left)
    for each in written:
        await put(db, each)


async def put(db: Session, identity: Identity) -> None:
    pool = identity.identity_pool_id
    logins = sorted(identity.logins)
    put = await db.run(
        SQL.put_identity,
        identity.identity_id,
        pool,
        identity.creation_date_ms,
        identity.last_modified_date_ms,
        identity.guest,
        identity.merged_into,
        _encode([(each.provider_name, each.subject) for each in logins]),
        origins.encode(identity.origin),
    )
    if not put:
        raise StoreError(
            f"Identity '{identity.identity_id}' belongs to another identity pool.",
            op="update_identities",
        )
    for each in logins:
        await db.run(SQL.put_login, digest_of(pool, each), pool, identity.identity_id)


async def _move(db: Session, move: DatasetMove, *, streams: bool) -> None:
    old = msgspec.structs.astuple(move.old)
    new = msgspec.structs.astuple(move.new)
    # A dataset that is gone from the new place has no records, only a counter. A live
    # one is not overwritten: the names are unique, and all is rolled back.
    await db.run(SQL.delete_dead_dataset, *new)
    await db.run(SQL.create_dataset, *new, *state_columns(move.moved))
    await db.run(SQL.copy_records, *old, *new[1:], move.record_sync_count)
    await db.run(SQL.clear_records, *old)
    await db.run(SQL.leave_dataset, *old, *state_columns(move.left))
    await devices.follow(db, move)
    if streams:
        rows = await db.rows(SQL.list_live_records, *new)
        records = [StoredRecord(*row) for row in rows]
        for identity_id, event in move_events(move, records):
            await db.run(SQL.put_outbox, new[0], identity_id, event)


async def _delete_in(db: Session, pool: str, identity_id: str, now_ms: int) -> None:
    """Delete an identity from a pool, with all that is under its id there."""
    described = await identity_pools.find(db, pool)
    streams = described is not None and identity_pools.is_streaming(described)
    names = (pool, identity_id)
    datasets = (await _datasets(db, pool, [identity_id]))[identity_id]
    for name, state in datasets.items():
        if streams and state.exists:
            event = streaming.deletion_event(
                DatasetId(*names, name),
                sync_count=gone(state, now_ms=now_ms).sync_count,
                last_modified_date_ms=now_ms,
            )
            await db.run(SQL.put_outbox, *names, event)
    await db.run(SQL.delete_records_of_identity, *names)
    await db.run(SQL.delete_datasets_of_identity, *names)
    await devices.drop_all(db, *names)
    for row in await db.rows(SQL.list_logins_of, pool, [identity_id]):
        digests = [digest_of(pool, each) for each in _logins(row["logins"])]
        await db.run(SQL.delete_logins, digests)
    await db.run(SQL.delete_identity, identity_id, pool)
    size = sum(each.data_storage for each in datasets.values())
    date_ms = now_ms if datasets else None
    await heads.leave(db, *names, bytes_added=-size, date_ms=date_ms)
