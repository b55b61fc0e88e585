"""The outbox in the embedded store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from millpond.stores.base import OutboxEntry, OutboxUsage
from millpond.stores.sqlite.database import Database, Reader
from millpond.stores.sqlite.queries import Queries

SQL: Final = Queries("outbox.sql")


class Outbox:
    """The `OutboxStore` part of the port."""

    database: Database

    async def list_outbox_pools(self) -> list[str]:
        with self.database.reading("list_outbox_pools") as cursor:
            return [pool for (pool,) in cursor.execute(SQL.list_outbox_pools)]

    async def list_outbox(
        self, identity_pool_id: str, *, limit: int, bytes_max: int
    ) -> list[OutboxEntry]:
        found: list[OutboxEntry] = []
        size = 0
        with self.database.reading("list_outbox") as cursor:
            for row in cursor.execute(SQL.list_outbox, (identity_pool_id, limit)):
                entry = OutboxEntry(*row)
                size += len(entry.data)
                if found and size > bytes_max:
                    break
                found.append(entry)
        return found

    async def delete_outbox(
        self, identity_pool_id: str, outbox_ids: Sequence[int]
    ) -> None:
        rows = [(outbox_id,) for outbox_id in outbox_ids]
        await self.database.write(lambda db: db.executemany(SQL.delete_outbox, rows))

    async def measure_outbox(self, identity_pool_id: str) -> OutboxUsage:
        def job(cursor: Reader) -> OutboxUsage:
            pool = (identity_pool_id,)
            ((entries,),) = cursor.execute(SQL.count_outbox_of_pool, pool).fetchall()
            return OutboxUsage(entries, parked=0, oldest_ms=None)

        return await self.database.read_slowly("measure_outbox", job)

    async def count_outbox(self) -> int:
        with self.database.reading("count_outbox") as cursor:
            ((count,),) = cursor.execute(SQL.count_outbox).fetchall()
        return int(count)
