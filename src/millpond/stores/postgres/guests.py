"""Guests that nobody uses, in PostgreSQL."""

from __future__ import annotations

from typing import Final

from millpond.errors import StoreUnavailableError
from millpond.stores.base import ExpiredGuests
from millpond.stores.postgres import heads, identity_pools
from millpond.stores.postgres.database import Database, Session
from millpond.stores.postgres.queries import Queries
from millpond.stores.postgres.shards import Question, Shards
from millpond.stores.verification import TEXT_END

SQL: Final = Queries("guests.sql")
_END: Final = Question(
    "expire_guests", SQL.find_end, ("identities",), "identity_id text"
)
_UNUSED: Final = Question(
    "expire_guests",
    SQL.list_unused,
    ("identities", "datasets", "devices"),
    "identity_id text, identity_pool_id text",
)


class Guests:
    """The `GuestStore` part of the port."""

    database: Database
    shards: Shards

    async def note_guest_use(
        self, identity_id: str, *, now_ms: int, before_ms: int
    ) -> None:
        async with self.database.session("note_guest_use") as db:
            await db.run(SQL.note_use, identity_id, now_ms, before_ms)

    async def begin_guest_expiry(self, *, now_ms: int) -> int:
        async with self.database.session("begin_guest_expiry") as db:
            await db.run(SQL.begin, now_ms)
            return int(await db.value(SQL.find_since))

    async def stop_guest_expiry(self) -> None:
        async with self.database.session("stop_guest_expiry") as db:
            await db.run(SQL.stop)

    async def expire_guests(
        self, after: str, *, unused_since_ms: int, rows_max: int
    ) -> ExpiredGuests:
        ends = [end for (end,) in await self.shards.look(_END, after, rows_max - 1)]
        # Of several servers each has at most `rows_max` rows as far as that.
        end = min(ends, default=None)
        stretch = (unused_since_ms, after, end or TEXT_END)
        found = await self.shards.look(_UNUSED, *stretch)
        gone = [
            identity_id
            for identity_id, pool in found
            if await self._expire(pool, identity_id, unused_since_ms)
        ]
        return ExpiredGuests(gone, end)

    async def _expire(self, pool: str, identity_id: str, unused_since_ms: int) -> bool:
        async def job(db: Session) -> bool:
            # As every write of an identity; then what was true is looked at again.
            await identity_pools.hold(db, pool)
            await heads.hold(db, pool, [identity_id])
            gone = await db.run(SQL.delete_unused, unused_since_ms, identity_id)
            if gone:
                await heads.leave(db, pool, identity_id, bytes_added=0, date_ms=None)
            return bool(gone)

        try:
            return await self.database.write("expire_guests", job)
        except StoreUnavailableError:
            if not self.database.is_spread:
                raise
            return False  # it is looked at again when the worker is back
