"""What may be used once, in PostgreSQL."""

from __future__ import annotations

from typing import Final

from millpond.stores.postgres.database import Database
from millpond.stores.postgres.queries import Queries

SQL: Final = Queries("spent_marks.sql")


class SpentMarks:
    """The `SpentMarkStore` part of the port."""

    database: Database

    async def spend_mark(self, mark: str, *, until_ms: int) -> bool:
        spent = await self.database.write(
            "spend_mark", lambda db: db.run(SQL.spend_mark, mark, until_ms)
        )
        return spent > 0

    async def is_mark_spent(self, mark: str) -> bool:
        async with self.database.session("is_mark_spent") as db:
            return await db.value(SQL.find_mark, mark) is not None
