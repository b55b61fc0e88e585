"""
How much the store in PostgreSQL holds, counted a piece at a time.

A piece is a stretch of the primary key: one look at the index finds its end, a second
one counts in it. Estimates of the planner would be cheaper; of a young table, and of
tombstones, there are none.
"""

from __future__ import annotations

from typing import Final

from millpond.stores.base import CensusPlace, Counted
from millpond.stores.postgres.database import Database
from millpond.stores.postgres.queries import Queries

SQL: Final = Queries("census.sql")
_POOLS: Final = Queries("identity_pools.sql")


class Census:
    """The `Census` part of the port."""

    database: Database

    async def count_identity_pools(self) -> int:
        async with self.database.session("count_identity_pools") as db:
            return int(await db.value(_POOLS.count_identity_pools))

    async def count_identities(self, after: CensusPlace, *, rows_max: int) -> Counted:
        statements = (
            SQL.find_end_of_identities,
            SQL.count_identities,
            SQL.count_last_identities,
        )
        return await self._count(statements, after or ("",), rows_max)

    async def count_tombstones(self, after: CensusPlace, *, rows_max: int) -> Counted:
        statements = (
            SQL.find_end_of_tombstones,
            SQL.count_tombstones,
            SQL.count_last_tombstones,
        )
        return await self._count(statements, after or ("", "", "", b""), rows_max)

    async def _count(
        self,
        statements: tuple[str, str, str],
        after: tuple[str | int | bytes, ...],
        rows_max: int,
    ) -> Counted:
        find_end, count, count_last = statements
        async with self.database.moment("census") as db:
            end = await db.row(find_end, *after, rows_max - 1)
            if end is None:
                return Counted(await db.value(count_last, *after), None)
            return Counted(await db.value(count, *after, *end), tuple(end))

    async def measure_bytes(self) -> int:
        """Of a database that is spread, what its coordinator has."""
        async with self.database.session("measure_bytes") as db:
            return int(await db.value(SQL.measure_bytes))
