"""
The embedded store: SQLite, one file, through apsw.

`database` holds the connections and the writer; each part of the port has a module of
its own, with its statements beside it in `queries`. No sync rule lives here.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from millpond.stores.sqlite.bulk_publish import BulkPublishes
from millpond.stores.sqlite.database import Database
from millpond.stores.sqlite.datasets import Datasets
from millpond.stores.sqlite.identity_pools import IdentityPools
from millpond.stores.sqlite.keys import DeveloperKeys
from millpond.stores.sqlite.outbox import Outbox
from millpond.stores.sqlite.purge import purge
from millpond.stores.sqlite.streams import Streams

FILE_NAME: Final = "millpond.sqlite3"


class SqliteStore(
    DeveloperKeys, IdentityPools, Datasets, Outbox, BulkPublishes, Streams
):
    """The embedded store, in a folder that must exist."""

    def __init__(self, directory: Path) -> None:
        self.database = Database(directory / FILE_NAME)

    def __repr__(self) -> str:
        return f"<SqliteStore {self.database!r}>"

    async def open(self) -> None:
        await asyncio.to_thread(self.database.open)

    async def aclose(self) -> None:
        await asyncio.to_thread(self.database.close)

    async def ping(self) -> None:
        with self.database.reading("ping") as cursor:
            cursor.execute("SELECT 1").fetchall()

    async def purge(self, *, now_ms: int, stream_retention_ms: int, limit: int) -> int:
        return await self.database.write(
            lambda db: purge(
                db,
                now_ms=now_ms,
                stream_retention_ms=stream_retention_ms,
                limit=limit,
            )
        )
