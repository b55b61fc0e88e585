"""Guests that nobody uses, in the embedded store."""

from __future__ import annotations

from typing import Final

from millpond.stores.base import ExpiredGuests
from millpond.stores.sqlite.database import Database, Writer
from millpond.stores.sqlite.queries import Queries
from millpond.stores.verification import TEXT_END

SQL: Final = Queries("guests.sql")


class Guests:
    """The `GuestStore` part of the port."""

    database: Database

    async def note_guest_use(
        self, identity_id: str, *, now_ms: int, before_ms: int
    ) -> None:
        row = (identity_id, now_ms, before_ms)
        await self.database.write(lambda db: db.execute(SQL.note_use, row))

    async def begin_guest_expiry(self, *, now_ms: int) -> int:
        def job(db: Writer) -> int:
            db.execute(SQL.begin, (now_ms,))
            ((since_ms,),) = db.execute(SQL.find_since).fetchall()
            return int(since_ms)

        return await self.database.write(job)

    async def stop_guest_expiry(self) -> None:
        await self.database.write(lambda db: db.execute(SQL.stop))

    async def expire_guests(
        self, after: str, *, unused_since_ms: int, rows_max: int
    ) -> ExpiredGuests:
        def job(db: Writer) -> ExpiredGuests:
            ends = db.execute(SQL.find_end, (after, rows_max - 1)).fetchall()
            end = ends[0][0] if ends else None
            stretch = (unused_since_ms, after, end or TEXT_END)
            gone = db.execute(SQL.delete_unused, stretch).fetchall()
            return ExpiredGuests([each for (each,) in gone], end)

        return await self.database.write(job)
