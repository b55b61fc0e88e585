"""What is special about the embedded store: its writer, its driver, its file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import apsw
import apsw.ext
import pytest

from millpond.errors import (
    StoreError,
    StoreUnavailableError,
    StoreVersionError,
)
from millpond.stores.base import DeveloperKey
from millpond.stores.sqlite import (
    FILE_NAME,
    STREAMS_FILE_NAME,
    SqliteStore,
    migrations,
    queries,
)
from millpond.stores.sqlite.database import GROUP_JOBS_MAX, Writer
from millpond.stores.sqlite.queries import Queries
from millpond.testing.deadlines import seconds
from millpond.testing.store_contract.bench import POOL, PREFS, a_pool, put, values_of
from millpond.testing.store_contract.lifecycle import EVERY_METHOD
from stores.broken_driver import Breaker, break_each_statement, error_of

PACKAGE = resources.files("millpond.stores.sqlite")
WORTH_A_REPEAT = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.FullError,
    apsw.IOError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
)
DRIVER_ERRORS = [
    each
    for each in vars(apsw).values()
    if isinstance(each, type) and issubclass(each, apsw.Error)
]
FILES = {"main": FILE_NAME, "streams": STREAMS_FILE_NAME}
QUERY_FILES = sorted(
    each.name
    for each in resources.files(queries).iterdir()
    if each.name.endswith(".sql")
)


@contextlib.asynccontextmanager
async def opened(place: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(place)
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


def play(place: Path, scene: Callable[[SqliteStore], Awaitable[None]]) -> None:
    async def run() -> None:
        async with opened(place) as store:
            if await store.find_identity_pool(POOL) is None:
                await store.create_identity_pool(a_pool(), pools_max=100)
            await scene(store)

    asyncio.run(run())


def key(name: str) -> DeveloperKey:
    return DeveloperKey(
        access_key_id=name, name=name, sealed_secret=b"", creation_date_ms=1
    )


async def key_names(store: SqliteStore) -> list[str]:
    return [each.access_key_id for each in await store.list_developer_keys()]


# --- The writer -----------------------------------------------------------------------


class Writing:
    """Holds the writer back, so that jobs wait and form a group."""

    def __init__(self, store: SqliteStore) -> None:
        self.commits = 0
        self._store = store
        self._go = threading.Event()

    async def __aenter__(self) -> Writing:
        entered = threading.Event()

        def hold(db: Any) -> None:
            db.set_commit_hook(self._count)
            entered.set()
            assert self._go.wait(seconds(10))

        self._held = asyncio.ensure_future(self._store.database.write(hold))
        assert await asyncio.to_thread(entered.wait, 10)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(0)  # let the tasks of the group reach the queue
        self._go.set()
        await self._held
        self.commits -= 1  # that of the job that held the writer

    def _count(self) -> bool:
        self.commits += 1
        return False


def test_jobs_that_wait_are_committed_together(tmp_path: Path) -> None:
    """All writes that wait while one commits share the next commit."""

    async def scene(store: SqliteStore) -> None:
        async with Writing(store) as writing:
            tasks = [
                asyncio.ensure_future(store.put_developer_key(key(f"{n:03}")))
                for n in range(100)
            ]
        await asyncio.gather(*tasks)

        assert writing.commits == 1
        assert len(await key_names(store)) == 100

    play(tmp_path, scene)


def test_a_group_is_bounded(tmp_path: Path) -> None:
    """More jobs than a group may have are committed in several."""

    async def scene(store: SqliteStore) -> None:
        async with Writing(store) as writing:
            tasks = [
                asyncio.ensure_future(store.database.write(lambda db: None))
                for _ in range(2 * GROUP_JOBS_MAX + 1)
            ]
        await asyncio.gather(*tasks)

        assert writing.commits == 3

    play(tmp_path, scene)


def test_a_job_that_fails_leaves_the_others_of_its_group(tmp_path: Path) -> None:
    """It is rolled back alone, whatever it raised; the rest of the group is kept."""
    insert = (
        "INSERT INTO developer_keys (access_key_id, name, sealed_secret, "
        "creation_date_ms) VALUES ('lost', '', x'', 1)"
    )

    def failing(error: Exception | None) -> Callable[[Writer], None]:
        def job(db: Writer) -> None:
            db.execute(insert)
            if error is not None:
                raise error
            db.execute(insert)  # breaks the primary key

        return job

    async def scene(store: SqliteStore) -> None:
        for refusal in (LookupError("no"), apsw.SQLError("no"), None):
            async with Writing(store):
                first = asyncio.ensure_future(store.put_developer_key(key("first")))
                lost = asyncio.ensure_future(store.database.write(failing(refusal)))
                last = asyncio.ensure_future(store.put_developer_key(key("last")))
            await first
            await last
            own = isinstance(refusal, LookupError)
            with pytest.raises(LookupError if own else StoreError):
                await lost

            assert await key_names(store) == ["first", "last"]
            await store.delete_developer_key("first")
            await store.delete_developer_key("last")

            with pytest.raises(LookupError if own else StoreError):
                await store.database.write(failing(refusal))  # a group of its own
            assert await key_names(store) == []

    play(tmp_path, scene)


def test_a_write_that_nobody_waits_for_is_finished(tmp_path: Path) -> None:
    """A cancelled caller does not disturb the others of the group."""

    async def scene(store: SqliteStore) -> None:
        async with Writing(store):
            cancelled = asyncio.ensure_future(store.put_developer_key(key("a")))
            other = asyncio.ensure_future(store.put_developer_key(key("b")))
            await asyncio.sleep(0)
            cancelled.cancel()
        await other

        assert await key_names(store) == ["a", "b"]

    play(tmp_path, scene)


def test_a_write_that_comes_while_the_store_closes_is_answered(tmp_path: Path) -> None:
    """It is kept or refused; it does not wait for ever or appear after reopening."""

    async def scene(store: SqliteStore) -> None:
        async with Writing(store):
            closing = asyncio.ensure_future(store.aclose())
            await asyncio.sleep(0.05)  # the other thread waits for the writer now
            late = asyncio.ensure_future(store.put_developer_key(key("late")))
        await closing
        async with asyncio.timeout(seconds(20)):
            error = await error_of(late)
        await store.open()

        assert error is None or isinstance(error, StoreError)
        assert await key_names(store) == ([] if error else ["late"])

    play(tmp_path, scene)


def test_writes_are_durable_and_readers_cannot_write(tmp_path: Path) -> None:
    """The writer syncs every commit of its log; readers are read-only."""

    async def scene(store: SqliteStore) -> None:
        def pragmas(db: Any) -> tuple[Any, Any]:
            return db.pragma("journal_mode"), db.pragma("synchronous")

        assert await store.database.write(pragmas) == ("wal", 2)

        def delete() -> None:
            with store.database.reading("test") as cursor:
                cursor.execute("DELETE FROM developer_keys")

        with pytest.raises(StoreUnavailableError):
            delete()

    play(tmp_path, scene)


def test_the_representation_tells_the_state(tmp_path: Path) -> None:
    """`repr` names the file and says whether it is open."""

    async def scene(store: SqliteStore) -> None:
        path = tmp_path / FILE_NAME
        assert f"<SqliteStore <Database '{path}', OPEN>>" == repr(store)
        await store.aclose()
        assert f"<SqliteStore <Database '{path}', CLOSED>>" == repr(store)

    play(tmp_path, scene)


def test_closing_copies_the_log_back(tmp_path: Path) -> None:
    """After closing, the database files hold everything, without their logs."""

    async def scene(store: SqliteStore) -> None:
        await store.put_developer_key(key("a"))

    play(tmp_path, scene)

    copy = tmp_path / "copy"
    copy.mkdir()
    for file in FILES.values():
        shutil.copyfile(tmp_path / file, copy / file)

    async def whole(store: SqliteStore) -> None:
        assert await key_names(store) == ["a"]

    play(copy, whole)


# --- A driver that fails --------------------------------------------------------------


@pytest.fixture
def breaker(monkeypatch: pytest.MonkeyPatch) -> Breaker:
    """Put a driver in place that can be broken."""
    breaker = Breaker()

    def strike(sql: str, *, readonly: bool) -> None:
        # SQLite always lets go of a transaction, whatever it says about it.
        ended = sql.startswith("ROLLBACK") or (readonly and sql == "COMMIT")
        breaker.strike(spared=ended)

    class Cursor(apsw.Cursor):
        def execute(self, sql: str, *args: Any, **options: Any) -> Any:  # type: ignore[override]
            strike(sql, readonly=self.connection.readonly("main"))
            return super().execute(sql, *args, **options)

        def executemany(self, sql: str, *args: Any, **options: Any) -> Any:  # type: ignore[override]
            strike(sql, readonly=False)
            return super().executemany(sql, *args, **options)

    class Connection(apsw.Connection):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.cursor_factory = Cursor

        def cursor(self) -> apsw.Cursor:
            return Cursor(self)

    monkeypatch.setattr(apsw, "Connection", Connection)
    return breaker


def test_every_error_of_the_driver_has_the_base_we_catch() -> None:
    """The driver has no error class beside `apsw.Error`."""
    errors = {
        name
        for name, each in vars(apsw).items()
        if isinstance(each, type) and issubclass(each, Exception)
    }

    assert {each.__name__ for each in DRIVER_ERRORS} == errors


@pytest.mark.parametrize("method", EVERY_METHOD)
def test_driver_errors_are_translated(
    tmp_path: Path, breaker: Breaker, method: str
) -> None:
    """Whichever statement of a method fails, a StoreError comes; then all is well."""
    call = EVERY_METHOD[method]
    plan = [(0, each) for each in DRIVER_ERRORS]
    plan += [
        (n, each)
        for n in range(1, 12)
        for each in (apsw.BusyError, apsw.IOError, apsw.CorruptError)
    ]

    async def scene(store: SqliteStore) -> None:
        await break_each_statement(store, call, breaker, plan, WORTH_A_REPEAT)
        await store.put_developer_key(key("after"))

    play(tmp_path, scene)


def test_a_commit_that_fails_fails_the_whole_group(
    tmp_path: Path, breaker: Breaker
) -> None:
    """Nobody of the group was promised anything, and nothing of it is there."""

    async def scene(store: SqliteStore) -> None:
        async with Writing(store):
            tasks = [
                asyncio.ensure_future(store.put_developer_key(key(name)))
                for name in "abc"
            ]
            await asyncio.sleep(0)
            # COMMIT of the holding job, BEGIN, and one per write.
            breaker.arm(apsw.IOError, after=1 + 1 + 3)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        breaker.disarm()

        assert breaker.struck
        assert [StoreUnavailableError] * 3 == [type(each) for each in answers]
        assert await key_names(store) == []
        await store.put_developer_key(key("d"))
        assert await key_names(store) == ["d"]

    play(tmp_path, scene)


def test_a_read_that_loses_its_transaction_keeps_its_error(tmp_path: Path) -> None:
    """When SQLite gives up the transaction with an I/O error, that error is told."""

    async def scene(store: SqliteStore) -> None:
        def read() -> None:
            with store.database.reading("test") as cursor:
                cursor.execute("ROLLBACK")
                raise apsw.IOError("disk I/O error")

        with pytest.raises(StoreUnavailableError):
            read()
        await store.ping()

    play(tmp_path, scene)


def test_a_folder_that_became_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store answers; whether it takes writes is asked of the system."""
    statvfs, access = os.statvfs, os.access

    class ReadOnly:
        f_flag = statvfs(tmp_path).f_flag | os.ST_RDONLY

    async def scene(store: SqliteStore) -> None:
        await store.ping(writes=True)
        with monkeypatch.context() as patch:
            patch.setattr(os, "statvfs", lambda path: ReadOnly)
            await store.ping()
            with pytest.raises(StoreUnavailableError, match="is mounted read-only"):
                await store.ping(writes=True)
        for name in (".", FILE_NAME, STREAMS_FILE_NAME):
            with monkeypatch.context() as patch:
                patch.setattr(
                    os,
                    "access",
                    lambda path, mode, name=name: (
                        not os.path.samefile(path, tmp_path / name)
                        and access(path, mode)
                    ),
                )
                with pytest.raises(StoreUnavailableError, match="cannot write to"):
                    await store.ping(writes=True)

    play(tmp_path, scene)


def test_a_reader_that_was_closed_is_an_error(tmp_path: Path) -> None:
    """A connection closed under the store is a StoreError too."""

    async def scene(store: SqliteStore) -> None:
        reader = store.database._reader
        assert reader is not None
        reader.close()
        with pytest.raises(StoreError):
            await store.ping()
        with pytest.raises(StoreError):
            await values_of(store, PREFS)

    play(tmp_path, scene)


def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    """What was acknowledged is there, what was refused is not; with room it goes on."""
    value = "x" * 100_000

    async def scene(store: SqliteStore) -> None:
        def limit_pages(db: Any, more: int) -> None:
            pages = db.pragma("page_count")
            db.pragma("max_page_count", pages + more)

        await store.database.write(lambda db: limit_pages(db, 40))
        kept: set[str] = set()
        refused = 0
        for group in range(3):
            async with Writing(store):
                tasks = {
                    name: asyncio.ensure_future(put(store, PREFS, {name: value}))
                    for name in (f"{group}.{n}" for n in range(4))
                }
            for name, task in tasks.items():
                error = await error_of(task)
                if error is None:
                    kept.add(name)
                    continue
                assert isinstance(error, StoreUnavailableError)
                assert "full" in str(error)
                refused += 1
        found = await values_of(store, PREFS)

        assert refused >= 8
        assert kept == set(found)
        await store.database.write(lambda db: limit_pages(db, 10_000))
        changes = await put(store, PREFS, {"after": value})
        assert changes.outcome is not None
        assert len(kept) + 1 == changes.outcome.sync_count
        assert kept | {"after"} == set(await values_of(store, PREFS))

    play(tmp_path, scene)


def test_a_locked_database_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program that keeps the write lock makes writes fail, for a while."""
    monkeypatch.setattr("millpond.stores.sqlite.database.BUSY_TIMEOUT_MS", 50)

    async def scene(store: SqliteStore) -> None:
        other = apsw.Connection(str(tmp_path / FILE_NAME))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError) as caught:
            await store.put_developer_key(key("a"))
        assert caught.value.retryable
        other.execute("ROLLBACK")
        other.close()
        await store.put_developer_key(key("b"))

        assert await key_names(store) == ["b"]

    play(tmp_path, scene)


# --- The file -------------------------------------------------------------------------


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    """Opening a store in no folder is a StoreUnavailableError with advice."""
    store = SqliteStore(tmp_path / "missing")
    with pytest.raises(StoreUnavailableError) as caught:
        asyncio.run(store.open())

    assert caught.value.hint
    asyncio.run(store.aclose())


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    """Opening something else is a StoreError, and the file stays as it is."""
    path = tmp_path / FILE_NAME
    path.write_bytes(b"This is not a database. " * 1000)
    with pytest.raises(StoreError):
        asyncio.run(SqliteStore(tmp_path).open())

    assert path.read_bytes() == b"This is not a database. " * 1000


@pytest.mark.parametrize(("schema", "file"), FILES.items())
def test_a_newer_schema_is_refused(tmp_path: Path, schema: str, file: str) -> None:
    """The message names both versions, and nothing is changed."""

    async def scene(store: SqliteStore) -> None:
        await store.put_developer_key(key("a"))

    play(tmp_path, scene)
    known = len(migrations.scripts(schema))
    _set_version(tmp_path / file, 999)
    with pytest.raises(StoreVersionError) as caught:
        asyncio.run(SqliteStore(tmp_path).open())

    assert f"schema version 999; this program knows {known}" in str(caught.value)
    assert caught.value.hint
    assert not caught.value.retryable
    _set_version(tmp_path / file, known)

    async def unchanged(store: SqliteStore) -> None:
        assert await key_names(store) == ["a"]

    play(tmp_path, unchanged)


def _set_version(file: Path, version: int) -> None:
    with contextlib.closing(apsw.Connection(str(file))) as connection:
        connection.pragma("user_version", version)


def test_a_migration_that_fails_leaves_the_old_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it is rolled back, and the program before it can open the store."""

    async def scene(store: SqliteStore) -> None:
        await store.put_developer_key(key("a"))

    play(tmp_path, scene)
    scripts = migrations.scripts("main")
    bad = (len(scripts) + 1, "DROP TABLE developer_keys; SELECT * FROM nowhere;")
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "scripts", lambda schema: [*scripts, bad])
        with pytest.raises(StoreError):
            asyncio.run(SqliteStore(tmp_path).open())

    async def unchanged(store: SqliteStore) -> None:
        assert await key_names(store) == ["a"]

    play(tmp_path, unchanged)


@contextlib.contextmanager
def _migrated(schema: str) -> Iterator[apsw.Connection]:
    with contextlib.closing(apsw.Connection(":memory:")) as connection:
        migrations.apply(connection, schema)
        yield connection


@pytest.mark.parametrize("schema", FILES)
def test_the_schema_is_what_all_migrations_make(schema: str) -> None:
    """The schema file and the migrations give the same tables and indexes."""
    with _migrated(schema) as migrated:
        steps = _schema(migrated)
        assert migrated.pragma("application_id") == migrations.APPLICATION_ID
    with contextlib.closing(apsw.Connection(":memory:")) as whole:
        text = PACKAGE.joinpath("schema").joinpath(f"{schema}.sql").read_text("utf-8")
        whole.execute(text)

        assert _schema(whole) == steps


def _schema(connection: apsw.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql NOTNULL")
    return {name: _normalised(sql) for name, sql in rows}


def _normalised(sql: str) -> str:
    words = " ".join(re.sub(r"--[^\n]*", "", sql).split())
    return re.sub(r" ?([(),]) ?", r"\1", words)  # ALTER TABLE spaces them otherwise


def _statements() -> Iterator[tuple[str, str, str]]:
    for file in QUERY_FILES:
        for name, sql in Queries(file).by_name.items():
            yield file, name, sql


def _statements_of(schema: str) -> Iterator[tuple[str, str]]:
    """List the statements that run on one of the files: name and SQL."""
    for file, name, sql in _statements():
        if ("streams" in file) is (schema == "streams"):
            yield name, sql


def _no_values(sql: str) -> tuple[None, ...]:
    """Give a null for each parameter; older drivers do not count them for us."""
    count = 0
    for number in re.findall(r"\?(\d*)", re.sub(r"--[^\n]*", "", sql)):
        count = max(count, int(number)) if number else count + 1
    return (None,) * count


@pytest.mark.parametrize("schema", FILES)
def test_every_query_fits_the_schema(schema: str) -> None:
    """All statements of queries/*.sql can be prepared on the migrated schema."""
    with _migrated(schema) as connection:
        for name, sql in _statements_of(schema):
            try:
                connection.execute(f"EXPLAIN {sql}", _no_values(sql)).fetchall()
            except apsw.Error as error:
                pytest.fail(f"{name}: {error}")


def test_every_query_is_used() -> None:
    """Each statement is named by a module; no name stands in two files."""
    modules = [each for each in PACKAGE.iterdir() if each.name.endswith(".py")]
    source = "\n".join(each.read_text("utf-8") for each in modules)
    used = set(re.findall(r"SQL\.(\w+)", source))
    names = [name for _, name, _ in _statements()]

    assert len(QUERY_FILES) > 1
    assert sorted(set(names)) == sorted(names)
    assert set(names) == used


@pytest.mark.parametrize("schema", FILES)
def test_no_statement_reads_a_whole_table_that_grows(schema: str) -> None:
    """Every statement finds its rows by an index."""
    grow = {"datasets", "records", "spent_sessions", "outbox", "stream_records"}
    grow |= {"devices", "subscriptions", "pushes", "parked_outbox"}
    # Figures; the last row; what looks everything over.
    on_purpose = {"measure_outbox", "count_pushes", "find_last_arrival", "wrong_usage"}
    scans = []
    with _migrated(schema) as connection:
        for name, sql in _statements_of(schema):
            plan = f"EXPLAIN QUERY PLAN {sql}"
            for row in connection.execute(plan, _no_values(sql)):
                scanned = re.match(r"SCAN (\w+)", str(row[3]))
                if scanned and scanned[1] in grow and name not in on_purpose:
                    scans.append(f"{name}: {row[3]}")

    assert scans == []


# --- Other processes ------------------------------------------------------------------

_COMMON = """
import asyncio, sys
from pathlib import Path
from millpond.stores.base import DeveloperKey
from millpond.stores.sqlite import SqliteStore

def key(name):
    return DeveloperKey(
        access_key_id=name, name=name, sealed_secret=b"", creation_date_ms=1
    )

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    await work(store)
    await store.aclose()
"""
_WRITE_KEYS = (
    _COMMON
    + """
async def work(store):
    for n in range(20):
        await store.put_developer_key(key(f"theirs {n:02}"))

asyncio.run(main())
"""
)
_WRITE_FOR_EVER = (
    _COMMON
    + """
async def one(store, n):
    while True:
        await store.put_developer_key(key(f"{n:08}"))
        print(n, flush=True)
        n += 8

async def work(store):
    await asyncio.gather(*(one(store, n) for n in range(8)))

asyncio.run(main())
"""
)


def _command(script: str, place: Path) -> Sequence[str]:
    return [sys.executable, "-c", script, str(place)]


def test_another_process_can_write_meanwhile(tmp_path: Path) -> None:
    """Administration commands add keys beside a running server, which sees them."""

    async def scene(store: SqliteStore) -> None:
        process = await asyncio.create_subprocess_exec(*_command(_WRITE_KEYS, tmp_path))
        mine = 0
        waiting = asyncio.ensure_future(process.wait())
        while not waiting.done():
            await store.put_developer_key(key(f"mine {mine:04}"))
            mine += 1
            await asyncio.sleep(0.005)
        assert await waiting == 0
        wanted = [f"mine {n:04}" for n in range(mine)]
        wanted += [f"theirs {n:02}" for n in range(20)]

        assert wanted == await key_names(store)

    play(tmp_path, scene)


@pytest.mark.parametrize("acknowledged_min", [1, 150])
def test_what_was_acknowledged_survives_a_kill(
    tmp_path: Path, acknowledged_min: int
) -> None:
    """A process killed while it commits in a loop loses nothing it has reported."""
    process = subprocess.Popen(
        _command(_WRITE_FOR_EVER, tmp_path), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as output:
        acknowledged = [output.readline() for _ in range(acknowledged_min)]
        process.kill()
        acknowledged += output.readlines()
    process.wait(timeout=seconds(10))
    # The kill may have cut the last line.
    reported = {int(line) for line in acknowledged if line.endswith("\n")}

    async def scene(store: SqliteStore) -> None:
        found = {int(name) for name in await key_names(store)}

        assert len(reported) >= acknowledged_min
        assert reported <= found
        # Each of the eight had at most one more under way.
        assert len(found - reported) <= 8

    play(tmp_path, scene)
