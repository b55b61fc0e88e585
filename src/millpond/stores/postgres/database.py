"""
Connections to PostgreSQL, transactions, and errors in our own words.

Theory of operation
-------------------
`Database` has a pool of connections. `session` gives one of them for statements that
stand alone; `write` runs a job in a transaction and runs it again when it lost a race:
a serialization failure, a deadlock, or two that made the same thing. A job may
therefore run more than once, and does nothing but read, decide and write.

A pooler between the node and the database (PgBouncer) may give the database's side of a
connection to others, from one transaction to the next. What belongs to a connection
then means nothing: settings, statements that were prepared, LISTEN, locks. Where there
is a URL that leads past it, `pooled` is true: everything is a transaction of its own,
prepares nothing by name, and what needs a connection of its own has the other URL.

A connection that died is replaced by the pool. What was under way on it raises
StoreUnavailableError, which callers may repeat. One case cannot be told apart: when the
connection dies while a commit is under way, it may have happened. Sync sessions make
the repeat of an update harmless.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final, TypeVar

import asyncpg

from millpond.errors import StoreError
from millpond.stores.postgres import array_types, beside_shards, migrations
from millpond.stores.postgres.distribution import is_spread, refuse_worker
from millpond.stores.postgres.faults import (
    DRIVER_ERRORS,
    map_driver_errors,
    map_start_errors,
    pooled_connections,
)
from millpond.stores.urls import redacted

T = TypeVar("T")

CONNECTIONS_MAX: Final = 16  # of a node; more would wait for the same two cores
CONNECT_TIMEOUT_S: Final = 10.0
WAIT_TIMEOUT_S: Final = 10.0  # for a connection that is not busy
STATEMENT_TIMEOUT_S: Final = 60.0
ROWS_AT_ONCE: Final = 16  # of which each may have a MiB
RUNS_MAX: Final = 20  # of a job that loses races
UNIQUE_RUNS_MAX: Final = 3  # what is there twice after so many, is there for good
_STARTUP: Final = {"application_name": "millpond"}  # what any pooler takes, too
_SETTINGS: Final = (
    # Nobody waits for ever for a node that was frozen in a transaction.
    f"idle_in_transaction_session_timeout = '{STATEMENT_TIMEOUT_S:.0f}s'",
    # Of Citus; to others it means nothing. With each worker one connection for each of
    # ours: more would hardly be faster, and there would be sixteen times as many.
    "citus.max_adaptive_executor_pool_size = 1",
)
# Whatever the database's own default is: snapshots are taken behind the locks.
BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"
MOMENT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
# Not at the start-up: PgBouncer refuses parameters that it does not know.
_PREPARE: Final = "; ".join(
    f"SET {each}"
    for each in ("default_transaction_isolation = 'read committed'", *_SETTINGS)
)
_PREPARE_TRANSACTION: Final = "; ".join(f"SET LOCAL {each}" for each in _SETTINGS)
_STATEMENTS_KEPT: Final = 100  # prepared ones, of a connection
_LOST_RACES: Final = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.UniqueViolationError,
)


class Session:
    """A connection in the hands of one operation; what it raises is translated."""

    __slots__ = ("_connection", "_op", "_pooled")

    def __init__(self, connection: Any, op: str, *, pooled: bool = False) -> None:
        self._connection = connection
        self._op = op
        self._pooled = pooled

    async def rows(self, sql: str, *args: Any) -> list[Any]:
        """Run a statement and give all rows."""
        with map_driver_errors(self._op):
            found: list[Any] = await self._connection.fetch(sql, *args)
        return found

    async def row(self, sql: str, *args: Any) -> Any:
        """Run a statement and give the first row, or None."""
        with map_driver_errors(self._op):
            return await self._connection.fetchrow(sql, *args)

    async def value(self, sql: str, *args: Any) -> Any:
        """Run a statement and give the first column of the first row, or None."""
        with map_driver_errors(self._op):
            return await self._connection.fetchval(sql, *args)

    async def run(self, sql: str, *args: Any) -> int:
        """Run a statement and give the number of rows that it changed."""
        with map_driver_errors(self._op):
            status: str = await self._connection.execute(sql, *args)
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def run_many(self, sql: str, rows: list[Any]) -> None:
        """Run a statement for each of several rows, in as few round trips."""
        with map_driver_errors(self._op):
            await self._connection.executemany(sql, rows)

    async def rows_until(
        self,
        sql: str,
        *args: Any,
        full: Callable[[Any], bool],
        at_once: int = ROWS_AT_ONCE,
    ) -> None:
        """
        Hand rows to `full`, one after the other, until it returns true; not all of them
        are ever in memory. Only in a transaction.
        """
        with map_driver_errors(self._op):
            cursor = await self._connection.cursor(sql, *args)
            while rows := await cursor.fetch(at_once):
                if any(full(row) for row in rows):
                    return

    @contextlib.asynccontextmanager
    async def transaction(self, begin: str = BEGIN) -> AsyncIterator[None]:
        """Begin, and commit in the end; whatever is raised inside rolls back."""
        if self._pooled:
            begin = f"{begin}; {_PREPARE_TRANSACTION}"
        with map_driver_errors(self._op):
            await self._connection.execute(begin)
        try:
            yield
        except BaseException:
            # A connection that is dead has rolled back by itself.
            with contextlib.suppress(*DRIVER_ERRORS):
                await self._connection.execute("ROLLBACK")
            raise
        with map_driver_errors(self._op):
            await self._connection.execute("COMMIT")


class _Connection(asyncpg.Connection):
    """A connection whose state nobody changes, so that it need not be reset."""

    def get_reset_query(self) -> str:
        """Give nothing to run after each use: that would be a round trip."""
        return ""

    def _get_unique_id(self, prefix: str) -> str:
        """Name a cursor's statement; nodes may meet on the far side of a pooler."""
        return f"__millpond_{prefix}_{uuid.uuid4().hex}"


async def _connect(*args: Any, **options: Any) -> Any:
    """Make a connection of the pool."""
    with map_start_errors("connect"):
        connection = await asyncpg.connect(*args, **options)
    array_types.tell(connection)
    return connection


async def _prepare(connection: Any) -> None:
    """Set what holds for all transactions of a connection."""
    await connection.execute(_PREPARE)


async def _prepare_to_read(connection: Any) -> None:
    """Set as much for a connection that never writes."""
    await connection.execute(f"{_PREPARE}; SET default_transaction_read_only = on")


class Database:
    """The database, and a pool of connections to it."""

    def __init__(
        self, url: str, *, direct_url: str = "", read_only: bool = False
    ) -> None:
        """
        Args:
            direct_url: of the same database, past a pooler that `url` leads to.
            read_only: another process of this server writes, and has migrated it.
        """
        self._read_only = read_only
        self.url = url
        self.pooled = bool(direct_url)
        self._direct_url = direct_url or url
        self.is_spread = False
        """Whether the tables are spread by Citus; known once it is open."""
        self.is_beside_shards = False
        """Whether the functions of `beside_shards` are there; they need not be."""
        self._pool: Any = None
        self._accepting = False
        self._under_way = 0
        self._idle = asyncio.Event()
        self._opening = asyncio.Lock()

    def __repr__(self) -> str:
        state = "OPEN" if self._accepting else "CLOSED"
        return f"<Database {redacted(self.url)!r}, {state}>"

    @property
    def is_open(self) -> bool:
        """Whether it takes operations."""
        return self._accepting

    async def open(self) -> None:
        """Connect, bring the schema up to date. Idempotent."""
        async with self._opening:
            if self._accepting:
                return
            if self.pooled:  # that leads another way than the one to migrate by
                await self._look_behind_pooler()
            await self._migrate()
            prepare = _prepare_to_read if self._read_only else _prepare
            with map_driver_errors("open"):
                self._pool = await asyncpg.create_pool(
                    self.url,
                    min_size=0,
                    max_size=CONNECTIONS_MAX,
                    connect=_connect,
                    connection_class=_Connection,
                    init=None if self.pooled else prepare,
                    timeout=CONNECT_TIMEOUT_S,
                    command_timeout=STATEMENT_TIMEOUT_S,
                    server_settings=_STARTUP,
                    statement_cache_size=0 if self.pooled else _STATEMENTS_KEPT,
                )
            self._accepting = True

    async def aclose(self) -> None:
        """Finish what was accepted, then close. Idempotent."""
        async with self._opening:
            if not self._accepting:
                return
            self._accepting = False
            while self._under_way:
                self._idle.clear()
                await self._idle.wait()
            with contextlib.suppress(*DRIVER_ERRORS):
                await self._pool.close()
            self._pool = None

    async def _migrate(self) -> None:
        connection = await self.connect("open")
        try:
            with map_driver_errors("open"):
                await refuse_worker(connection)
                if not self._read_only:
                    await migrations.apply(connection)
                self.is_spread = await is_spread(connection)
                self.is_beside_shards = (
                    self.is_spread and await beside_shards.are_there(connection)
                )
        finally:
            with contextlib.suppress(*DRIVER_ERRORS):
                await connection.close(timeout=CONNECT_TIMEOUT_S)

    async def _look_behind_pooler(self) -> None:
        connection = await _connect(
            self.url,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=STATEMENT_TIMEOUT_S,
            server_settings=_STARTUP,
            statement_cache_size=0,
        )
        try:
            with map_driver_errors("open"):
                async with connection.transaction():
                    await refuse_worker(connection)
        finally:
            connection.terminate()

    async def connect(self, op: str) -> Any:
        """Make a connection that is not one of the pool, past any pooler."""
        with map_start_errors(op):
            connection = await asyncpg.connect(
                self._direct_url,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=STATEMENT_TIMEOUT_S,
                server_settings=_STARTUP,
            )
        try:
            array_types.tell(connection)
            await self.guard(op, _prepare(connection))
        except BaseException:  # cancelled as well: nobody has it to close it
            connection.terminate()
            raise
        return connection

    async def check_connections(self) -> None:
        """
        Refuse a URL under which connections are shared, where we need our own.

        It is seen by two connections that have one process of the server between them.

        Raises:
            StoreError: a pooler hands the connections on after each transaction.
        """
        connections = []
        try:
            for _ in range(2):
                connections.append(await self.connect("open"))
                await self.guard("open", connections[-1].execute("SELECT 1"))
            pids = {
                await self.guard("open", each.fetchval("SELECT pg_backend_pid()"))
                for each in connections
            }
        finally:
            for each in connections:
                each.terminate()
        if len(pids) < len(connections):
            raise pooled_connections(listening=self.pooled)

    async def guard(self, op: str, doing: Awaitable[T]) -> T:
        """Do something with a connection of one's own; translate what it raises."""
        with map_driver_errors(op):
            return await doing

    @contextlib.contextmanager
    def accepted(self, op: str) -> Iterator[None]:
        """Hold off closing while an operation is under way."""
        if not self._accepting:
            raise StoreError("The store is closed.", op=op)
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            self._idle.set()

    @contextlib.asynccontextmanager
    async def session(self, op: str) -> AsyncIterator[Session]:
        """Take a connection for a while."""
        with self.accepted(op):
            async with self.connection(op) as db:
                yield db

    @contextlib.asynccontextmanager
    async def connection(self, op: str) -> AsyncIterator[Session]:
        """Take a connection for a part of an operation that was accepted."""
        async with self._acquired(op) as db:
            if not self.pooled:
                yield db
                return
            async with db.transaction():
                yield db

    @contextlib.asynccontextmanager
    async def _acquired(self, op: str) -> AsyncIterator[Session]:
        """Take a connection, on which nothing has begun."""
        with map_driver_errors(op):
            connection = await self._pool.acquire(timeout=WAIT_TIMEOUT_S)
        try:
            yield Session(connection, op, pooled=self.pooled)
        finally:
            with map_driver_errors(op):
                await self._pool.release(connection)

    async def write(self, op: str, job: Callable[[Session], Awaitable[T]]) -> T:
        """Run a job in a transaction, again when it lost a race."""
        with self.accepted(op):
            return await self.write_accepted(op, job)

    async def write_accepted(
        self, op: str, job: Callable[[Session], Awaitable[T]]
    ) -> T:
        """Do that as a part of an operation that was accepted."""

        async def once() -> T:
            async with self._acquired(op) as db, db.transaction():
                return await job(db)

        return await run_again(once)

    @contextlib.asynccontextmanager
    async def moment(self, op: str) -> AsyncIterator[Session]:
        """Read with several statements, as of one moment."""
        with self.accepted(op):
            async with self._acquired(op) as db, db.transaction(MOMENT):
                yield db


async def run_again(once: Callable[[], Awaitable[T]]) -> T:
    """Run something that may lose a race against others until it does not."""
    for run in range(1, RUNS_MAX + 1):
        try:
            return await once()
        except StoreError as error:
            cause = error.__cause__
            if not isinstance(cause, _LOST_RACES) or run == RUNS_MAX:
                raise
            twice = isinstance(cause, asyncpg.UniqueViolationError)
            if twice and run >= UNIQUE_RUNS_MAX:
                raise
            # Those that met now should not meet again.
            await asyncio.sleep(random.uniform(0, 0.002 * run))
    raise AssertionError("unreachable")
