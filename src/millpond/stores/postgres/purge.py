"""
Dropping what nobody can reach any more, a little at a time.

What is to go is listed first and deleted by its keys then: a sharded PostgreSQL takes
no DELETE with a LIMIT in it. Each step is a transaction of its own; several nodes may
purge at once, and then one finds gone what the other has deleted.
"""

from __future__ import annotations

from typing import Final

from millpond.core.tokens import sessions_expired_by
from millpond.stores.postgres import (
    datasets,
    identities,
    identity_pools,
    keys,
    outbox,
    streams,
)
from millpond.stores.postgres.database import Database, Session
from millpond.stores.postgres.queries import Queries

SQL: Final = Queries("purge.sql")
HEADS_MAX: Final = 5000  # whose usage is counted in one go
# With the identities of a deleted pool goes all that is with them ...
_OF_IDENTITIES: Final = (
    "records",
    "subscriptions",
    "datasets",
    "devices",
    "parked_outbox",
    "identities",
    "imported_identities",
    "identity_heads",
)
# ... and in the end what is with the pool.
_OF_POOLS: Final = (
    *("bulk_publish_runs", "bulk_publish_slices", "identity_pool_usage"),
    "parked_outbox",
    *("imports", "import_positions"),
)


async def purge(
    database: Database, *, now_ms: int, stream_retention_ms: int, limit: int
) -> int:
    """Drop at most about `limit` rows; return how many."""
    await _count_usage(database)
    # Those of streams are large: some KiB as a rule, and up to some MiB.
    few, fewer = max(1, limit // 5), max(1, limit // 50)

    async def sessions(db: Session) -> int:
        bounds = (sessions_expired_by(now_ms), limit)
        rows = await db.rows(datasets.SQL.list_expired_sessions, *bounds)
        if not rows:
            return 0
        owners = sorted({owner for owner, _ in rows})
        found = [session_id for _, session_id in rows]
        return await db.run(datasets.SQL.purge_spent_sessions, owners, found)

    async def token_keys(db: Session) -> int:
        return await db.run(keys.SQL.purge_token_keys, now_ms)

    async def pools(db: Session) -> int:
        return await _purge_deleted_pool(db, limit=limit)

    async def payloads(db: Session) -> int:
        return await streams.purge_payloads(db, now_ms=now_ms, limit=fewer)

    async def records(db: Session) -> int:
        return await streams.purge_records(
            db, now_ms=now_ms, retention_ms=stream_retention_ms, limit=few
        )

    async def deleted_streams(db: Session) -> int:
        return await streams.purge_deleted(db, limit=few)

    dropped = 0
    for step in (sessions, token_keys, pools, payloads, records, deleted_streams):
        dropped += await database.write("purge", step)
    return dropped


async def _count_usage(database: Database) -> None:
    """Count the usage that waits with identities, pool by pool."""
    async with database.session("purge") as db:
        waiting = await identity_pools.list_uncounted(db, limit=HEADS_MAX)
    # A cluster locks rows of one identity at a time, because each may be elsewhere.
    groups = [
        (pool, group)
        for pool, ids in sorted(waiting.items())
        for group in ([[each] for each in ids] if database.is_spread else [ids])
    ]
    for pool, identity_ids in groups:

        async def job(
            db: Session, pool: str = pool, ids: list[str] = identity_ids
        ) -> None:
            await identity_pools.count_usage(db, pool, ids)

        await database.write("purge", job)


async def _purge_deleted_pool(db: Session, *, limit: int) -> int:
    pool = await db.value(identity_pools.SQL.find_deleted_identity_pool)
    if pool is None:
        return 0
    dropped = 0
    # An identity has up to about twenty thousand records; a few are enough for one go.
    few = max(1, limit // 100)
    rows = await db.rows(SQL.find_identities_to_purge, pool, few)
    ids = [identity_id for (identity_id,) in rows]
    if ids:
        await _clear_pushes(db, pool, ids)
        for table in _OF_IDENTITIES:
            await db.run(
                f"DELETE FROM {table} "
                "WHERE identity_pool_id = $1 AND identity_id = ANY ($2::text[])",
                pool,
                ids,
            )
        dropped += len(ids)
    rows = await db.rows(SQL.find_logins_to_purge, pool, limit)
    if rows:
        digests = [digest for (digest,) in rows]
        dropped += await db.run(identities.SQL.delete_logins, digests)
    rows = await db.rows(SQL.find_outbox_to_purge, pool, limit)
    if rows:
        numbers = [number for (number,) in rows]
        dropped += await db.run(outbox.SQL.delete_outbox, pool, numbers)
    if dropped == 0:
        # What is left is with identities that are neither known nor have datasets.
        for table in (*_OF_IDENTITIES, *_OF_POOLS):
            await db.run(f"DELETE FROM {table} WHERE identity_pool_id = $1", pool)
        await db.run(identity_pools.SQL.purge_identity_pool, pool)
        dropped = 1
    return dropped


async def _clear_pushes(db: Session, pool: str, ids: list[str]) -> None:
    rows = await db.rows(SQL.list_devices_to_purge, pool, ids)
    if rows:
        devices = [device_id for (device_id,) in rows]
        await db.run(SQL.clear_pushes_to_purge, ids, devices)
