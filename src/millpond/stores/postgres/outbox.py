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

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from millpond.stores.base import (
    OUTBOX_HEAD_BYTES,
    OutboxEntry,
    OutboxNote,
    OutboxRange,
    OutboxUsage,
    ParkedEntry,
    PoolOutboxUsage,
)
from millpond.stores.postgres import nodes
from millpond.stores.postgres.database import Database, Session
from millpond.stores.postgres.leases import Leases
from millpond.stores.postgres.queries import Queries
from millpond.stores.postgres.shards import Question, Shards, pick

SQL: Final = Queries("outbox.sql")
COUNT_MAX: Final = 2**62  # more than there will be
_LEASE: Final = "outbox:"
_POOLS: Final = Question(
    "list_outbox_pools",
    SQL.list_outbox_pools,
    ("outbox", "identity_pools"),
    "identity_pool_id text",
)
_ENTRIES: Final = Question(
    "list_outbox",
    SQL.list_outbox,
    ("outbox",),
    "outbox_id bigint, identity_id text, data bytea, created_ms bigint",
)
_RANGE: Final = Question(
    "find_outbox_range",
    SQL.find_outbox_range,
    ("outbox",),
    "first_id bigint, last_id bigint",
)

_USAGE: Final = "entries bigint, parked bigint, oldest_ms bigint"
_MEASURED: Final = Question(
    "measure_outbox", SQL.measure_outbox, ("outbox", "parked_outbox"), _USAGE
)
_MEASURED_OF_POOL: Final = Question(
    "measure_outbox", SQL.measure_outbox_of_pool, ("outbox", "parked_outbox"), _USAGE
)
_BY_POOL: Final = Question(
    "list_outbox_usage",
    SQL.list_outbox_usage,
    ("outbox", "parked_outbox", "identity_pools"),
    f"identity_pool_id text, {_USAGE}",
)


class Outbox:
    """The `OutboxStore` part of the port."""

    database: Database
    shards: Shards
    leases: Leases

    async def list_outbox_pools(self) -> list[str]:
        pools = sorted({pool for (pool,) in await self.shards.look(_POOLS)})
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
        bounds = (identity_pool_id, limit, bytes_max)
        found: list[OutboxEntry] = []
        size = 0
        # An identity is on one server, whose entries come in order and without a gap.
        for row in pick(await self.shards.look(_ENTRIES, *bounds), "outbox_id", limit):
            entry = OutboxEntry(*row)
            size += len(entry.data)
            if found and size > bytes_max:
                break
            found.append(entry)
        return found

    async def delete_outbox(
        self, identity_pool_id: str, entries: Sequence[OutboxEntry]
    ) -> None:
        named = by_identity(entries)
        # Server by server: one that is away must not keep what is on another.
        for ids in await self.shards.group(named):
            numbers = [number for each in ids for number in named[each]]
            async with self.database.session("delete_outbox") as db:
                await db.run(SQL.delete_outbox, identity_pool_id, ids, numbers)

    async def measure_outbox(
        self, identity_pool_id: str | None, *, count_max: int | None = None
    ) -> OutboxUsage:
        if identity_pool_id is None:
            # For people to look at: what is away is missing from the figures.
            parts = await self.shards.look(_MEASURED)
        else:
            look_at = self.shards.look_at
            bounds = (identity_pool_id, _to_limit(count_max))
            parts = await look_at(None, _MEASURED_OF_POOL, *bounds)
        return _together(parts)

    async def list_outbox_usage(
        self, *, after: str | None, limit: int, count_max: int | None = None
    ) -> list[PoolOutboxUsage]:
        parts: dict[str, list[Sequence[Any]]] = {}
        bounds = (after or "", limit, _to_limit(count_max))
        for pool, *part in await self.shards.look(_BY_POOL, *bounds):
            parts.setdefault(pool, []).append(part)
        # The first pools of all are among the first ones of each server.
        return [
            PoolOutboxUsage(each, _together(parts[each])) for each in sorted(parts)
        ][:limit]

    async def list_outbox_notes(
        self, identity_pool_id: str, *, parked: bool, after: int, limit: int
    ) -> list[OutboxNote]:
        sql = SQL.list_parked_outbox_notes if parked else SQL.list_outbox_notes
        bounds = (identity_pool_id, after, limit, OUTBOX_HEAD_BYTES)
        async with self.database.session("list_outbox_notes") as db:
            return [OutboxNote(*row) for row in await db.rows(sql, *bounds)]

    async def find_outbox_range(self, identity_pool_id: str) -> OutboxRange | None:
        rows = await self.shards.look_at(None, _RANGE, identity_pool_id)
        found = [(first, last) for first, last in rows if first is not None]
        if not found:
            return None
        firsts, lasts = zip(*found, strict=True)
        return OutboxRange(min(firsts), max(lasts))

    async def park_outbox(
        self,
        identity_pool_id: str,
        refused: Sequence[tuple[OutboxEntry, str]],
        *,
        now_ms: int,
    ) -> None:
        async def job(db: Session) -> None:
            for entry, reason in refused:
                row = (identity_pool_id, entry.identity_id, entry.outbox_id)
                await db.run(SQL.park_outbox, *row, now_ms, reason)
                await db.run(SQL.delete_outbox, row[0], [row[1]], [row[2]])

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
            await nodes.tell_to_look_again(db)
            return await db.run(SQL.delete_parked_outbox, *named)

        return await self.database.write("return_parked_outbox", job)

    async def delete_parked_outbox(
        self, identity_pool_id: str, outbox_ids: Sequence[int]
    ) -> int:
        async with self.database.session("delete_parked_outbox") as db:
            return await db.run(
                SQL.delete_parked_outbox, identity_pool_id, list(outbox_ids)
            )


def _to_limit(count_max: int | None) -> int:
    return COUNT_MAX if count_max is None else count_max


def _together(parts: Iterable[Sequence[Any]]) -> OutboxUsage:
    """Add up what waits on several servers."""
    entries, parked, oldest = zip(*parts, strict=True)
    dates = [each for each in oldest if each is not None]
    return OutboxUsage(sum(entries), sum(parked), min(dates, default=None))


def by_identity(entries: Sequence[OutboxEntry]) -> Mapping[str, Sequence[int]]:
    """Give the ids of entries by their identities."""
    found: dict[str, list[int]] = {}
    for each in entries:
        found.setdefault(each.identity_id, []).append(each.outbox_id)
    return found
