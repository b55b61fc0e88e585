"""
The outbox in PostgreSQL.

Order. An id is drawn from a sequence while the head of the identity is held, until the
commit; so among the entries of one identity the ids are in the order of the commits.
Entries of different identities may become visible in another order. That harms nobody:
the relay has no cursor that could pass one by, it reads what is there and deletes what
was acknowledged.

Several nodes. Two relays that send the same entries could send an older one behind a
newer one. So a node is given only the pools that it holds the lease of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from millpond.stores.base import OutboxEntry
from millpond.stores.postgres.database import Database
from millpond.stores.postgres.leases import Leases
from millpond.stores.postgres.queries import Queries

SQL: Final = Queries("outbox.sql")
_LEASE: Final = "outbox:"


class Outbox:
    """The `OutboxStore` part of the port."""

    database: Database
    leases: Leases

    async def list_outbox_pools(self) -> list[str]:
        async with self.database.session("list_outbox_pools") as db:
            pools = [pool for (pool,) in await db.rows(SQL.list_outbox_pools)]
        if not pools:
            return []
        held = await self.leases.hold([_LEASE + pool for pool in pools])
        return [pool for pool in pools if _LEASE + pool in held]

    async def list_outbox(
        self, identity_pool_id: str, *, limit: int, bytes_max: int
    ) -> list[OutboxEntry]:
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

    async def count_outbox(self) -> int:
        async with self.database.session("count_outbox") as db:
            return int(await db.value(SQL.count_outbox))
