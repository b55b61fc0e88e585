"""
The outbox in PostgreSQL.

Order. An id is drawn from a sequence while the head of the identity is held, until the
commit; so among the entries of one identity the ids are in the order of the commits.
Entries of different identities may become visible in another order. That harms nobody:
the relay has no cursor that could pass one by, it reads what is there and deletes what
was acknowledged.

Several nodes. Two relays that send the same entries could send an older one behind a
newer one. So a node is given only the pools, and the entries of pools, that it holds
the lease of. A node that was frozen while it sent may repeat what another has sent
since; consumers remove repeats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from millpond.stores.base import (
    OutboxEntry,
    OutboxRange,
    OutboxUsage,
    ParkedEntry,
    PoolOutboxUsage,
)
from millpond.stores.postgres.database import Database, Session
from millpond.stores.postgres.leases import Leases
from millpond.stores.postgres.queries import Queries

SQL: Final = Queries("outbox.sql")
_LEASE: Final = "outbox:"


class Outbox:
    """The `OutboxStore` part of the port."""

    database: Database
    leases: Leases

    async def list_outbox_pools(self) -> list[str]:
        spread = self.database.is_spread
        sql = SQL.list_outbox_pools_spread if spread else SQL.list_outbox_pools
        async with self.database.session("list_outbox_pools") as db:
            pools = [pool for (pool,) in await db.rows(sql)]
        if not pools:
            return []
        held = await self.leases.hold([_LEASE + pool for pool in pools])
        return [pool for pool in pools if _LEASE + pool in held]

    async def list_outbox(
        self, identity_pool_id: str, *, limit: int, bytes_max: int
    ) -> list[OutboxEntry]:
        lease = _LEASE + identity_pool_id
        if lease not in await self.leases.hold([lease]):
            return []
        found: list[OutboxEntry] = []
        size = 0

        def full(row: Any) -> bool:
            nonlocal size
            entry = OutboxEntry(*row)
            size += len(entry.data)
            if found and size > bytes_max:
                return True
            found.append(entry)
            return False

        async with self.database.moment("list_outbox") as db:
            bounds = (identity_pool_id, limit)
            await db.rows_until(SQL.list_outbox, *bounds, full=full)
        return found

    async def delete_outbox(
        self, identity_pool_id: str, outbox_ids: Sequence[int]
    ) -> None:
        async with self.database.session("delete_outbox") as db:
            await db.run(SQL.delete_outbox, identity_pool_id, list(outbox_ids))

    async def measure_outbox(self, identity_pool_id: str | None) -> OutboxUsage:
        async with self.database.session("measure_outbox") as db:
            if identity_pool_id is None:
                row = await db.row(SQL.measure_outbox)
            else:
                row = await db.row(SQL.measure_outbox_of_pool, identity_pool_id)
        return OutboxUsage(**row)

    async def list_outbox_usage(
        self, *, after: str | None, limit: int
    ) -> list[PoolOutboxUsage]:
        async with self.database.session("list_outbox_usage") as db:
            rows = await db.rows(SQL.list_outbox_usage, after or "", limit)
        return [PoolOutboxUsage(pool, OutboxUsage(*rest)) for pool, *rest in rows]

    async def find_outbox_range(self, identity_pool_id: str) -> OutboxRange | None:
        async with self.database.session("find_outbox_range") as db:
            first, last = await db.row(SQL.find_outbox_range, identity_pool_id)
        return None if first is None else OutboxRange(first, last)

    async def park_outbox(
        self, identity_pool_id: str, reasons: Mapping[int, str], *, now_ms: int
    ) -> None:
        async def job(db: Session) -> None:
            for outbox_id, reason in reasons.items():
                row = (identity_pool_id, outbox_id, now_ms, reason)
                await db.run(SQL.park_outbox, *row)
            await db.run(SQL.delete_outbox, identity_pool_id, list(reasons))

        await self.database.write("park_outbox", job)

    async def list_parked_outbox(
        self, identity_pool_id: str, *, after: int, limit: int
    ) -> list[ParkedEntry]:
        bounds = (identity_pool_id, after, limit)
        async with self.database.session("list_parked_outbox") as db:
            rows = await db.rows(SQL.list_parked_outbox, *bounds)
        found = []
        for outbox_id, identity_id, data, created_ms, parked_ms, reason in rows:
            entry = OutboxEntry(outbox_id, identity_id, data, created_ms)
            found.append(ParkedEntry(entry, parked_ms, reason))
        return found

    async def return_parked_outbox(
        self, identity_pool_id: str, outbox_ids: Sequence[int]
    ) -> int:
        named = (identity_pool_id, list(outbox_ids))

        async def job(db: Session) -> int:
            await db.run(SQL.return_parked_outbox, *named)
            return await db.run(SQL.delete_parked_outbox, *named)

        return await self.database.write("return_parked_outbox", job)

    async def delete_parked_outbox(
        self, identity_pool_id: str, outbox_ids: Sequence[int]
    ) -> int:
        async with self.database.session("delete_parked_outbox") as db:
            return await db.run(
                SQL.delete_parked_outbox, identity_pool_id, list(outbox_ids)
            )
