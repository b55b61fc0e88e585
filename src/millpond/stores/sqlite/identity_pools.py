"""Identity pools in the embedded store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from millpond.core.identity_pools import IdentityPool
from millpond.stores.base import IdentityPoolUsage
from millpond.stores.sqlite.database import Database, Reader, Writer
from millpond.stores.sqlite.queries import Queries

SQL: Final = Queries("identity_pools.sql")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(IdentityPool).decode


def find(db: Reader, identity_pool_id: str) -> IdentityPool | None:
    """Find a pool that was not deleted."""
    rows = db.execute(SQL.find_identity_pool, (identity_pool_id,)).fetchall()
    return _decode(rows[0][0]) if rows else None


def is_streaming(pool: IdentityPool) -> bool:
    """Whether updates of the pool go into the outbox."""
    return pool.stream is not None and pool.stream.streaming


def to_row(pool: IdentityPool) -> tuple[str, bytes, bool, str | None]:
    return (
        pool.identity_pool_id,
        _encode(pool),
        is_streaming(pool),
        pool.sync_trigger,
    )


class IdentityPools:
    """The `IdentityPoolStore` part of the port."""

    database: Database

    async def create_identity_pool(self, pool: IdentityPool, *, pools_max: int) -> bool:
        def job(db: Writer) -> bool:
            ((count,),) = db.execute(SQL.count_identity_pools).fetchall()
            if count >= pools_max:
                return False
            db.execute(SQL.create_identity_pool, to_row(pool))
            db.execute(SQL.create_identity_pool_usage, (pool.identity_pool_id,))
            return True

        return await self.database.write(job)

    async def find_identity_pool(self, identity_pool_id: str) -> IdentityPool | None:
        with self.database.reading("find_identity_pool") as cursor:
            return find(cursor, identity_pool_id)

    async def list_identity_pools(
        self, *, after: str | None, limit: int
    ) -> list[IdentityPool]:
        with self.database.reading("list_identity_pools") as cursor:
            rows = cursor.execute(SQL.list_identity_pools, (after or "", limit))
            return [_decode(description) for (description,) in rows]

    async def update_identity_pool(
        self, identity_pool_id: str, change: Callable[[IdentityPool], IdentityPool]
    ) -> IdentityPool | None:
        def job(db: Writer) -> IdentityPool | None:
            pool = find(db, identity_pool_id)
            if pool is None:
                return None
            changed = change(pool)
            db.execute(SQL.update_identity_pool, to_row(changed))
            return changed

        return await self.database.write(job)

    async def delete_identity_pool(self, identity_pool_id: str) -> bool:
        return await self.database.write(
            lambda db: bool(
                db.execute(SQL.delete_identity_pool, (identity_pool_id,)).fetchall()
            )
        )

    async def find_identity_pool_usage(
        self, identity_pool_id: str
    ) -> IdentityPoolUsage | None:
        with self.database.reading("find_identity_pool_usage") as cursor:
            rows = cursor.execute(SQL.find_identity_pool_usage, (identity_pool_id,))
            return next((IdentityPoolUsage(*row) for row in rows), None)

    async def list_identity_pool_usage(
        self, *, after: str | None, limit: int
    ) -> list[IdentityPoolUsage]:
        with self.database.reading("list_identity_pool_usage") as cursor:
            rows = cursor.execute(SQL.list_identity_pool_usage, (after or "", limit))
            return [IdentityPoolUsage(*row) for row in rows]

    async def add_sync_sessions(self, counts: Mapping[str, int]) -> None:
        rows = list(counts.items())
        await self.database.write(
            lambda db: db.executemany(SQL.add_sync_sessions, rows)
        )
