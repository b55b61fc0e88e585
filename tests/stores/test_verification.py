"""Looking a store over: each damage is found, and nothing else is called one."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from millpond.errors import DamagedStoreError
from millpond.server.verifying import verify_store
from millpond.service.developer_keys import SecretSealer, create_developer_key
from millpond.stores.base import Verification
from millpond.stores.copying import STREAM_KINDS, Kind
from millpond.stores.sqlite import FILE_NAME, STREAMS_FILE_NAME, SqliteStore
from millpond.stores.verification import Fault
from millpond.testing.store_contract.bench import (
    ALICE,
    AWKWARD_TEXTS,
    BOB,
    NOW_MS,
    POOL,
    PREFS,
    a_pool,
    delete,
    put,
)
from millpond.testing.store_contract.identities import GOOGLE, an_identity, keep

SEALERS = {
    kind: SecretSealer(b"k" * 32, random_bytes=secrets.token_bytes)
    for kind in (Kind.DEVELOPER_KEYS, Kind.TOKEN_KEYS)
}


class Watcher:
    """Takes note of nothing."""

    def begin(self, text: str, *, total: int) -> None: ...

    def advance(self, rows: int) -> None: ...


class House:
    """A store with a bit of everything, that can be damaged behind its back."""

    def __init__(self, open_store: Callable[[], Any], execute: Any) -> None:
        self._open_store = open_store
        self._execute = execute

    def run(self, scene: Callable[[Any], Any]) -> Any:
        """Play a scene on the open store."""

        async def on_stage() -> Any:
            store = self._open_store()
            await store.open()
            try:
                return await scene(store)
            finally:
                await store.aclose()

        return asyncio.run(on_stage())

    def damage(self, sql: str) -> None:
        """Do what only a broken disk or a stranger with SQL does."""
        self._execute(sql)

    def verify(self) -> list[Fault]:
        """Look everything over."""

        async def scene(store: Any) -> list[Fault]:
            return [e async for e in verify_store(store, Watcher(), sealers=SEALERS)]

        found: list[Fault] = self.run(scene)
        return found


async def furnish(store: Any) -> None:
    """Put a bit of everything into a store."""
    await store.create_identity_pool(a_pool(), pools_max=9)
    await keep(store, an_identity(ALICE, GOOGLE), an_identity(BOB, merged_into=ALICE))
    await put(store, PREFS, dict.fromkeys(AWKWARD_TEXTS, "värde"), event=b"x")
    await put(store, PREFS, {"plain": None, "more": "\U0001f9c0"})
    other = PREFS.__class__(POOL, ALICE, "other")
    await put(store, other, {"a": "1"})
    await delete(store, other)
    await create_developer_key(
        store,
        SEALERS[Kind.DEVELOPER_KEYS],
        name="first",
        now_ms=NOW_MS,
        random_bytes=secrets.token_bytes,
    )


@pytest.fixture(params=["embedded", "postgres", "citus"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> House:
    """A furnished store of each kind."""
    if request.param == "embedded":

        def execute(sql: str) -> None:
            with apsw.Connection(str(tmp_path / FILE_NAME)) as connection:
                connection.execute(sql).fetchall()

        made = House(lambda: SqliteStore(tmp_path), execute)
    else:
        import asyncpg

        from millpond.stores.postgres import PostgresStore

        spread = request.param == "citus"
        makes = "new_spread_database" if spread else "new_database"
        url = request.getfixturevalue(makes)()

        def execute(sql: str) -> None:
            async def run() -> None:
                connection = await asyncpg.connect(url)
                await connection.execute(sql)
                await connection.close()

            asyncio.run(run())

        made = House(lambda: PostgresStore(url), execute)
    made.run(furnish)
    return made


def test_a_sound_store(house):
    """Whatever the store holds, nothing of it is called a fault."""
    assert house.verify() == []


DAMAGES = [
    ("UPDATE datasets SET num_records = 3", "wrong_count", "datasets"),
    ("UPDATE datasets SET data_storage = data_storage + 1", "wrong_count", "datasets"),
    ("UPDATE records SET sync_count = 99", "record_ahead", "datasets"),
    ("DELETE FROM datasets WHERE dataset_name = 'prefs'", "orphan", "records"),
    ("DELETE FROM identity_pools", "orphan", "identities"),
    ("DELETE FROM identity_pools", "orphan", "datasets"),
    ("DELETE FROM identity_pools", "orphan", "outbox"),
    ("DELETE FROM identities", "orphan", "logins"),
    (
        "UPDATE identity_pool_usage SET data_storage = data_storage + 5",
        "wrong_usage",
        "identity_pools",
    ),
    ("DROP TABLE devices", "unreadable_rest", "devices"),
]


@pytest.mark.parametrize(
    ("sql", "kind", "table"), DAMAGES, ids=[f"{e[0][:24]}-{e[2]}" for e in DAMAGES]
)
def test_damage_in_rows(house, sql, kind, table):
    """Each is found by its name and its table."""
    house.damage(sql)

    assert (kind, table) in {(each.kind.value, each.table) for each in house.verify()}


def by_store(house: House, embedded: str, postgres: str) -> str:
    """Choose the statement of a store."""
    return embedded if isinstance(house._open_store(), SqliteStore) else postgres


@pytest.mark.parametrize(
    ("in_sqlite", "in_postgres", "kind", "table"),
    [
        (
            "UPDATE identity_pools SET description = x'7b'",
            r"UPDATE identity_pools SET description = '\x7b'",
            "unreadable_row",
            "identity_pools",
        ),
        (
            "UPDATE developer_keys SET sealed_secret = zeroblob(70)",
            "UPDATE developer_keys SET sealed_secret = decode(repeat('00', 70), 'hex')",
            "sealed_key",
            "developer_keys",
        ),
        (
            "UPDATE developer_keys SET sealed_secret = x'00'",
            r"UPDATE developer_keys SET sealed_secret = '\x00'",
            "sealed_key",
            "developer_keys",
        ),
        (
            "INSERT INTO subscriptions VALUES (99, 'd')",
            "INSERT INTO subscriptions VALUES ('i', 'p', 'n', 'd')",
            "orphan",
            "subscriptions",
        ),
        (
            "INSERT INTO pushes VALUES ('d', 'n', 1, 1, 0)",
            "INSERT INTO pushes VALUES ('i', 'd', 'n', 1, 1, 0)",
            "orphan",
            "pushes",
        ),
        (
            f"INSERT INTO imports VALUES ('{POOL}', x'7b')",
            rf"INSERT INTO imports VALUES ('{POOL}', '\x7b')",
            "unreadable_row",
            "imports",
        ),
        (
            "INSERT INTO imported_identities VALUES "
            f"('{POOL}', '{ALICE}', 1, 1, NULL, 0, 0, x'7b')",
            "INSERT INTO imported_identities VALUES "
            rf"('{ALICE}', '{POOL}', 1, 1, NULL, 0, 0, '\x7b')",
            "unreadable_row",
            "imported_identities",
        ),
    ],
    ids=["pool", "seal", "cut seal", "subscription", "push", "import", "mark"],
)
def test_damage_by_store(house, in_sqlite, in_postgres, kind, table):
    """The same, where the stores keep it otherwise."""
    house.damage(by_store(house, in_sqlite, in_postgres))

    (fault, *_) = house.verify()

    assert (fault.kind.value, fault.table) == (kind, table)
    assert "sealed" not in fault.row  # nor a secret


# What is left of a stream that is gone is no fault: it is dropped by and by.
@pytest.mark.parametrize(
    "table", sorted({*Kind} - {Kind.STREAM_CONSUMERS, Kind.STREAM_RECORDS})
)
def test_rows_that_are_no_text(tmp_path, table):
    """Whatever table it is: a row that cannot be read is told of, by its table."""
    house = embedded_house(tmp_path)
    file = STREAMS_FILE_NAME if Kind(table) in STREAM_KINDS else FILE_NAME
    with apsw.Connection(str(tmp_path / file)) as connection:
        columns: list[Any] = [*connection.execute(f"PRAGMA table_info({table})")]
        values = {"INTEGER": "7", "BLOB": "x'7b'", "TEXT": "CAST(x'ff' AS TEXT)"}
        names = {"identity_pool_id": f"'{POOL}'", "deleted": "0"}
        row = [names.get(name, values[kind]) for _, name, kind, *_ in columns]
        connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join(row)})")

    assert table in {each.table for each in house.verify()}


def test_how_it_went_is_kept(house):
    """Servers can tell when the last look was, and what it found."""

    async def scene(store):
        assert await store.find_verification() is None
        await store.put_verification(Verification(ended_ms=1, faults=9))
        await store.put_verification(Verification(ended_ms=NOW_MS, faults=2))
        return await store.find_verification()

    assert house.run(scene) == Verification(ended_ms=NOW_MS, faults=2)


def embedded_house(folder: Path) -> House:
    """Make a store of several pages."""
    house = House(lambda: SqliteStore(folder), None)
    house.run(furnish)

    async def scene(store):
        for number in range(30):
            name = PREFS.__class__(POOL, ALICE, f"d{number}")
            await put(store, name, {f"k{n}": f"text {n}" * 40 for n in range(20)})

    house.run(scene)
    return house


def test_text_that_is_none(tmp_path):
    """One row whose text cannot be decoded is named; all others are read."""
    house = embedded_house(tmp_path)
    with apsw.Connection(str(tmp_path / FILE_NAME)) as connection:
        connection.execute(
            "UPDATE records SET value = CAST(x'ff' AS TEXT) WHERE record_key = 'k7' "
            "AND dataset_number = (SELECT dataset_number FROM datasets "
            "WHERE dataset_name = 'd3')"
        )

    faults = house.verify()

    unreadable = [each for each in faults if each.kind == "unreadable_row"]
    assert [each.table for each in unreadable] == ["records"]
    assert unreadable[0].row.endswith(" k7")
    assert {each.kind.value for each in faults} == {"unreadable_row", "wrong_count"}


def everything_in(file: Path) -> list[str]:
    """List all rows of a database file, past the store."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return list(connection.iterdump())


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bytes(tmp_path, seed):
    """Wherever the disk lies, the look ends, and says so, unless nothing was there."""
    house = embedded_house(tmp_path)
    file = tmp_path / FILE_NAME
    before = everything_in(file)
    chance = random.Random(seed)
    with file.open("r+b") as stream:
        size = file.stat().st_size
        for _ in range(3):
            stream.seek(chance.randrange(8192, size - 512))
            stream.write(chance.randbytes(256))

    try:
        faults = house.verify()
    except DamagedStoreError:
        return  # it cannot even be opened, and whoever wants to hears why

    assert faults or everything_in(file) == before
