"""
How much the embedded store holds, counted a piece at a time.

A piece is a stretch of the primary key: one look finds its end, and a second one counts
in it, both on a thread, inside SQLite, without touching a value.
"""

from __future__ import annotations

from typing import Final

from millpond.errors import StoreError
from millpond.stores.base import CensusPlace, Counted
from millpond.stores.sqlite.database import Database, Reader
from millpond.stores.sqlite.queries import Queries

SQL: Final = Queries("census.sql")
_POOLS: Final = Queries("identity_pools.sql")


class Census:
    """The `Census` part of the port."""

    database: Database
    streams_database: Database

    async def count_identity_pools(self) -> int:
        sql = _POOLS.count_identity_pools
        ((count,),) = self.database.look("count_identity_pools", sql, ())
        return int(count)

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
        return await self._count(statements, after or (-1, ""), rows_max)

    async def _count(
        self,
        statements: tuple[str, str, str],
        after: tuple[str | int | bytes, ...],
        rows_max: int,
    ) -> Counted:
        find_end, count, count_last = statements

        def job(db: Reader) -> Counted:
            for end in db.execute(find_end, (*after, rows_max - 1)):
                ((found,),) = db.execute(count, (*after, *end))
                return Counted(found, end)
            ((found,),) = db.execute(count_last, after)
            return Counted(found, None)

        return await self.database.read_slowly("census", job)

    async def measure_bytes(self) -> int:
        size = 0
        for database in (self.database, self.streams_database):
            if not database.is_open:
                raise StoreError("The store is closed.", op="measure_bytes")
            for suffix in ("", "-wal"):
                path = database.path.with_name(database.path.name + suffix)
                try:
                    size += path.stat().st_size
                except OSError:
                    continue  # the log comes and goes
        return size
