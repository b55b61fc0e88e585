"""
Identity pools in PostgreSQL, and what they hold.

The usage of a pool is a sum over its identities. Each update adds to the head of its
identity; now and then what has gathered there is counted: added to the row of the pool
and taken from the heads. The usage is the sum of both, exact at any time, and no update
waits for that of another identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from millpond.core.identity_pools import IdentityPool
from millpond.stores.base import IdentityPoolUsage
from millpond.stores.postgres import nodes
from millpond.stores.postgres.database import Database, Session
from millpond.stores.postgres.queries import Queries
from millpond.stores.postgres.shards import Question, Shards

SQL: Final = Queries("identity_pools.sql")

LOOKS_MAX: Final = 5  # at usage that is counted while it is read
_UNCOUNTED: Final = Question(
    "list_identity_pool_usage",
    SQL.sum_uncounted_usage,
    ("identity_heads",),
    "identity_pool_id text, uncounted bigint, latest bigint",
)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(IdentityPool).decode


async def find(db: Session, identity_pool_id: str) -> IdentityPool | None:
    """Find a pool that was not deleted."""
    description = await db.value(SQL.find_identity_pool, identity_pool_id)
    return None if description is None else _decode(description)


async def hold(db: Session, identity_pool_id: str) -> None:
    """Let a pool stay as it is until the end of the transaction; before any head."""
    await db.run(SQL.hold_pool, identity_pool_id)


def is_streaming(pool: IdentityPool) -> bool:
    """Whether updates of the pool go into the outbox."""
    return pool.stream is not None and pool.stream.streaming


def columns_of(pool: IdentityPool) -> tuple[str, bytes, bool, str | None]:
    return (
        pool.identity_pool_id,
        _encode(pool),
        is_streaming(pool),
        pool.sync_trigger,
    )


class IdentityPools:
    """The `IdentityPoolStore` part of the port."""

    database: Database
    shards: Shards

    async def create_identity_pool(self, pool: IdentityPool, *, pools_max: int) -> bool:
        async def job(db: Session) -> bool:
            await db.run(SQL.lock_identity_pools)
            if await db.value(SQL.count_identity_pools) >= pools_max:
                return False
            await db.run(SQL.create_identity_pool, *columns_of(pool))
            await db.run(SQL.create_identity_pool_usage, pool.identity_pool_id)
            return True

        return await self.database.write("create_identity_pool", job)

    async def find_identity_pool(self, identity_pool_id: str) -> IdentityPool | None:
        async with self.database.session("find_identity_pool") as db:
            return await find(db, identity_pool_id)

    async def list_identity_pools(
        self, *, after: str | None, limit: int
    ) -> list[IdentityPool]:
        async with self.database.session("list_identity_pools") as db:
            rows = await db.rows(SQL.list_identity_pools, after or "", limit)
        return [_decode(description) for (description,) in rows]

    async def update_identity_pool(
        self, identity_pool_id: str, change: Callable[[IdentityPool], IdentityPool]
    ) -> IdentityPool | None:
        async def job(db: Session) -> IdentityPool | None:
            await db.run(SQL.hold_pool_to_change, identity_pool_id)
            pool = await find(db, identity_pool_id)
            if pool is None:
                return None
            changed = change(pool)
            await db.run(SQL.update_identity_pool, *columns_of(changed))
            await nodes.tell_to_look_again(db)
            return changed

        return await self.database.write("update_identity_pool", job)

    async def delete_identity_pool(self, identity_pool_id: str) -> bool:
        async def job(db: Session) -> bool:
            await db.run(SQL.hold_pool_to_change, identity_pool_id)
            await db.run(SQL.close_slices_of_pool, identity_pool_id)
            return await db.run(SQL.delete_identity_pool, identity_pool_id) > 0

        return await self.database.write("delete_identity_pool", job)

    async def find_identity_pool_usage(
        self, identity_pool_id: str
    ) -> IdentityPoolUsage | None:
        usages = await self._usage(SQL.find_counted_usage, identity_pool_id)
        return usages[0] if usages else None

    async def list_identity_pool_usage(
        self, *, after: str | None, limit: int
    ) -> list[IdentityPoolUsage]:
        return await self._usage(SQL.list_identity_pool_usage, after or "", limit)

    async def _usage(self, counted: str, *bounds: Any) -> list[IdentityPoolUsage]:
        """Tell the usage of pools, of which a statement says what is counted."""
        if self.database.is_spread:
            return await self._usage_of_cluster(counted, bounds)
        async with self.database.moment("list_identity_pool_usage") as db:
            rows = await db.rows(counted, *bounds)
            found = await db.rows(SQL.sum_uncounted_usage, _names(rows))
        return _with_uncounted(rows, found)

    async def _usage_of_cluster(
        self, counted: str, bounds: Sequence[Any]
    ) -> list[IdentityPoolUsage]:
        rows: list[Any] = []
        found: list[Any] = []
        # Servers have no moment in common: what was counted meanwhile is seen by that.
        for _ in range(LOOKS_MAX):
            before = rows
            async with self.database.session("list_identity_pool_usage") as db:
                rows = await db.rows(counted, *bounds)
            if _sizes(before) == _sizes(rows):
                break
            # Of a server that is away, what is not counted yet is missing.
            found = await self.shards.look(_UNCOUNTED, _names(rows))
        return _with_uncounted(rows, found)

    async def add_sync_sessions(self, counts: Mapping[str, int]) -> None:
        # In one order for all nodes, or they would wait for each other in a circle.
        rows = sorted(counts.items())

        async def job(db: Session) -> None:
            await db.run_many(SQL.add_sync_sessions, rows)

        await self.database.write("add_sync_sessions", job)


def _names(rows: Sequence[Any]) -> list[str]:
    return [row["identity_pool_id"] for row in rows]


def _sizes(rows: Sequence[Any]) -> list[tuple[str, int]]:
    return [(row["identity_pool_id"], row["data_storage"]) for row in rows]


def _with_uncounted(
    rows: Sequence[Any], uncounted: Iterable[Any]
) -> list[IdentityPoolUsage]:
    waiting: dict[str, tuple[int, int]] = {}
    for pool, size, date in uncounted:
        before, latest = waiting.get(pool, (0, date))
        waiting[pool] = before + size, max(latest, date)
    usages = []
    for pool, sessions, size, date in rows:
        more, later = waiting.get(pool, (0, None))
        dates = [each for each in (date, later) if each is not None]
        usages.append(
            IdentityPoolUsage(pool, sessions, size + more, max(dates, default=None))
        )
    return usages


async def count_usage(db: Session, pool: str, identity_ids: Sequence[str]) -> None:
    """Add to the usage of a pool what waits with some of its identities."""
    ids = sorted(identity_ids)
    rows = await db.rows(SQL.lock_uncounted_usage, pool, ids)
    if not rows:
        return  # another node was faster
    found = [row["identity_id"] for row in rows]
    size = sum(row["uncounted_bytes"] for row in rows)
    date = max(row["uncounted_date_ms"] for row in rows)
    # What is elsewhere last: Citus prepares a commit there once it knows of another.
    await db.run(SQL.count_usage, pool, size, date)
    await db.run(SQL.clear_uncounted_usage, pool, found)
    await db.run(SQL.drop_gone_heads, pool, found)
