"""Emptying the embedded store of a server for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

from millpond.stores.sqlite.database import Database, Writer

# Who calls, and what they were given, are the same afterwards.
_KEPT: Final = frozenset(("developer_keys", "token_keys"))


class Emptying:
    """Drops all that is not the server's own."""

    database: Database
    streams_database: Database

    async def delete_everything(self) -> None:
        """Delete all rows but those of developer keys and token keys."""
        await asyncio.gather(
            self.database.write(lambda db: _empty(db, _KEPT)),
            self.streams_database.write(lambda db: _empty(db, ())),
        )


def _empty(db: Writer, kept: Collection[str]) -> None:
    names = "SELECT name FROM sqlite_schema WHERE type = 'table'"
    for (name,) in db.execute(names).fetchall():
        if name not in kept and not name.startswith("sqlite_"):
            db.execute(f'DELETE FROM "{name}"')
