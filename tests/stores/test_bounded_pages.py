"""Pages cost what they show, however much there is beside it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import apsw
import pytest

from millpond.core.identities import IdentityChanges, IdentityKind, Login
from millpond.core.sync import DatasetId
from millpond.service.looking.erasure import plan_erasure
from millpond.service.looking.identities import (
    IdentityPlace,
    describe_identity,
    find_by_login,
)
from millpond.service.looking.pools import describe_pool, list_pools
from millpond.stores.base import PoolLogin, Store
from millpond.stores.postgres import PostgresStore
from millpond.stores.postgres.identities import SQL
from millpond.stores.prefixes import bounds_of
from millpond.stores.sqlite import SqliteStore
from millpond.testing.store_contract.bench import POOL, a_pool, put
from millpond.testing.store_contract.devices import a_device
from millpond.testing.store_contract.identities import an_identity

FEW, MANY, PAGE = 100, 3000, 20

Look = Callable[[Store], Awaitable[Any]]

LOOKS: dict[str, Look] = {
    "all": lambda s: s.search_identities(
        None, prefix="us-east-1:00", kind=None, after=an_id(30), limit=PAGE
    ),
    "of a pool": lambda s: s.search_identities(
        POOL, prefix="", kind=None, after=an_id(30), limit=PAGE
    ),
    "rare guests": lambda s: s.search_identities(
        POOL, prefix="us", kind=IdentityKind.GUEST, after=None, limit=PAGE
    ),
    "no such id": lambda s: s.search_identities(
        None, prefix="us-east-1:7", kind=None, after=None, limit=PAGE
    ),
    "nobody is merged": lambda s: s.search_identities(
        POOL, prefix="", kind=IdentityKind.MERGED, after=None, limit=PAGE
    ),
    "whose login": lambda s: s.find_login_owners(
        [PoolLogin(POOL, Login("google", "1")), PoolLogin(POOL, Login("google", "x"))]
    ),
    "merged into one": lambda s: s.list_merged_identities(POOL, an_id(1), limit=PAGE),
    "found by login": lambda s: find_by_login(s, None, "1"),
    "an identity": lambda s: describe_identity(
        s, IdentityPlace(POOL, an_id(50)), limit=PAGE, deleted=True
    ),
    "what goes with an identity": lambda s: plan_erasure(s, an_id(50)),
    "pools": lambda s: list_pools(s, after=None, limit=PAGE),
    "a pool": lambda s: describe_pool(s, POOL, outbox_count_max=2),
    "devices": lambda s: s.list_devices(POOL, an_id(50), after=None, limit=PAGE),
    "devices of a pool": lambda s: s.list_pool_devices(
        POOL, after=(an_id(50), "d50"), limit=1
    ),
    "outbox": lambda s: s.list_outbox_usage(after=None, limit=PAGE),
}


def an_id(number: int) -> str:
    return f"us-east-1:{number:08x}"


async def fill(store: Store, count: int) -> None:
    """Keep so many users, ten guests among them, with a few things of other kinds."""
    await store.create_identity_pool(a_pool(), pools_max=9)
    people = [
        an_identity(
            an_id(n),
            *([] if n % 10 == 0 and n < 100 else [Login("google", str(n))]),
            guest=n % 10 == 0 and n < 100,
        )
        for n in range(count)
    ]
    await store.update_identities(
        POOL,
        identity_ids=[],
        logins=[],
        decide=lambda stored: IdentityChanges(people[0], people),
    )
    for number in range(50, max(53, count // 20)):
        await store.put_device(
            a_device(f"d{number}", identity_id=an_id(number)), devices_max=9
        )
    for number in range(50, 53):
        dataset_id = DatasetId(POOL, an_id(number), "prefs")
        await put(store, dataset_id, {"k": "v"}, event=b"x")


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_the_embedded_store_reads_no_more_for_more_identities(look, tmp_path):
    """The steps of SQLite's machine are as many among 3000 identities as among 100."""

    def steps_among(count: int) -> int:
        counted: list[int] = []

        def note(event: dict[str, Any]) -> None:
            counted.append(event["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"])

        async def scene() -> None:
            place = tmp_path / str(count)
            place.mkdir()
            store = SqliteStore(place)
            await store.open()
            await fill(store, count)

            def watch(connection: apsw.Connection) -> None:
                connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, note)

            reader = store.database._reader
            assert reader is not None
            watch(reader)
            apsw.connection_hooks.append(watch)  # for the slow readers
            try:
                await look(store)
            finally:
                apsw.connection_hooks.remove(watch)
                await store.aclose()

        asyncio.run(scene())
        assert counted
        return sum(counted)

    assert steps_among(FEW) == steps_among(MANY)


@pytest.mark.parametrize(
    ("sql", "more"),
    [
        (SQL.search_identities, ()),
        (SQL.search_identities_of_pool, (POOL,)),
        (SQL.search_identities_of_kind, (POOL, IdentityKind.GUEST.value)),
    ],
)
def test_postgres_reads_no_more_than_it_shows(sql, more, new_database):
    """Identities are read as far as the page goes, and one more at the most."""

    def rows_read(plan: dict[str, Any]) -> int:
        own = 0
        if plan.get("Relation Name") == "identities":
            own = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
        return own + sum(rows_read(each) for each in plan.get("Plans", ()))

    async def scene() -> None:
        store = PostgresStore(new_database())
        await store.open()
        try:
            await fill(store, MANY)
            bounds = (*bounds_of("us", an_id(30)), an_id(30), PAGE, *more)
            async with store.database.session("explain") as db:
                await db.run("ANALYZE identities")
                encoded = await db.value(
                    f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *bounds
                )
        finally:
            await store.aclose()
        (explained,) = json.loads(encoded)
        assert 0 < rows_read(explained["Plan"]) <= PAGE + 1

    asyncio.run(scene())
