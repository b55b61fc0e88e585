"""What is special about the PostgreSQL store: its driver, its schema, several nodes."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from importlib import resources
from typing import Any, Final

import asyncpg
import pytest

from millpond.core.bulk_publish import BulkPublishRun, Slice
from millpond.core.sync import DatasetId, DatasetState
from millpond.errors import (
    StoreError,
    StoreUnavailableError,
    StoreVersionError,
)
from millpond.stores.base import RecordRange
from millpond.stores.copying import Kind
from millpond.stores.postgres import (
    PostgresStore,
    database,
    faults,
    migrations,
    queries,
)
from millpond.stores.postgres.distribution import (
    DISTRIBUTED_TABLES,
    LOCAL_TABLES,
    MANAGED_LOCAL_TABLES,
    REFERENCE_TABLES,
    distribute,
)
from millpond.stores.postgres.queries import Queries
from millpond.testing.deadlines import seconds
from millpond.testing.postgres import TestPostgres
from millpond.testing.server import wait_until
from millpond.testing.store_contract.bench import (
    ALICE,
    BOB,
    NOW_MS,
    POOL,
    PREFS,
    a_pool,
    deciding_to_put,
    put,
    read_all,
    values_of,
)
from millpond.testing.store_contract.lifecycle import EVERY_METHOD
from stores.broken_driver import Breaker, break_each_statement

PACKAGE = resources.files("millpond.stores.postgres")
QUERY_FILES = sorted(
    each.name
    for each in resources.files(queries).iterdir()
    if each.name.endswith(".sql")
)
# What these ask is there on a cluster alone; tests/stores/test_citus.py runs it.
ON_A_CLUSTER = {"shards.sql", "beside_shards.sql"}
WORTH_A_REPEAT: Final = (
    asyncpg.DiskFullError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.AdminShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.SerializationError,
    asyncpg.InterfaceError,
    ConnectionResetError,
    TimeoutError,
)
FOR_GOOD: Final = (asyncpg.InsufficientPrivilegeError, asyncpg.DataCorruptedError)
Scene = Callable[[PostgresStore], Awaitable[None]]


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url)
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


def play(url: str, scene: Scene) -> None:
    async def run() -> None:
        async with opened(url) as store:
            await store.create_identity_pool(a_pool(), pools_max=100)
            await scene(store)

    asyncio.run(run())


@pytest.fixture
def url(new_database: Callable[[], str]) -> str:
    """A database with our schema."""
    return new_database()


@pytest.fixture
def empty_url(postgres: TestPostgres) -> Any:
    """A database without anything."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


# --- A driver that fails --------------------------------------------------------------


@pytest.fixture
def breaker(monkeypatch: pytest.MonkeyPatch) -> Breaker:
    """Put a driver in place that can be broken."""
    breaker = Breaker()
    connection: Any = database._Connection

    def breaking(whole: Any) -> Any:
        async def call(self: Any, sql: str, *args: Any, **options: Any) -> Any:
            breaker.strike(spared=sql == "ROLLBACK")
            return await whole(self, sql, *args, **options)

        return call

    for name in ("fetch", "fetchrow", "fetchval", "execute", "executemany"):
        whole = getattr(connection, name)
        monkeypatch.setattr(connection, name, breaking(whole), raising=False)
    monkeypatch.setattr(database, "RUNS_MAX", 3)
    return breaker


@pytest.mark.parametrize("method", EVERY_METHOD)
def test_driver_errors_are_translated(url: str, breaker: Breaker, method: str) -> None:
    """Whichever statement of a method fails, a StoreError comes; then all is well."""
    call = EVERY_METHOD[method]
    plan = [(0, each) for each in (*WORTH_A_REPEAT, *FOR_GOOD)]
    plan += [
        (n, each) for n in range(1, 8) for each in (*WORTH_A_REPEAT[:2], *FOR_GOOD)
    ]

    async def scene(store: PostgresStore) -> None:
        await break_each_statement(store, call, breaker, plan, WORTH_A_REPEAT)

    play(url, scene)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InternalServerError(
            "failure on connection marked as essential: 10.0.0.5:5432"
        ),
        asyncpg.InternalServerError("postmaster was shut down, exiting"),
        asyncpg.InternalServerError("failed to prepare transaction 'x' on host y:1"),
        asyncpg.InternalServerError("server closed the connection unexpectedly"),
        asyncpg.ConnectionFailureError(
            "connection to the remote node u@10.0.0.5:5432 failed with the following "
            "error: Connection refused"
        ),
        asyncpg.UndefinedTableError('relation "public.records_102138" does not exist'),
        asyncpg.InternalServerError("could not find valid entry for shard 102138"),
        asyncpg.InternalServerError("could not open relation with OID 54321"),
    ],
    ids=lambda error: str(error)[:24],
)
def test_what_a_cluster_says_of_a_lost_worker_is_worth_a_repeat(
    error: asyncpg.PostgresError,
) -> None:
    """Mostly it has the SQLSTATE of a fault inside, which is not."""
    translated = faults.translate(error, "op")

    assert isinstance(translated, StoreUnavailableError)
    assert "worker" in str(translated)
    assert not faults.translate(asyncpg.InternalServerError("?"), "op").retryable
    assert not faults.translate(
        asyncpg.UndefinedTableError('relation "records" does not exist'), "op"
    ).retryable


def test_a_lost_race_is_run_again(url: str, breaker: Breaker) -> None:
    """What failed because somebody else was faster is decided again, and kept."""
    decided = []

    def decide(stored: Any) -> Any:
        decided.append(stored)
        return deciding_to_put({"k": "v"})(stored)

    async def scene(store: PostgresStore) -> None:
        breaker.arm(asyncpg.SerializationError, after=1, times=1)
        await store.update_dataset(PREFS, keys=["k"], session_id=None, decide=decide)

        assert len(decided) == 2
        assert await values_of(store, PREFS) == {"k": "v"}

    play(url, scene)


def test_a_connection_that_cannot_be_prepared_is_closed(
    url: str, postgres: TestPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asked for it has nothing to close; the database has it no longer."""

    async def refuse(connection: asyncpg.Connection) -> None:
        seen.append(connection)
        raise asyncpg.InsufficientPrivilegeError("nothing may be set")

    seen: list[asyncpg.Connection] = []
    monkeypatch.setattr(database, "_prepare", refuse)
    with pytest.raises(StoreError, match="nothing may be set"):
        asyncio.run(database.Database(url).connect("open"))

    (connection,) = seen
    assert connection.is_closed()
    name = url.rpartition("/")[2]
    open_ones = f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}'"
    wait_until(lambda: not postgres.execute(open_ones))


# --- Round trips ----------------------------------------------------------------------


class Counter:
    """Stands between a store and its database, and counts what waits for an answer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.round_trips = 0

    async def serve(self, reader: Any, writer: Any) -> None:
        there = await asyncio.open_connection("127.0.0.1", self._port)
        back = asyncio.ensure_future(self._pump(there[0], writer))
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            length = await reader.readexactly(4)  # of the startup message
            rest = await reader.readexactly(int.from_bytes(length) - 4)
            there[1].write(length + rest)
            while True:
                head = await reader.readexactly(5)
                rest = await reader.readexactly(int.from_bytes(head[1:]) - 4)
                # A Sync or a simple Query; what comes before a Sync goes with it.
                self.round_trips += head[:1] in (b"S", b"Q")
                there[1].write(head + rest)
        there[1].close()
        await back

    async def _pump(self, reader: Any, writer: Any) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()


def test_round_trips_are_few(url: str) -> None:
    """A listing takes one, or two when it is not what was expected; an update two."""
    port = int(re.search(r":(\d+)/", url)[1])  # type: ignore[index]
    counter = Counter(port)

    async def count(doing: Awaitable[Any]) -> int:
        before = counter.round_trips
        await doing
        return counter.round_trips - before

    def read(store: PostgresStore, *, after: int) -> Awaitable[Any]:
        def select(dataset: DatasetState | None) -> RecordRange:
            return RecordRange(after=after, up_to=9)

        expected = RecordRange(after=1, up_to=2**62)
        return store.read_records(PREFS, select, expected=expected)

    async def run() -> None:
        server = await asyncio.start_server(counter.serve, "127.0.0.1", 0)
        own = server.sockets[0].getsockname()[1]
        async with opened(
            url.replace(f":{port}/", f":{own}/") + "?sslmode=disable"
        ) as s:
            await s.create_identity_pool(a_pool(), pools_max=9)
            # The first use of a statement on a connection prepares it.
            for number in range(3):
                await put(s, PREFS, {f"{number}": "v"}, session=bytes([number] * 16))
                await read(s, after=0)
            session = b"s" * 16
            update = put(s, PREFS, {"a": "1", "b": "2"}, event=b"x", session=session)
            new = DatasetId(POOL, BOB, "new")

            assert await count(update) == 2
            assert await count(put(s, new, {"a": "1"}, event=b"x")) == 2
            assert await count(read(s, after=1)) == 1
            assert await count(read(s, after=0)) == 2
            assert await count(s.find_spent_session(PREFS, session)) == 1
            assert await count(s.find_bulk_publish(POOL)) <= 2  # it is prepared
        server.close()
        await server.wait_closed()

    asyncio.run(run())


# --- The schema -----------------------------------------------------------------------

_COLUMNS = """
SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default
FROM information_schema.columns
WHERE table_schema = 'public' ORDER BY 1, ordinal_position
"""
_INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
_FUNCTIONS = """
SELECT pg_get_functiondef(oid) FROM pg_proc
WHERE pronamespace = 'public'::regnamespace ORDER BY 1
"""
_CONSTRAINTS = """
SELECT conrelid::regclass::text, contype::text, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2, 3
"""


def _schema(postgres: TestPostgres, url: str) -> list[Any]:
    return [
        row
        for sql in (_COLUMNS, _INDEXES, _FUNCTIONS, _CONSTRAINTS)
        for row in postgres.execute(sql, url=url)
        if "millpond_schema" not in str(row)
    ]


def test_the_schema_is_what_all_migrations_make(
    postgres: TestPostgres, url: str, empty_url: str
) -> None:
    """The schema file and the migrations give the same tables and functions."""
    text = PACKAGE.joinpath("schema.sql").read_text("utf-8")
    postgres.execute(text, url=empty_url)

    assert _schema(postgres, empty_url) == _schema(postgres, url)
    assert len(_schema(postgres, url)) > 100


def test_every_query_fits_the_schema(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    All statements of queries/*.sql can be prepared on the migrated schema, and none has
    the driver look a type up, which takes a second on a cluster.
    """

    async def look_up(_: Any, type_ids: Any, *__: Any) -> Any:
        raise AssertionError(f"types are looked up: {type_ids}")

    monkeypatch.setattr(asyncpg.Connection, "_introspect_types", look_up)

    async def run() -> None:
        connection = await database.Database(url).connect("prepare")
        try:
            for file in set(QUERY_FILES) - ON_A_CLUSTER:
                for name, sql in Queries(file).by_name.items():
                    if not sql.startswith("LOCK"):  # which nobody can prepare
                        try:
                            await connection.prepare(sql)
                        except (asyncpg.PostgresError, AssertionError) as error:
                            pytest.fail(f"{name}: {error}")
        finally:
            await connection.close()

    asyncio.run(run())


def test_every_query_is_used() -> None:
    """Each statement is named by a module; no name stands in one file twice."""
    modules = [each for each in PACKAGE.iterdir() if each.name.endswith(".py")]
    source = "\n".join(each.read_text("utf-8") for each in modules)
    used = set(re.findall(r"SQL\.(\w+)", source))
    names = {name for file in QUERY_FILES for name in Queries(file).by_name}

    assert names == used


def test_a_sharded_postgresql_could_have_it(postgres: TestPostgres, url: str) -> None:
    """Keys hold the distribution column; no foreign keys, no triggers."""
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    unique = """
        SELECT i.indrelid::regclass::text, array_agg(a.attname::text)
        FROM pg_index AS i
        JOIN pg_class AS c ON c.oid = i.indrelid
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
        WHERE i.indisunique AND c.relnamespace = 'public'::regnamespace
        GROUP BY i.indexrelid, i.indrelid
    """
    names = {
        *REFERENCE_TABLES,
        *DISTRIBUTED_TABLES,
        *MANAGED_LOCAL_TABLES,
        *LOCAL_TABLES,
    }

    assert {name for (name,) in postgres.execute(tables, url=url)} == names
    for table, columns in postgres.execute(unique, url=url):
        if table in DISTRIBUTED_TABLES:
            assert DISTRIBUTED_TABLES[table][0] in columns, table
    kinds = {kind for _, kind, _ in postgres.execute(_CONSTRAINTS, url=url)}
    assert kinds <= {"p", "u", "n"}
    triggers = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
    assert postgres.execute(triggers, url=url) == []


def test_distributing_without_citus_explains_itself(url: str) -> None:
    """It says what is missing, and that all is well without it."""

    async def run() -> None:
        connection = await asyncpg.connect(url)
        with pytest.raises(StoreError, match="CREATE EXTENSION citus"):
            await distribute(connection)
        await connection.close()

    asyncio.run(run())


# --- Opening --------------------------------------------------------------------------


def opening(url: str) -> StoreError:
    """Give what opening a store raises."""
    with pytest.raises(StoreError) as caught:
        asyncio.run(PostgresStore(url).open())
    error = caught.value
    assert "\n" not in str(error)
    assert "Traceback" not in str(error)
    return error


def test_many_nodes_start_at_once(empty_url: str) -> None:
    """One of them migrates, the others wait for it."""

    async def run() -> None:
        stores = [PostgresStore(empty_url) for _ in range(6)]
        await asyncio.gather(*(each.open() for each in stores))
        for each in stores:
            assert await each.list_developer_keys() == []
            await each.aclose()

    asyncio.run(run())


def test_a_migration_that_fails_leaves_the_old_schema(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it is rolled back, and the program before it can open the store."""
    scripts = migrations.scripts()
    bad = (len(scripts) + 1, "DROP TABLE developer_keys; SELECT * FROM nowhere;")
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "scripts", lambda: [*scripts, bad])
        opening(url)

    async def unchanged(store: PostgresStore) -> None:
        assert await store.list_developer_keys() == []

    play(url, unchanged)


def test_a_script_is_run_one_statement_at_a_time() -> None:
    """A semicolon in a comment, a text, a name or a function ends nothing."""
    first = "CREATE TABLE a (b text DEFAULT 'it''s; so', \"c;\" int); -- no; end"
    second = "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $x$ SELECT 1; $x$;"

    assert list(migrations.statements(f"-- a; b\n{first}\n\n{second}\n-- bye;\n")) == [
        f"-- a; b\n{first.removesuffix(' -- no; end')}",
        f"-- no; end\n\n{second}",
    ]


def test_a_newer_schema_is_refused(postgres: TestPostgres, url: str) -> None:
    """The message names both versions; nodes that run go on."""

    async def scene(store: PostgresStore) -> None:
        postgres.execute("INSERT INTO millpond_schema VALUES (999)", url=url)
        await put(store, PREFS, {"k": "v"})

    play(url, scene)
    error = opening(url)

    assert isinstance(error, StoreVersionError)
    known = len(migrations.scripts())
    assert f"schema version 999; this program knows {known}." in str(error)
    assert error.hint


def test_nobody_at_the_address() -> None:
    """It is told to be unreachable, and what to check."""
    error = opening("postgresql://millpond@127.0.0.1:1/millpond")

    assert isinstance(error, StoreUnavailableError)
    assert "cannot be reached" in str(error)


def test_a_wrong_address() -> None:
    """A URL that makes no sense is told to be the setting's fault."""
    assert "'store'" in str(opening("postgresql://millpond@127.0.0.1:port/millpond"))


def test_no_such_database(url: str) -> None:
    """It says how to create one."""
    assert "CREATE DATABASE" in str(opening(f"{url}x"))


def test_a_user_without_rights(postgres: TestPostgres, empty_url: str) -> None:
    """It says which rights are needed."""
    user = "nobody_" + empty_url.rpartition("_")[2][:12]
    postgres.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'secret'")
    try:
        plain = re.sub(r"//[^@]*@", f"//{user}:secret@", empty_url)
        assert "lacks rights" in str(opening(plain))
    finally:
        postgres.execute(f"DROP ROLE {user}")


def test_a_database_that_is_read_only(postgres: TestPostgres, url: str) -> None:
    """Reads are answered, writes are refused as worth a repeat; nothing is kept."""

    async def scene(store: PostgresStore) -> None:
        await put(store, PREFS, {"k": "1"})
        name = url.rpartition("/")[2]
        sql = f"ALTER DATABASE {name} SET default_transaction_read_only = on"
        postgres.execute(sql)
        async with opened(url) as replica:
            with pytest.raises(StoreUnavailableError, match="takes no writes"):
                await put(replica, PREFS, {"k": "2"})
            assert await values_of(replica, PREFS) == {"k": "1"}
            await replica.ping()
            with pytest.raises(StoreUnavailableError, match="takes no writes"):
                await replica.ping(writes=True)
        await store.ping(writes=True)  # its connections are from before

    play(url, scene)


@pytest.mark.parametrize(("major", "fits"), [(13, False), (14, True)])
def test_an_old_server_is_refused(major: int, fits: bool) -> None:
    """The message names both versions."""

    class Connection:
        def get_server_version(self) -> Any:
            return asyncpg.types.ServerVersion(major, 2, 0, "final", 0)

    if fits:
        migrations._check_server(Connection())
        return
    with pytest.raises(StoreError, match="PostgreSQL 13; Millpond needs 14 or newer"):
        migrations._check_server(Connection())


def test_a_database_in_another_encoding(postgres: TestPostgres) -> None:
    """It cannot keep every text, so it is refused."""
    name = "millpond_in_latin1"
    postgres.execute(f"DROP DATABASE IF EXISTS {name}")
    postgres.execute(
        f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' "
        "TEMPLATE template0"
    )
    try:
        assert "LATIN1; it must be UTF8" in str(opening(postgres.url_of(name)))
    finally:
        postgres.execute(f"DROP DATABASE {name}")


def test_passwords_are_not_told() -> None:
    """Neither the representation nor a failure shows the password of the URL."""
    secret = "postgresql://millpond:hunter2@127.0.0.1:1/millpond?sslpassword=hunter2"

    assert "hunter2" not in repr(PostgresStore(secret))
    assert "hunter2" not in str(opening(secret))


@pytest.mark.parametrize("mark", ["/", "#", "?", ":", "@"])
def test_a_password_that_is_not_encoded_is_not_told(mark: str) -> None:
    """What looks like a host, a path or a fragment may be the half of a password."""
    secret = f"postgresql://millpond:hun{mark}ter2@127.0.0.1:1/millpond"

    for told in (repr(PostgresStore(secret)), str(opening(secret))):
        assert "hun" not in told
        assert "ter2" not in told


def test_the_default_isolation_of_the_database_does_not_matter(
    url: str, postgres: TestPostgres
) -> None:
    """Transactions see what was committed while they waited for a lock."""
    name = url.rpartition("/")[2]
    setting = "default_transaction_isolation"
    postgres.execute(f"ALTER DATABASE {name} SET {setting} = 'repeatable read'")

    async def scene(store: PostgresStore) -> None:
        async with store.database.session("show") as db:
            assert await db.value(f"SHOW {setting}") == "read committed"

    play(url, scene)


def test_one_copy_at_a_time_writes_into_a_database(url: str) -> None:
    """While a copy is at work others are kept away, and no longer."""

    async def scene(store: PostgresStore) -> None:
        async with opened(url) as second:
            assert await store.hold_for_copy(alone=True)
            assert not await second.hold_for_copy(alone=True)
            assert not await second.hold_for_copy(alone=False)
            await store.aclose()
            await store.open()

            assert await second.hold_for_copy(alone=False)
            assert await store.hold_for_copy(alone=False)

    play(url, scene)


def test_a_copy_that_lost_its_lock_writes_no_more(url: str) -> None:
    """Another one may have completed the copy since."""

    async def scene(store: PostgresStore) -> None:
        assert await store.hold_for_copy(alone=True)
        await store.copy_hold.close()
        with pytest.raises(StoreUnavailableError, match="keeps others from copying"):
            await store.import_(Kind.RECORDS, [], position=b"1")

    play(url, scene)


def test_a_node_does_not_lose_its_own_lease(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When leases ran out and the database fails once more, it asks for them again."""

    async def scene(store: PostgresStore) -> None:
        await store.join(lambda message: None, lambda: None)
        assert await store.count_servers() == 1
        async with store.database.session("forget") as db:
            await db.run("DELETE FROM leases")
        hold = store.leases.hold

        async def fail(names: Sequence[str]) -> Collection[str]:
            monkeypatch.setattr(store.leases, "hold", hold)
            raise StoreUnavailableError("gone again")

        monkeypatch.setattr(store.leases, "hold", fail)
        with pytest.raises(StoreUnavailableError):
            await store.leases.renew()
        await store.leases.renew()

        assert await store.count_servers() == 1

    play(url, scene)


def test_clocks_of_nodes_may_differ_a_little(url: str) -> None:
    """A slice is not taken from a node whose clock is half a minute ahead."""

    async def scene(store: PostgresStore) -> None:
        await store.start_bulk_publish(
            POOL,
            lambda pool, run: BulkPublishRun(identity_pool_id=POOL, run_id="r"),
            [Slice(0, None, None)],
        )
        lease = store.lease_slice
        assert await lease("ahead", now_ms=NOW_MS, lease_ms=60_000) is not None
        assert await lease("other", now_ms=NOW_MS - 30_000, lease_ms=60_000) is None

        back = await lease("other", now_ms=NOW_MS - 3_600_000, lease_ms=60_000)
        assert back is not None

    play(url, scene)


# --- Several nodes --------------------------------------------------------------------


def test_counts_have_no_gaps_over_several_nodes(url: str) -> None:
    """Updates of one dataset by way of several stores take each count once."""

    async def scene(store: PostgresStore) -> None:
        async with opened(url) as second, opened(url) as third:
            stores = (store, second, third)
            answers = await asyncio.gather(
                *(
                    put(stores[n % 3], PREFS, {f"key {n}": "v"}, event=b"x")
                    for n in range(60)
                )
            )
        counts = sorted(e.outcome.sync_count for e in answers if e.outcome)
        page = await read_all(store, PREFS)

        assert counts == list(range(1, 61))
        assert [each.sync_count for each in page.records] == counts

    play(url, scene)


def test_updates_that_met_are_all_kept(url: str) -> None:
    """Those that decided on what is not there any more decide again."""

    async def scene(store: PostgresStore) -> None:
        async with opened(url) as other:
            mine = put(store, PREFS, {"mine": "v"})
            await asyncio.gather(
                mine, *(put(other, PREFS, {f"{n}": "v"}) for n in "ab")
            )
            page = await read_all(store, PREFS)

            assert page.dataset is not None
            assert page.dataset.sync_count == 3

    play(url, scene)


def test_no_update_is_left_out_of_a_stream(url: str) -> None:
    """What is committed after a stream was switched on has an event, on any node."""

    def decide(stored: Any) -> Any:
        changes = deciding_to_put({"k": "v"})(stored)
        assert changes.outcome is not None
        if stored.streaming:
            changes.event = str(changes.outcome.sync_count).encode()
        return changes

    async def scene(store: PostgresStore) -> None:
        await store.update_identity_pool(POOL, lambda pool: a_pool(streaming=False))
        at: list[int] = []

        async def switch_on(other: PostgresStore) -> None:
            await other.update_identity_pool(POOL, lambda pool: a_pool())
            page = await read_all(other, PREFS)
            at.append(page.dataset.sync_count if page.dataset else 0)

        async with opened(url) as other:
            updates = [
                store.update_dataset(PREFS, keys=["k"], session_id=None, decide=decide)
                for _ in range(40)
            ]
            await asyncio.gather(*updates[:20], switch_on(other), *updates[20:])
        told = [
            int(each.data)
            for each in await store.list_outbox(POOL, limit=99, bytes_max=2**20)
        ]

        assert told == list(range(41 - len(told), 41))
        assert told[0] <= at[0] + 1

    play(url, scene)


def test_one_node_sends_the_outbox_of_a_pool(url: str) -> None:
    """Another one is given it when the first one goes."""

    async def scene(store: PostgresStore) -> None:
        await put(store, PREFS, {"k": "v"}, event=b"x")
        async with opened(url) as first:
            assert await first.list_outbox_pools() == [POOL]
            assert await store.list_outbox_pools() == []
            assert await first.list_outbox_pools() == [POOL]
        assert await store.list_outbox_pools() == [POOL]

    play(url, scene)


def test_nodes_hear_each_other(url: str) -> None:
    """What one tells, the others hear, in order, and it does not hear itself."""

    async def scene(store: PostgresStore) -> None:
        heard: dict[str, list[bytes]] = {"one": [], "two": []}
        messages = [b'{"n":%d}' % n + b"x" * 300 for n in range(100)]
        complete = asyncio.Event()

        def hear(message: bytes) -> None:
            heard["two"].append(message)
            if len(heard["two"]) == len(messages):
                complete.set()

        async with opened(url) as other:
            await store.join(heard["one"].append, lambda: None)
            await other.join(hear, lambda: None)
            for each in messages:
                store.tell(each)
            async with asyncio.timeout(seconds(10)):
                await complete.wait()

        assert heard == {"one": [], "two": messages}

    play(url, scene)


@pytest.mark.parametrize("steps", range(4))
def test_what_a_node_says_last_is_heard(url: str, steps: int) -> None:
    """It is told before the node is gone, wherever the telling was cut off."""
    heard = asyncio.Event()

    async def scene(store: PostgresStore) -> None:
        await store.join(lambda message: heard.set(), lambda: None)
        async with opened(url) as other:
            await other.join(lambda message: None, lambda: None)
            other.tell(b"the last words")
            for _ in range(steps):
                await asyncio.sleep(0)
        async with asyncio.timeout(seconds(20)):
            await heard.wait()

    play(url, scene)


def test_a_listener_whose_connection_broke_is_told(
    postgres: TestPostgres, url: str
) -> None:
    """It may have missed something; then it hears again."""
    heard: list[bytes] = []
    missed = asyncio.Event()

    async def scene(store: PostgresStore) -> None:
        async with opened(url) as other:
            await other.join(lambda message: None, lambda: None)
            await store.join(heard.append, missed.set)
            # A listener looks every few seconds whether it is still connected.
            ended = postgres.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() "
                "AND (query LIKE 'LISTEN%' OR query = 'SELECT 1')",
                url=url,
            )
            assert len(ended) == 2
            async with asyncio.timeout(seconds(10)):
                await missed.wait()
                while not heard:
                    other.tell(b"again")
                    await asyncio.sleep(0.05)

    play(url, scene)


# --- Usage and keys -------------------------------------------------------------------


def test_usage_is_the_same_before_and_after_it_is_counted(
    postgres: TestPostgres, url: str
) -> None:
    """What waits with identities goes to the pool, and nothing is lost on the way."""
    waiting = "SELECT 1 FROM identity_heads WHERE uncounted_date_ms IS NOT NULL"

    async def scene(store: PostgresStore) -> None:
        for number in range(5):
            for who in (ALICE, BOB):
                await put(store, DatasetId(POOL, who, "d"), {str(number): "12345"})
        before = await store.find_identity_pool_usage(POOL)
        assert len(postgres.execute(waiting, url=url)) == 2
        await store.purge(now_ms=NOW_MS, stream_retention_ms=1, limit=1)
        assert await store.find_identity_pool_usage(POOL) == before
        assert postgres.execute(waiting, url=url) == []
        await store.delete_identity(ALICE, now_ms=NOW_MS + 1)
        usage = await store.find_identity_pool_usage(POOL)
        assert usage is not None
        assert usage.data_storage == 5 * 6
        await store.purge(now_ms=NOW_MS, stream_retention_ms=1, limit=1)
        assert await store.find_identity_pool_usage(POOL) == usage

    play(url, scene)


def test_the_longest_keys_are_kept(url: str) -> None:
    """A key may be longer than what an index takes."""
    keys = ["\U0001f9c0\U0010ffff" * 512, "".join(map(chr, range(0x4E00, 0x5200)))]

    async def scene(store: PostgresStore) -> None:
        await put(store, PREFS, dict.fromkeys(keys, "1"))
        await put(store, PREFS, {keys[0]: "2"})

        assert await values_of(store, PREFS) == {keys[0]: "2", keys[1]: "1"}

    play(url, scene)
