"""
Connections to the embedded database, and its one writer.

Theory of operation
-------------------
Reads use read-only connections in WAL mode: they see the last commit and wait for
nobody. Short ones run on the event loop's own connection, because a hop to a thread
costs several times what they do; long ones run on threads (`read_slowly`).

All writes go through one thread. It takes every job that waits, applies them in one
transaction and commits once: one fsync for all. Then all are answered. A job that
raises leaves nothing behind; the others go on. Nearly all that raise have decided to
before they wrote anything. When one had written, the group is run once more, with a
savepoint for each job: so a job may run twice, and does nothing but read and write.
When the commit fails, nobody was promised anything and all jobs of the group fail.

`synchronous=FULL` makes each commit durable before it is acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import apsw

from millpond.errors import DamagedStoreError, StoreError, StoreUnavailableError
from millpond.stores.sqlite import migrations

T = TypeVar("T")

GROUP_JOBS_MAX: Final = 256  # bounds how long the first of a group waits
BUSY_TIMEOUT_MS: Final = 5000  # the administration commands write beside a server
CACHE_KIB: Final = 16 * 1024  # per connection
SLOW_CACHE_KIB: Final = 2 * 1024  # of one that reads long stretches, once
BUSY_LOOK_S: Final = 0.0005  # between two looks whether others are done, at first ...
BUSY_LOOKS: Final = 200
BUSY_LOOK_LATER_S: Final = 0.01  # ... and then
CHECKPOINT_BYTES: Final = 32 * 1024 * 1024  # then the WAL is copied back
SLOW_READERS: Final = 2


class Rows(Protocol):
    """What a statement gives. The tables are STRICT, so columns are what they say."""

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Reader(Protocol):
    """A connection or cursor of the driver, as far as the modules here use it."""

    def execute(self, sql: str, row: Sequence[Any] = ..., /) -> Rows: ...


class Writer(Reader, Protocol):
    """The writer's connection, inside a transaction."""

    def cursor(self) -> Reader:
        """
        Begin a cursor, for jobs on the way of every update.

        Its next statement ends the one before; the connection makes one for each.
        """
        ...

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Rows: ...

    def last_insert_rowid(self) -> int: ...


Job = Callable[[Writer], Any]
AtCommit = dict[Callable[[Writer, dict[str, Any]], None], dict[str, Any]]


class _Task(NamedTuple):
    job: Job
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class Database:
    """The file, its writer thread and its readers."""

    def __init__(
        self,
        path: Path,
        *,
        schema: str,
        page_bytes: int,
        read_only: bool = False,
        must_exist: bool = False,
        durable: bool = True,
    ) -> None:
        """
        Args:
            schema: which migrations the file has.
            page_bytes: of a file that is new; large pages suit large rows.
            read_only: another process writes; the file must be there.
            must_exist: a file that is not there, or has nothing in it, stays so.
            durable: whether writes wait for the disk.
        """
        self._durable = durable
        self._read_only = read_only
        self._must_exist = must_exist
        self.path = path
        self._schema = schema
        self._page_bytes = page_bytes
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._accepting = threading.Lock()
        self.at_commit: AtCommit = {}
        """
        What is written once for all jobs of a group: who writes it, and what he gets.

        Jobs add to it, last of all, when nothing can fail them any more.
        """
        self._open = False
        self._thread: threading.Thread | None = None
        self._reader: apsw.Connection | None = None
        self._looking: apsw.Cursor | None = None  # of the reader
        self._slow = threading.local()
        self._slow_connections: list[apsw.Connection] = []
        self._pool: ThreadPoolExecutor | None = None

    def __repr__(self) -> str:
        return f"<Database {str(self.path)!r}, {'OPEN' if self._open else 'CLOSED'}>"

    @property
    def is_open(self) -> bool:
        """Whether it takes operations."""
        return self._open

    def open(self) -> None:
        """
        Open the file, migrate it, start the writer. Idempotent.

        Raises:
            NoStoreError: the file must exist, and nothing is in it.
            StoreError: it cannot be opened, or is none of ours.
        """
        if self._open:
            return
        self._pool = ThreadPoolExecutor(SLOW_READERS, "millpond-read")
        if self._read_only:
            with map_driver_errors("open", self.path):
                self._reader = _connect(self.path, write=False)
            self._open = True
            return
        if self._must_exist and not self.path.exists():
            raise DamagedStoreError(
                f"'{self.path}' is not there.",
                hint="Put a backup in its place; a server that starts makes it anew.",
            )
        with map_driver_errors("open", self.path):
            writer = _connect(self.path, write=True, make=not self._must_exist)
            try:
                migrations.refuse_foreign(writer, self._schema, self.path)
                if self._must_exist:
                    migrations.refuse_empty(writer, self.path)
                _prepare_to_write(writer, self._page_bytes, durable=self._durable)
                migrations.apply(writer, self._schema)
                self._reader = _connect(self.path, write=False)
            except BaseException:
                writer.close()
                raise
        self._thread = threading.Thread(
            target=self._write_loop, args=(writer,), name="millpond-write", daemon=True
        )
        self._thread.start()
        self._open = True

    def close(self) -> None:
        """Finish the jobs that were accepted, then close. Idempotent."""
        if not self._open:
            return
        with self._accepting:
            self._open = False
            self._tasks.put(None)
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        assert self._pool is not None
        assert self._reader is not None
        self._pool.shutdown(wait=True)
        self._looking = None
        for connection in [self._reader, *self._slow_connections]:
            connection.close()
        self._slow_connections.clear()
        self._slow = threading.local()

    async def write(self, job: Callable[[Writer], T]) -> T:
        """
        Run a job on the writer and wait until what it wrote is durable.

        Raises:
            StoreError: the job or the commit failed in the database.
            Exception: whatever else the job raised; it was rolled back.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._accepting:  # or a task could come in behind the last one
            if not self._open:
                raise StoreError("The store is closed.", op="write")
            if self._read_only:
                raise StoreError("The store is open for reading only.", op="write")
            self._tasks.put(_Task(job, future, loop))
        return await future

    async def find_foreign_version(self) -> int:
        """Give a number that is another one when another process has written."""

        def job(db: Writer) -> int:
            # On the writer, for which all that this process writes is its own.
            ((version,),) = db.execute("PRAGMA data_version").fetchall()
            return int(version)

        return await self.write(job)

    def reading(self, op: str) -> _Moment:
        """Read on the event loop's own connection, as of one moment. Keep it short."""
        if not self._open or self._reader is None:
            raise StoreError("The store is closed.", op=op)
        return _Moment(self._reader, op)

    def look(self, op: str, sql: str, row: Sequence[Any]) -> list[Any]:
        """Read with a single statement, which needs no transaction to be one moment."""
        if not self._open or self._reader is None:
            raise StoreError("The store is closed.", op=op)
        try:
            if self._looking is None:
                # A new one for each statement would cost half as much as the statement.
                self._looking = self._reader.cursor()
            return self._looking.execute(sql, row).fetchall()
        except apsw.Error as error:
            raise translate(error, op) from error

    async def read_slowly(self, op: str, job: Callable[[Reader], T]) -> T:
        """Read on a thread, as of one moment, so that the event loop goes on."""
        if self._pool is None or not self._open:
            raise StoreError("The store is closed.", op=op)

        def run() -> T:
            connection: apsw.Connection | None = getattr(self._slow, "db", None)
            if connection is None:
                with map_driver_errors(op):
                    connection = _connect(
                        self.path, write=False, cache_kib=SLOW_CACHE_KIB
                    )
                self._slow.db = connection
                self._slow_connections.append(connection)
            with _Moment(connection, op) as cursor:
                return job(cursor)

        return await asyncio.get_running_loop().run_in_executor(self._pool, run)

    def _write_loop(self, connection: apsw.Connection) -> None:
        closing = False
        while not closing:
            group, closing = self._next_group()
            if group:
                _answer(group, _commit_or_fail(connection, group, self.at_commit))
        with contextlib.suppress(apsw.Error):
            # The next start then has no log to replay.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        connection.close()

    def _next_group(self) -> tuple[list[_Task], bool]:
        """Wait for a task, then take all that wait; say whether to close after them."""
        group: list[_Task] = []
        task = self._tasks.get()
        while task is not None:
            group.append(task)
            if len(group) == GROUP_JOBS_MAX:
                return group, False
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                return group, False
        return group, True


def translate(error: apsw.Error, op: str, file: Path | None = None) -> StoreError:
    """
    Say in our words what the driver said in its own.

    Args:
        file: to be named, where people may not know which one it is.
    """
    what = "The database" if file is None else f"'{file}'"
    match error:
        case apsw.BusyError() | apsw.LockedError():
            return StoreUnavailableError(f"{what} is locked by another program.", op=op)
        case apsw.FullError():
            return StoreUnavailableError(
                "The disk is full.", op=op, hint="Free some space; nothing was written."
            )
        case apsw.IOError() | apsw.CantOpenError() | apsw.ReadOnlyError():
            return StoreUnavailableError(
                f"{what} cannot be read or written: {error}",
                op=op,
                hint="Check the disk and the permissions of the data folder.",
            )
        case apsw.CorruptError() | apsw.NotADBError():
            return DamagedStoreError(
                f"{what} is damaged: {error}",
                op=op,
                hint="'millpond store verify' says more; put a backup in its place."
                if file
                else "",
            )
        case _:
            return StoreError(f"The database failed: {error}", op=op)


@contextlib.contextmanager
def map_driver_errors(op: str, file: Path | None = None) -> Iterator[None]:
    """Translate what the driver raises; the contract suite breaks it on purpose."""
    try:
        yield
    except apsw.Error as error:
        raise translate(error, op, file) from error


class _Moment:
    """A read transaction. A class, because it is entered for every request."""

    __slots__ = ("_connection", "_cursor", "_op")

    def __init__(self, connection: apsw.Connection, op: str) -> None:
        self._connection = connection
        self._op = op

    def __enter__(self) -> Reader:
        try:
            self._cursor = self._connection.cursor()
            self._cursor.execute("BEGIN")
        except apsw.Error as error:
            raise translate(error, self._op) from error
        return self._cursor

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._cursor.execute("COMMIT")
        except apsw.Error as failure:
            if error is None:
                raise translate(failure, self._op) from failure
            # SQLite has given the transaction up already; what it said first counts.
        if isinstance(error, apsw.Error):
            raise translate(error, self._op) from error


def _connect(
    path: Path, *, write: bool, make: bool = True, cache_kib: int = CACHE_KIB
) -> apsw.Connection:
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if make else 0)
    connection = apsw.Connection(
        str(path), flags=flags if write else apsw.SQLITE_OPEN_READONLY
    )
    connection.set_busy_handler(_wait_for_others)
    # Without it SQLite prepares a statement anew whenever other values are bound to it,
    # in case they suit another plan; that is most of the time of a short read.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    connection.pragma("cache_size", -cache_kib)
    connection.pragma("temp_store", "memory")
    return connection


def _wait_for_others(waits: int) -> bool:
    """
    Wait for a moment while another process writes; False: no longer.

    SQLite by itself waits longer and longer, up to a tenth of a second, and so sleeps
    on when others are done long ago: they write for some milliseconds at a time.
    """
    time.sleep(BUSY_LOOK_S if waits < BUSY_LOOKS else BUSY_LOOK_LATER_S)
    looking_s = BUSY_LOOKS * BUSY_LOOK_S
    return (waits - BUSY_LOOKS) * BUSY_LOOK_LATER_S < BUSY_TIMEOUT_MS / 1000 - looking_s


def _prepare_to_write(
    connection: apsw.Connection, page_bytes: int, *, durable: bool
) -> None:
    connection.pragma("page_size", page_bytes)
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "full" if durable else "off")
    connection.wal_autocheckpoint(CHECKPOINT_BYTES // page_bytes)


def _commit_or_fail(
    connection: apsw.Connection, group: list[_Task], at_commit: AtCommit
) -> list[tuple[Any, BaseException | None]]:
    """Commit a group; whatever happens, there is an answer, and the writer lives on."""
    try:
        return _commit(connection, [each.job for each in group], at_commit)
    except apsw.Error as error:  # not even a rollback is possible
        return [(None, translate(error, "write"))] * len(group)


def _commit(
    connection: apsw.Connection, jobs: list[Job], at_commit: AtCommit
) -> list[tuple[Any, BaseException | None]]:
    """Run jobs in one transaction; give back a result or an error for each."""
    try:
        return _commit_as(connection, jobs, at_commit, _run)
    except _SpoiltError as spoilt:
        if len(jobs) == 1:
            return [(None, spoilt.__cause__)]
        return _commit_as(connection, jobs, at_commit, _run_apart)


def _commit_as(
    connection: apsw.Connection,
    jobs: list[Job],
    at_commit: AtCommit,
    run: Callable[[apsw.Connection, Job], tuple[Any, BaseException | None]],
) -> list[tuple[Any, BaseException | None]]:
    results: list[tuple[Any, BaseException | None]] = []
    try:
        with map_driver_errors("write"):
            connection.execute("BEGIN IMMEDIATE")
            at_commit.clear()
            for job in jobs:
                results.append(run(connection, job))
            for write, gathered in at_commit.items():
                write(connection, gathered)
            connection.execute("COMMIT")
    except BaseException as error:
        if connection.in_transaction:
            with contextlib.suppress(apsw.Error):
                connection.execute("ROLLBACK")
        if isinstance(error, _SpoiltError):
            raise
        # A job that failed by itself keeps its own error: it would fail again.
        results += [(None, None)] * (len(jobs) - len(results))
        return [(None, own or error) for _, own in results]
    return results


class _SpoiltError(Exception):
    """A job failed, of the kind that its cause is, when it had written something."""


def _run(connection: apsw.Connection, job: Job) -> tuple[Any, BaseException | None]:
    """Run a job that leaves nothing behind when it fails, as nearly all do."""
    before = connection.total_changes()
    try:
        try:
            return job(connection), None
        except apsw.Error as error:
            raise translate(error, "write") from error
    except Exception as error:
        if not connection.in_transaction:
            raise  # SQLite gave up the whole transaction (disk full, I/O error)
        if connection.total_changes() != before:
            raise _SpoiltError from error
        return None, error


def _run_apart(
    connection: apsw.Connection, job: Job
) -> tuple[Any, BaseException | None]:
    """Run a job so that what it has written can be taken back alone."""
    connection.execute("SAVEPOINT job")
    try:
        with map_driver_errors("write"):
            result = job(connection)
    except Exception as error:
        if not connection.in_transaction:
            raise  # SQLite gave up the whole transaction (disk full, I/O error)
        connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
        return None, error
    connection.execute("RELEASE job")
    return result, None


def _answer(
    group: list[_Task], results: list[tuple[Any, BaseException | None]]
) -> None:
    """Hand the results to the event loops, one wake-up per loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Callable[[], None]]] = {}
    for task, (result, error) in zip(group, results, strict=True):
        by_loop.setdefault(task.loop, []).append(_resolver(task.future, result, error))
    for loop, resolvers in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(_call_all, resolvers)


def _resolver(
    future: asyncio.Future[Any], result: Any, error: BaseException | None
) -> Callable[[], None]:
    def resolve() -> None:
        if future.done():  # the request was cancelled meanwhile
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    return resolve


def _call_all(resolvers: list[Callable[[], None]]) -> None:
    for resolve in resolvers:
        resolve()
