"""The outbox in the embedded store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from millpond.stores.base import (
    OUTBOX_HEAD_BYTES,
    OutboxEntry,
    OutboxNote,
    OutboxRange,
    OutboxUsage,
    ParkedEntry,
    PoolOutboxUsage,
)
from millpond.stores.sqlite.database import Database, Reader, Writer
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
        self, identity_pool_id: str, entries: Sequence[OutboxEntry]
    ) -> None:
        runs = _runs([each.outbox_id for each in entries])
        rows = [(identity_pool_id, *each) for each in runs]
        await self.database.write(lambda db: db.executemany(SQL.delete_outbox, rows))

    async def measure_outbox(
        self, identity_pool_id: str | None, *, count_max: int | None = None
    ) -> OutboxUsage:
        bounds = (identity_pool_id, _to_limit(count_max))

        def job(cursor: Reader) -> OutboxUsage:
            if identity_pool_id is None:
                rows = cursor.execute(SQL.measure_outbox)
            else:
                rows = cursor.execute(SQL.measure_outbox_of_pool, bounds)
            ((entries, parked, oldest_ms),) = rows.fetchall()
            return OutboxUsage(entries, parked, oldest_ms or None)

        return await self.database.read_slowly("measure_outbox", job)

    async def list_outbox_usage(
        self, *, after: str | None, limit: int, count_max: int | None = None
    ) -> list[PoolOutboxUsage]:
        bounds = (after or "", limit, _to_limit(count_max))

        def job(cursor: Reader) -> list[PoolOutboxUsage]:
            rows = cursor.execute(SQL.list_outbox_usage, bounds)
            return [
                PoolOutboxUsage(pool, OutboxUsage(entries, parked, oldest_ms or None))
                for pool, entries, parked, oldest_ms in rows
            ]

        return await self.database.read_slowly("list_outbox_usage", job)

    async def list_outbox_notes(
        self, identity_pool_id: str, *, parked: bool, after: int, limit: int
    ) -> list[OutboxNote]:
        sql = SQL.list_parked_outbox_notes if parked else SQL.list_outbox_notes
        bounds = (identity_pool_id, after, limit, OUTBOX_HEAD_BYTES)
        return await self.database.read_slowly(
            "list_outbox_notes",
            lambda cursor: [OutboxNote(*row) for row in cursor.execute(sql, bounds)],
        )

    async def find_outbox_range(self, identity_pool_id: str) -> OutboxRange | None:
        with self.database.reading("find_outbox_range") as cursor:
            rows = cursor.execute(SQL.find_outbox_range, (identity_pool_id,))
            ((first, last),) = rows.fetchall()
        return None if first is None else OutboxRange(first, last)

    async def park_outbox(
        self,
        identity_pool_id: str,
        refused: Sequence[tuple[OutboxEntry, str]],
        *,
        now_ms: int,
    ) -> None:
        def job(db: Writer) -> None:
            for entry, reason in refused:
                outbox_id = entry.outbox_id
                row = (identity_pool_id, outbox_id, now_ms, reason)
                db.execute(SQL.park_outbox, row)
                db.execute(SQL.delete_outbox, (identity_pool_id, outbox_id, outbox_id))

        await self.database.write(job)

    async def list_parked_outbox(
        self, identity_pool_id: str, *, after: int, limit: int
    ) -> list[ParkedEntry]:
        bounds = (identity_pool_id, after, limit)
        with self.database.reading("list_parked_outbox") as cursor:
            return [
                ParkedEntry(OutboxEntry(*row[:4]), *row[4:])
                for row in cursor.execute(SQL.list_parked_outbox, bounds)
            ]

    async def return_parked_outbox(
        self, identity_pool_id: str, outbox_ids: Sequence[int]
    ) -> int:
        def job(db: Writer) -> int:
            for outbox_id in outbox_ids:
                db.execute(SQL.return_parked_outbox, (identity_pool_id, outbox_id))
            return _delete_parked(db, identity_pool_id, outbox_ids)

        return await self.database.write(job)

    async def delete_parked_outbox(
        self, identity_pool_id: str, outbox_ids: Sequence[int]
    ) -> int:
        return await self.database.write(
            lambda db: _delete_parked(db, identity_pool_id, outbox_ids)
        )


def _to_limit(count_max: int | None) -> int:
    return -1 if count_max is None else count_max


def _runs(outbox_ids: Sequence[int]) -> list[tuple[int, int]]:
    """Sum up numbers that follow each other: the first and last of each run."""
    runs: list[tuple[int, int]] = []
    for each in outbox_ids:
        if runs and runs[-1][1] == each - 1:
            runs[-1] = runs[-1][0], each
        else:
            runs.append((each, each))
    return runs


def _delete_parked(db: Writer, identity_pool_id: str, outbox_ids: Sequence[int]) -> int:
    return sum(
        len(db.execute(SQL.delete_parked_outbox, (identity_pool_id, each)).fetchall())
        for each in outbox_ids
    )
