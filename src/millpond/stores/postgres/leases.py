"""
Leases: what one node at a time does, such as sending the outbox of a pool.

A lease is a row with its holder and the time at which it runs out, by the clock of the
database. The holder renews it well before; when it dies, another node takes the lease a
few seconds later. A node that closes gives its leases back at once.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from millpond.stores.postgres.database import Database
from millpond.stores.postgres.queries import Queries

SQL: Final = Queries("leases.sql")
LEASE_S: Final = 8.0
RENEWAL_S: Final = 2.0  # between two renewals; a few may fail
_SURE_S: Final = LEASE_S - 2 * RENEWAL_S  # so long after a renewal it is certainly ours
NODE_PREFIX: Final = "node:"
_LEASE: Final = datetime.timedelta(seconds=LEASE_S)
_STALE: Final = datetime.timedelta(hours=1)


class Neighbourhood(NamedTuple):
    """The nodes of a database: those that live, and those whose lease ran out."""

    alive: Collection[str]
    dead: Collection[str]


class Leases:
    """The leases of a node."""

    def __init__(self, database: Database, node: str) -> None:
        self._database = database
        self._node = node
        self._held: dict[str, float] = {}  # name -> until when it is certainly ours

    async def hold(self, names: Sequence[str]) -> Collection[str]:
        """Take leases that are free, and say which of the names are ours."""
        now_s = time.monotonic()
        ours = {name for name in names if self._held.get(name, 0) > now_s}
        wanted = [name for name in names if name not in ours]
        if wanted:
            async with self._database.session("hold_leases") as db:
                rows = await db.rows(SQL.hold_leases, wanted, self._node, _LEASE)
            taken = {name for (name,) in rows}
            self._held |= dict.fromkeys(taken, now_s + _SURE_S)
            ours |= taken
        return ours

    async def renew(self) -> Neighbourhood:
        """Hold longer what is held, if anything; tell which nodes there are then."""
        if not self._held:
            return Neighbourhood((), ())
        now_s = time.monotonic()
        async with self._database.session("renew_leases") as db:
            rows = await db.rows(SQL.renew_leases, self._node, _LEASE, _STALE)
        by_kind: dict[str, set[str]] = {"renewed": set(), "node": set(), "dead": set()}
        for kind, name in rows:
            by_kind[kind].add(name)
        renewed = by_kind["renewed"]
        wanted = [*self._held]
        for name in wanted:
            self._held[name] = now_s + _SURE_S if name in renewed else 0.0
        # Some may have run out. Which of them are free still? Those that others have
        # are kept in mind until that is known: the node's own is never given up.
        if lost := [name for name in wanted if name not in renewed]:
            ours = await self.hold(lost)
            for name in lost:
                if name not in ours and not name.startswith(NODE_PREFIX):
                    self._held.pop(name, None)
        return Neighbourhood(by_kind["node"], by_kind["dead"])

    async def release(self) -> None:
        """Give everything back, so that another node need not wait."""
        if not self._held:
            return
        self._held.clear()
        async with self._database.session("release_leases") as db:
            await db.run(SQL.release_leases, self._node)
