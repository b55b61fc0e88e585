"""
The store in PostgreSQL, through asyncpg: any number of nodes over one database.

`database` holds the connections; each part of the port has a module of its own, with
its statements beside it in `queries`. No sync rule lives here. The same schema runs on
one server and spread over several (`distribution`).
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable

import structlog

from millpond.errors import StoreError
from millpond.stores.postgres import purge
from millpond.stores.postgres.audit import Audit, AuditedDatabase
from millpond.stores.postgres.bulk_publish import BulkPublishes
from millpond.stores.postgres.census import Census
from millpond.stores.postgres.copying import Copies
from millpond.stores.postgres.database import Database as Database
from millpond.stores.postgres.datasets import Datasets
from millpond.stores.postgres.devices import Devices
from millpond.stores.postgres.faults import no_writes
from millpond.stores.postgres.guests import Guests
from millpond.stores.postgres.identities import Identities
from millpond.stores.postgres.identity_pools import IdentityPools
from millpond.stores.postgres.importing import Imports
from millpond.stores.postgres.keys import Keys
from millpond.stores.postgres.leases import RENEWAL_S, Leases
from millpond.stores.postgres.nodes import Nodes
from millpond.stores.postgres.outbox import Outbox
from millpond.stores.postgres.shards import Shards
from millpond.stores.postgres.spent_marks import SpentMarks
from millpond.stores.postgres.stream_consumers import StreamConsumers
from millpond.stores.postgres.streams import Streams
from millpond.stores.postgres.verification import Verifications

_log = structlog.get_logger()


class PostgresStore(
    Keys,
    SpentMarks,
    Audit,
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
):
    """The store in a PostgreSQL database."""

    def __init__(
        self, url: str, *, listen_url: str = "", read_only: bool = False
    ) -> None:
        """
        Args:
            url: of the database, `postgresql://user:password@host:port/name`; several
                hosts and further parameters as libpq has them.
            listen_url: of the same database, for what needs a connection of its own;
                then the other one may lead to a pooler in transaction mode.
            read_only: another process of this server writes and is the node.
        """
        self._read_only = read_only
        self.node = uuid.uuid4().hex
        """What this node is called among those of the database, until it closes."""
        self.database = AuditedDatabase(url, direct_url=listen_url, read_only=read_only)
        self.shards = Shards(self.database)
        self.leases = Leases(self.database, self.node)
        self.nodes = Nodes(self.database, self.leases, self.node)
        self._renewing: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<PostgresStore {self.database!r}>"

    async def open(self) -> None:
        await self.database.open()
        if self.database.is_spread and not self.database.is_beside_shards:
            hint = (
                "Run 'millpond migrate --distribute' once more; till then it is slow."
            )
            _log.warning("store.functions_missing", hint=hint)
        if self._renewing is None and not self._read_only:
            self._renewing = asyncio.create_task(self._renew())

    async def aclose(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
            self._renewing = None
        if self.copy_hold is not None:
            self.copy_hold.terminate()
            self.copy_hold = None
        if self.database.is_open:
            await self.nodes.leave()
            with contextlib.suppress(StoreError):  # they run out by themselves
                await self.leases.release()
        await self.database.aclose()

    async def join(
        self, hear: Callable[[bytes], None], missed: Callable[[], None]
    ) -> None:
        await self.database.check_connections()
        await self.nodes.join(hear, missed)

    @property
    def others(self) -> int:
        return self.nodes.others

    def tell(self, message: bytes) -> None:
        self.nodes.tell(message)

    async def ping(self, *, writes: bool = False) -> None:
        async with self.database.session("ping") as db:
            # Of a replica, and of a database that was set read-only, say, because its
            # disk is full.
            state = await db.value("SELECT current_setting('transaction_read_only')")
        if writes and state == "on":
            raise no_writes("ping")

    async def purge(self, *, now_ms: int, stream_retention_ms: int, limit: int) -> int:
        return await purge.purge(
            self.database,
            self.shards,
            now_ms=now_ms,
            stream_retention_ms=stream_retention_ms,
            limit=limit,
        )

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL_S)
            try:
                await self.nodes.look()
            except StoreError as error:
                _log.warning("store.leases_not_renewed", error=str(error))
