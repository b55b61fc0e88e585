"""
The embedded store: SQLite through apsw, in two files.

`database` holds the connections and the writer; each part of the port has a module of
its own, with its statements beside it in `queries`. No sync rule lives here.

Embedded streams have a file, a writer and larger pages of their own: a bulk publish
writes megabytes a second, and updates of records need not wait behind it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from millpond.errors import StoreUnavailableError
from millpond.stores.sqlite.audit import Audit, AuditedDatabase
from millpond.stores.sqlite.bulk_publish import BulkPublishes
from millpond.stores.sqlite.census import Census
from millpond.stores.sqlite.copying import Copies
from millpond.stores.sqlite.database import Database
from millpond.stores.sqlite.datasets import Datasets
from millpond.stores.sqlite.devices import Devices
from millpond.stores.sqlite.emptying import Emptying
from millpond.stores.sqlite.guests import Guests
from millpond.stores.sqlite.identities import Identities
from millpond.stores.sqlite.identity_pools import IdentityPools
from millpond.stores.sqlite.importing import Imports
from millpond.stores.sqlite.keys import DeveloperKeys
from millpond.stores.sqlite.outbox import Outbox
from millpond.stores.sqlite.purge import purge_main, purge_streams
from millpond.stores.sqlite.spent_marks import SpentMarks
from millpond.stores.sqlite.stream_consumers import StreamConsumers
from millpond.stores.sqlite.streams import Streams
from millpond.stores.sqlite.token_keys import TokenKeys
from millpond.stores.sqlite.verification import Verifications

FILE_NAME: Final = "millpond.sqlite3"
STREAMS_FILE_NAME: Final = "streams.sqlite3"
PAGE_BYTES: Final = 8192
STREAMS_PAGE_BYTES: Final = 65_536  # a stream record is a few KiB; several fit


class SqliteStore(
    DeveloperKeys,
    Audit,
    TokenKeys,
    SpentMarks,
    IdentityPools,
    Identities,
    Guests,
    Datasets,
    Devices,
    Outbox,
    BulkPublishes,
    Streams,
    Census,
    StreamConsumers,
    Copies,
    Imports,
    Verifications,
    Emptying,
):
    """The embedded store, in a folder that must exist."""

    def __init__(
        self,
        directory: Path,
        *,
        read_only: bool = False,
        must_exist: bool = False,
        durable: bool = True,
    ) -> None:
        """
        Args:
            read_only: another process has opened the store, and writes.
            must_exist: refuse to make it, or a part of it.
            durable: whether a write is on the disk when it is acknowledged; else a
                crash of the system may lose, and damage, everything.
        """
        self.database = AuditedDatabase(
            directory / FILE_NAME,
            schema="main",
            page_bytes=PAGE_BYTES,
            read_only=read_only,
            must_exist=must_exist,
            durable=durable,
        )
        self.streams_database = Database(
            directory / STREAMS_FILE_NAME,
            schema="streams",
            page_bytes=STREAMS_PAGE_BYTES,
            read_only=read_only,
            must_exist=must_exist,
            durable=durable,
        )
        self._known_version: int | None = None

    def __repr__(self) -> str:
        return f"<SqliteStore {self.database!r}>"

    async def open(self) -> None:
        await asyncio.to_thread(self.database.open)
        try:
            await asyncio.to_thread(self.streams_database.open)
        except BaseException:
            await asyncio.to_thread(self.database.close)
            raise

    async def aclose(self) -> None:
        await asyncio.to_thread(self.database.close)
        await asyncio.to_thread(self.streams_database.close)

    async def ping(self, *, writes: bool = False) -> None:
        # Not a constant: the files are looked into, at what everybody needs.
        for database, table in (
            (self.database, "developer_keys"),
            (self.database, "identity_pools"),
            (self.streams_database, "streams"),
        ):
            database.look("ping", f"SELECT EXISTS (SELECT 1 FROM {table})", ())
        if writes:
            files = (self.database.path, self.streams_database.path)
            await asyncio.to_thread(_check_access, files)

    async def was_written_elsewhere(self) -> bool:
        version = await self.database.find_foreign_version()
        before, self._known_version = self._known_version, version
        return before not in (None, version)

    async def purge(self, *, now_ms: int, stream_retention_ms: int, limit: int) -> int:
        dropped = await self.database.write(
            lambda db: purge_main(db, now_ms=now_ms, limit=limit)
        )
        return dropped + await self.streams_database.write(
            lambda db: purge_streams(
                db, now_ms=now_ms, retention_ms=stream_retention_ms, limit=limit
            )
        )


def _check_access(files: Iterable[Path]) -> None:
    """Refuse files that the system lets nobody, or not this user, write to."""
    for file in files:
        folder = file.parent
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            raise StoreUnavailableError(
                f"'{folder}' is mounted read-only.",
                op="ping",
                hint="Mount it for writing again, once it is known why it is not: a "
                "disk with faults is mounted so by the system (`dmesg`).",
            )
        for path in (folder, file):
            if not os.access(path, os.W_OK):
                raise StoreUnavailableError(
                    f"The user of this server cannot write to '{path}'.",
                    op="ping",
                    hint="Give it back to that user (chown, chmod u+rw). What is open "
                    "may go on for a while; a server that starts again cannot.",
                )
