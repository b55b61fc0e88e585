"""The PostgreSQL store on a real Citus cluster: a coordinator and its workers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from millpond.core.sync import DatasetId
from millpond.errors import StoreError
from millpond.stores.copying import Kind
from millpond.stores.postgres import (
    PostgresStore,
    beside_shards,
    copying,
    database,
    distribution,
    migrations,
)
from millpond.stores.postgres.distribution import (
    DISTRIBUTED_TABLES,
    LOCAL_TABLES,
    MANAGED_LOCAL_TABLES,
    REFERENCE_TABLES,
    distribute,
)
from millpond.testing.citus import TestCitus
from millpond.testing.store_contract import StoreContract
from millpond.testing.store_contract.bench import POOL, PREFS, a_pool, put, read_all


class TestSpreadStore(StoreContract):
    """The store keeps its contract where its tables are spread over servers."""

    @pytest.fixture(autouse=True)
    def _databases(self, new_spread_database: Callable[[], str]) -> None:
        self._new_database = new_spread_database
        self._urls: dict[Path, str] = {}

    def new_store(self, place: Path) -> PostgresStore:
        if place not in self._urls:
            self._urls[place] = self._new_database()
        return PostgresStore(self._urls[place])


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url)
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


# --- Distribution ---------------------------------------------------------------------


def test_distributing_is_done_once(citus: TestCitus) -> None:
    """Each table lies where it should; two who do it at once come to the same."""
    url = citus.create_database()

    async def one() -> list[str]:
        connection = await asyncpg.connect(url)
        try:
            return await distribute(connection)
        finally:
            await connection.close()

    async def run() -> list[list[str]]:
        async with opened(url) as store:
            await store.create_stream("older", shard_count=1, now_ms=1)
        # What an older version had spread comes back, with its rows.
        citus.execute("SELECT create_reference_table('streams')", url=url)
        return [*await asyncio.gather(one(), one()), await one()]

    *first, last = asyncio.run(run())

    kinds = dict(
        citus.execute(
            "SELECT table_name::text, citus_table_type FROM citus_tables", url=url
        )
    )
    assert [] in first
    assert {*REFERENCE_TABLES, *DISTRIBUTED_TABLES} <= {*first[0], *first[1]}
    assert last == []
    for table in REFERENCE_TABLES:
        assert kinds[table] == "reference"
    for table in DISTRIBUTED_TABLES:
        assert kinds[table] == "distributed"
    for table in MANAGED_LOCAL_TABLES:
        assert kinds[table] == "local"
    assert not {*LOCAL_TABLES} & {*kinds}
    names = citus.execute("SELECT stream_name FROM streams", url=url)
    assert [tuple(row) for row in names] == [("older",)]
    beside = citus.execute(
        "SELECT count(DISTINCT colocation_id) FROM citus_tables WHERE table_name::text "
        "IN ('identity_heads', 'datasets', 'records', 'outbox', 'pushes')",
        url=url,
    )
    assert [tuple(row) for row in beside] == [(1,)]


_TABLES = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'"


def test_a_spread_database_is_brought_up_to_date(
    citus: TestCitus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration changes tables that are spread; Citus takes one command at a time."""
    url = citus.create_database()
    newest = migrations.scripts()

    async def run() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "scripts", lambda: newest[:7])
            connection = await asyncpg.connect(url)
            await migrations.apply(connection)
            there = {name for (name,) in await connection.fetch(_TABLES)}
            for which in ("LOCAL_TABLES", "MANAGED_LOCAL_TABLES"):
                known = getattr(distribution, which)
                patch.setattr(distribution, which, [t for t in known if t in there])
            await distribute(connection)
            await connection.close()
        async with opened(url) as store:
            await store.create_identity_pool(a_pool(), pools_max=9)
            await put(store, PREFS, {"k": "v"})
            assert [e.key for e in (await read_all(store, PREFS)).records] == ["k"]

    asyncio.run(run())


def test_a_worker_is_refused(
    citus: TestCitus, new_spread_database: Callable[[], str]
) -> None:
    """Its locks, numbers and messages are others than those of the coordinator."""
    url = new_spread_database()

    async def opening(worker: str) -> None:
        with pytest.raises(StoreError) as caught:
            await PostgresStore(worker).open()
        assert "a worker of a Citus cluster" in str(caught.value)
        assert f"the workers know as {citus.coordinator}" in str(caught.value)
        connection = await asyncpg.connect(worker)
        with pytest.raises(StoreError, match="a worker of a Citus cluster"):
            await distribute(connection)
        await connection.close()

    for worker in citus.workers_of(url):
        asyncio.run(opening(worker))


# --- Round trips ----------------------------------------------------------------------


class Heard:
    """What a coordinator said that it asked its workers."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def hear(self, _: Any, fields: dict[str, str], __: Any) -> None:
        if fields["M"].startswith("issuing "):
            self.asked.append(fields["M"])

    async def count(self, doing: Awaitable[Any]) -> int:
        self.asked.clear()
        await doing
        return len(self.asked)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    """Hear what the coordinator says on all connections of a store."""
    heard = Heard()
    # A listener of the driver would be one too many when a connection goes back.
    monkeypatch.setattr(
        database._Connection,
        "_process_log_message",
        lambda *said: heard.hear(*said),
    )
    monkeypatch.setattr(
        database,
        "_PREPARE",
        f"{database._PREPARE}; SET client_min_messages = notice; "
        "SET citus.log_remote_commands = on",
    )
    return heard


def test_round_trips_do_not_grow_with_the_records(
    heard: Heard, new_spread_database: Callable[[], str], citus: TestCitus
) -> None:
    """An update asks its worker as often for a record as for many; a listing once."""
    url = new_spread_database()

    def records(count: int, value: str) -> dict[str, str]:
        return {f"key {n}": value for n in range(count)}

    async def run() -> None:
        async with opened(url) as store:
            await store.create_identity_pool(a_pool(), pools_max=9)

            async def update(count: int, number: int) -> int:
                return await heard.count(
                    put(
                        store,
                        PREFS,
                        records(count, str(number)),
                        session=bytes([number] * 16),
                        event=b"x",
                    )
                )

            await update(1, 1)
            asked = [await update(n, i) for i, n in enumerate((1, 2, 30, 600), 2)]
            assert len(set(asked)) == 1, heard.asked
            # To load; to begin, to save, to commit.
            assert asked[0] == 4, heard.asked

            assert 0 < await heard.count(read_all(store, PREFS)) <= 2, heard.asked

            # Without the functions beside the shards a few more, but as constant.
            store.database.is_beside_shards = False
            asked = [await update(n, i) for i, n in enumerate((1, 600), 6)]
            assert asked[0] == asked[1] <= 8, heard.asked

    asyncio.run(run())
    rows = citus.execute("SELECT outbox_id FROM outbox ORDER BY created_ms", url=url)
    ids = [outbox_id for (outbox_id,) in rows]
    # Drawn by the coordinator: those of workers begin far above.
    assert ids == sorted(ids)
    assert ids[-1] < 2**40


# --- Functions beside the shards ------------------------------------------------------

_SPLIT = """
    SELECT citus_split_shard_by_split_points(
        shardid, ARRAY[((shardminvalue::bigint + shardmaxvalue::bigint) / 2)::text],
        ARRAY[nodeid, nodeid], 'block_writes'
    ) FROM pg_dist_shard JOIN pg_dist_placement USING (shardid)
    JOIN pg_dist_node USING (groupid)
    WHERE shardid = get_shard_id_for_distribution_column('identity_heads', $1)
"""


def test_a_shard_that_was_split_is_served(
    citus: TestCitus, new_spread_database: Callable[[], str]
) -> None:
    """
    The functions beside the shards do not know the halves: what they cannot do the
    statements do, until the database is distributed once more.
    """
    url = new_spread_database()

    async def run() -> None:
        async with opened(url) as store:
            await store.create_identity_pool(a_pool(), pools_max=9)
            await put(store, PREFS, {"k": "1"}, event=b"a")
            connection = await asyncpg.connect(url)
            await connection.execute(_SPLIT.replace("$1", f"'{PREFS.identity_id}'"))

            await put(store, PREFS, {"k": "2"}, event=b"b")
            assert [e.value for e in (await read_all(store, PREFS)).records] == ["2"]
            with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError):
                await connection.fetchval(beside_shards.LOOK, *_look())

            await distribute(connection)
            row = await connection.fetchval(beside_shards.LOOK, *_look())
            assert beside_shards.read_row(row)["sync_count"] == 2
            await put(store, PREFS, {"k": "3"}, event=b"c")
            entries = await store.list_outbox(a_pool().identity_pool_id, **_ALL)
            assert [each.data for each in entries] == [b"a", b"b", b"c"]
            await connection.close()

    asyncio.run(run())


_ALL: Any = {"limit": 9, "bytes_max": 99}


def _look() -> tuple[Any, ...]:
    names = (PREFS.identity_pool_id, PREFS.identity_id, PREFS.dataset_name)
    return (*names, 0, 2**40, -1, "", 10)


# --- Counting -------------------------------------------------------------------------


def test_the_rows_of_all_servers_are_counted(
    citus: TestCitus,
    new_spread_database: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exactly while they are few, and then as each server estimates."""
    url = new_spread_database()
    people = [f"us-east-1:{n:02x}" for n in range(0, 256, 8)]

    async def run() -> tuple[int, int]:
        async with opened(url) as store:
            await store.create_identity_pool(a_pool(), pools_max=9)
            for each in people:
                await put(store, DatasetId(POOL, each, "d"), {"a": "1", "b": "2"})
            exact = await store.count_rows(Kind.RECORDS)
            monkeypatch.setattr(copying, "COUNTED_MAX", 3)
            citus.execute("ANALYZE records", url=url)
            return exact, await store.count_rows(Kind.RECORDS)

    assert asyncio.run(run()) == (2 * len(people), 2 * len(people))
