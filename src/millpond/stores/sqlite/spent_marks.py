"""What may be used once, in the embedded store."""

from __future__ import annotations

from typing import Final

from millpond.stores.sqlite.database import Database
from millpond.stores.sqlite.queries import Queries

SQL: Final = Queries("spent_marks.sql")


class SpentMarks:
    """The `SpentMarkStore` part of the port."""

    database: Database

    async def spend_mark(self, mark: str, *, until_ms: int) -> bool:
        return await self.database.write(
            lambda db: bool(db.execute(SQL.spend_mark, (mark, until_ms)).fetchall())
        )

    async def is_mark_spent(self, mark: str) -> bool:
        return bool(self.database.look("is_mark_spent", SQL.find_mark, (mark,)))
