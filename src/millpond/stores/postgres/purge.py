"""
Dropping what nobody can reach any more, a little at a time.

What is to go is listed first and deleted by its keys then: a sharded PostgreSQL takes
no DELETE with a LIMIT in it. Each step is a transaction of its own; several nodes may
purge at once, and then one finds gone what the other has deleted.
"""

from __future__ import annotations

from typing import Final

import structlog

from millpond.core.tokens import sessions_expired_by
from millpond.errors import StoreUnavailableError
from millpond.stores.postgres import (
    datasets,
    identities,
    identity_pools,
    keys,
    outbox,
    spent_marks,
    streams,
)
from millpond.stores.postgres.database import Database, Session
from millpond.stores.postgres.queries import Queries
from millpond.stores.postgres.shards import Question, Shards

_log = structlog.get_logger()

SQL: Final = Queries("purge.sql")
HEADS_MAX: Final = 5000  # whose usage is counted in one go
_EXPIRED_SESSIONS: Final = Question(
    "list_expired_sessions",
    datasets.SQL.list_expired_sessions,
    ("spent_sessions",),
    "identity_id text, session_id bytea",
)
_UNCOUNTED: Final = Question(
    "list_uncounted_usage",
    identity_pools.SQL.list_uncounted_usage,
    ("identity_heads",),
    "identity_pool_id text, identity_id text",
)
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
    database: Database,
    shards: Shards,
    *,
    now_ms: int,
    stream_retention_ms: int,
    limit: int,
) -> int:
    """Drop at most about `limit` rows; return how many."""
    # Those of streams are large: some KiB as a rule, and up to some MiB.
    few, fewer = max(1, limit // 5), max(1, limit // 50)

    async def usage() -> int:
        await _count_usage(database, shards)
        return 0

    async def sessions() -> int:
        return await _purge_sessions(database, shards, now_ms=now_ms, limit=limit)

    async def token_keys() -> int:
        async with database.session("purge") as db:
            return await db.run(keys.SQL.purge_token_keys, now_ms)

    async def marks() -> int:
        async with database.session("purge") as db:
            return await db.run(spent_marks.SQL.purge_spent_marks, now_ms)

    async def pools() -> int:
        async with database.session("purge") as db:
            pool = await db.value(identity_pools.SQL.find_deleted_identity_pool)
        if pool is None:
            return 0
        return await database.write(
            "purge", lambda db: _purge_deleted_pool(db, pool, limit=limit)
        )

    async def payloads() -> int:
        return await streams.purge_payloads(database, now_ms=now_ms, limit=fewer)

    async def records() -> int:
        return await streams.purge_records(
            database, now_ms=now_ms, retention_ms=stream_retention_ms, limit=few
        )

    async def deleted_streams() -> int:
        return await streams.purge_deleted(database, limit=few)

    dropped = 0
    steps = (
        *(usage, sessions, token_keys, marks, pools),
        *(payloads, records, deleted_streams),
    )
    for step in steps:
        try:
            dropped += await step()
        except StoreUnavailableError as error:
            # Of several servers, one may be away: the next step need not ask it.
            if not database.is_spread:
                raise
            _log.warning("store.purge_waits", step=step.__name__, error=str(error))
    return dropped


async def _purge_sessions(
    database: Database, shards: Shards, *, now_ms: int, limit: int
) -> int:
    """Drop marks of sessions that have expired; return how many."""
    bounds = (sessions_expired_by(now_ms), limit)
    by_owner: dict[str, list[bytes]] = {}
    for owner, session_id in await shards.look(_EXPIRED_SESSIONS, *bounds):
        by_owner.setdefault(owner, []).append(session_id)
    dropped = 0
    for owners in await shards.group(by_owner):
        found = [each for owner in owners for each in by_owner[owner]]
        async with database.session("purge") as db:
            dropped += await db.run(datasets.SQL.purge_spent_sessions, owners, found)
    return dropped


async def _count_usage(database: Database, shards: Shards) -> None:
    """Count the usage that waits with identities, pool by pool."""
    waiting: dict[str, list[str]] = {}
    for pool, identity_id in await shards.look(_UNCOUNTED, HEADS_MAX):
        waiting.setdefault(pool, []).append(identity_id)
    for pool, identity_ids in sorted(waiting.items()):
        # Rows of several shards cannot be locked by one statement.
        for group in await shards.group(identity_ids, by_shard=True):

            async def job(
                db: Session, pool: str = pool, ids: list[str] = group
            ) -> None:
                await identity_pools.count_usage(db, pool, ids)

            await database.write("purge", job)


async def _purge_deleted_pool(db: Session, pool: str, *, limit: int) -> int:
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
        owners = sorted({owner for owner, _ in rows})
        numbers = [number for _, number in rows]
        dropped += await db.run(outbox.SQL.delete_outbox, pool, owners, numbers)
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
