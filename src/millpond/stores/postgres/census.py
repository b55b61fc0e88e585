"""
How much the store in PostgreSQL holds, counted a piece at a time.

A piece is a stretch of the primary key, read in its order. Estimates of the planner
would be cheaper; of a young table, and of tombstones, there are none. Of a database
that is spread, the servers are counted one after the other: a place begins with the
server that it is on.
"""

from __future__ import annotations

from typing import Final

from millpond.stores.base import CensusPlace, Counted
from millpond.stores.postgres.database import Database
from millpond.stores.postgres.queries import Queries
from millpond.stores.postgres.shards import SQL as SHARDS_SQL
from millpond.stores.postgres.shards import Question, Shards

SQL: Final = Queries("census.sql")
_POOLS: Final = Queries("identity_pools.sql")
_IDENTITIES: Final = Question(
    "count_identities",
    SQL.count_identities,
    ("identities",),
    "identity_id text, counted bigint, seen bigint",
)
_TOMBSTONES: Final = Question(
    "count_tombstones",
    SQL.count_tombstones,
    ("records",),
    "identity_id text, identity_pool_id text, dataset_name text, key_digest bytea, "
    "counted bigint, seen bigint",
)
_BYTES_OF_WORKERS: Final = Question(
    "measure_bytes",
    SHARDS_SQL.measure_bytes_of_worker,
    ("identity_heads",),
    "bytes bigint",
)


class Census:
    """The `Census` part of the port."""

    database: Database
    shards: Shards

    async def count_identity_pools(self) -> int:
        async with self.database.session("count_identity_pools") as db:
            return int(await db.value(_POOLS.count_identity_pools))

    async def count_identities(self, after: CensusPlace, *, rows_max: int) -> Counted:
        return await self._count(_IDENTITIES, after, ("",), rows_max)

    async def count_tombstones(self, after: CensusPlace, *, rows_max: int) -> Counted:
        return await self._count(_TOMBSTONES, after, ("", "", "", b""), rows_max)

    async def _count(
        self,
        question: Question,
        after: CensusPlace,
        first: tuple[str | bytes, ...],
        rows_max: int,
    ) -> Counted:
        if not self.database.is_spread:
            rows = await self.shards.look(question, *(after or first), rows_max)
            return _counted(rows, rows_max, (), None)
        nodes = await self.shards.nodes()
        node, *key = after or (nodes[0], *first)
        nodes = [each for each in nodes if each >= str(node)]
        if not nodes:
            return Counted(0, None)  # it left meanwhile
        if nodes[0] != node:
            key = [*first]
        rows = await self.shards.look_on(nodes[0], question, *key, rows_max)
        behind = (nodes[1], *first) if len(nodes) > 1 else None
        return _counted(rows, rows_max, (nodes[0],), behind)

    async def measure_bytes(self) -> int:
        """Of a database that is spread, what the servers have that answer."""
        async with self.database.session("measure_bytes") as db:
            size = int(await db.value(SQL.measure_bytes))
        if self.database.is_spread:
            rows = await self.shards.look(_BYTES_OF_WORKERS)
            size += sum(int(row["bytes"]) for row in rows)
        return size


def _counted(
    rows: list[tuple[str | int | bytes, ...]],
    rows_max: int,
    node: tuple[str, ...],
    behind: CensusPlace,
) -> Counted:
    """
    Tell what was counted, and where to go on.

    Args:
        rows: the last one that was seen, if any, and the figures.
        behind: where to go on after the last row.
    """
    if not rows:
        return Counted(0, behind)
    *key, counted, seen = rows[0]
    whole = int(seen) >= rows_max
    return Counted(int(counted), (*node, *key) if whole else behind)
