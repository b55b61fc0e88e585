"""No page reads more for what it does not show: other identities, datasets, changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from console.mill import an_event
from millpond.console.app import routes
from millpond.console.base import Ask, Console, Fields, Page, Viewer
from millpond.console.pages.pool_parts import PARTS
from millpond.core.identities import IdentityChanges, Login
from millpond.core.identity_pools import StreamConfiguration
from millpond.core.sync import DatasetId
from millpond.server.console import Operations
from millpond.service.context import Caller, system_now_ms
from millpond.service.developer_keys import KeyRing, SecretSealer
from millpond.settings import Settings
from millpond.stores.base import DeveloperKey, NewStreamRecord, Store
from millpond.stores.sqlite import SqliteStore
from millpond.testing.store_contract.bench import POOL, a_pool, put
from millpond.testing.store_contract.devices import a_device
from millpond.testing.store_contract.identities import an_identity
from service.stage import make_context

FEW, MANY = 100, 2000
STATEMENTS_MAX = 64  # of one page: of those with lists, about one for each row
PARKED_MIN = 1200  # counts go to 1,000, and are as long from there on
HISTORY = "/identities/{identity}/datasets/{dataset}/history"
WITH_DATA = 60  # identities
STREAM = "changes"
VIEWER = Viewer(Caller("AKIAEXAMPLE", "000000000000"))
VALUES = {
    "pool": POOL,
    "identity": "us-east-1:00000007",
    "dataset": "prefs",
    "stream": STREAM,
    "entry": "1",
    "part": next(iter(PARTS)),
    "device": "d7",
    "key": "AKIAEXAMPLE",
}
QUERIES = {
    "/identities": {"pool": [POOL]},
    "/identities/delete": {"identity": [VALUES["identity"]]},
    "/pools/{pool}/outbox/discard": {"entry": ["1"]},
}
PAGES = [each for each in routes() if each.kind == "page" and each.template]


def an_id(number: int) -> str:
    return f"us-east-1:{number:08x}"


async def fill(store: SqliteStore, count: int) -> None:
    """Keep so many users, records of the stream and parked changes; data of a few."""
    stream = StreamConfiguration(stream_name=STREAM, streaming_status="ENABLED")
    pool = msgspec.structs.replace(a_pool(), stream=stream)
    await store.create_identity_pool(pool, pools_max=9)
    key = DeveloperKey(
        access_key_id=VALUES["key"], name="", sealed_secret=b"x", creation_date_ms=1
    )
    await store.put_developer_key(key)
    people = [
        msgspec.structs.replace(
            an_identity(an_id(n), guest=False), logins=(Login("p", f"user {n}"),)
        )
        for n in range(count)
    ]
    await store.update_identities(
        POOL,
        identity_ids=[],
        logins=[],
        decide=lambda stored: IdentityChanges(people[0], people),
    )
    for number in range(WITH_DATA):
        dataset_id = DatasetId(POOL, an_id(number), "prefs")
        values = {f"k{n:02}": "v" for n in range(20)}
        await put(store, dataset_id, values, event=b"x")
        device = a_device(f"d{number}", identity_id=an_id(number))
        await store.put_device(device, devices_max=9)
    await store.create_stream(STREAM, shard_count=1, now_ms=1)
    made = await store.find_stream(STREAM)
    assert made is not None
    event = an_event(POOL, "prefs", "k", "v")
    records = [NewStreamRecord(0, "key", event)] * count
    await store.put_stream_records(made.stream_id, records, now_ms=system_now_ms())
    parked = range(1, PARKED_MIN + count)
    rows = [(n, POOL, an_id(7), event, 1, 1, "no") for n in parked]
    sql = "INSERT INTO parked_outbox VALUES (?, ?, ?, ?, ?, ?, ?)"
    await store.database.write(lambda db: db.executemany(sql, rows))


class Costs:
    """What pages cost a store: statements, and steps of SQLite's machine."""

    def __init__(self, place: Path, count: int) -> None:
        self._place = place
        self._count = count
        self._noted: list[int] = []
        self.found: dict[str, tuple[int, int]] = {}
        self.failed: dict[str, Exception] = {}

    async def measure(self) -> None:
        """Open every page twice; the second time it is counted."""
        # What is read once for a while, such as how many datasets a pool has, is
        # bounded by that: it does not come with each page.
        apsw.connection_hooks.append(self._watch)
        store = SqliteStore(self._place)
        try:
            await store.open()
            await fill(store, self._count)
            console = _console(store, self._place)
            for row in PAGES:
                path = {name: VALUES.get(name, "") for name in row.parameters}
                ask = Ask(path, Fields(QUERIES.get(row.path, {})))
                try:
                    await _open(console, row, ask)
                    self._noted.clear()
                    await _open(console, row, ask)
                except Exception as error:
                    self.failed[row.path] = error
                self.found[row.path] = len(self._noted), sum(self._noted)
        finally:
            apsw.connection_hooks.remove(self._watch)
            await store.aclose()

    def _watch(self, connection: apsw.Connection) -> None:
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, self._note)

    def _note(self, event: dict[str, Any]) -> None:
        if event["sql"].upper().startswith("PRAGMA"):
            return  # of a connection that was just made
        self._noted.append(event["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"])


async def _open(console: Console, row: Page, ask: Ask) -> None:
    await row.function(console, VIEWER, ask)


def _console(store: Store, place: Path) -> Console:
    settings = Settings(data=place)
    context = make_context(store, settings, system_now_ms)  # type: ignore[arg-type]
    sealer = SecretSealer(b"k" * 32, random_bytes=bytes)
    return Console(
        context=context,
        keys=KeyRing(store, sealer),
        call_operation=Operations(),
        seal_key=b"s" * 32,
    )


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Costs]:
    """Measure all pages of a store with so many identities, once."""
    known: dict[int, Costs] = {}

    def among(count: int) -> Costs:
        if count not in known:
            known[count] = Costs(tmp_path_factory.mktemp(f"bounded-{count}"), count)
            asyncio.run(known[count].measure())
        return known[count]

    return among


@pytest.mark.parametrize(
    "path",
    # A history goes back in the stream until it has found its changes, to a bound.
    [each.path for each in PAGES if each.path != HISTORY],
)
def test_a_page_costs_what_it_shows(costs, path):
    """Statements and steps are as many among 2000 identities as among 100."""
    assert costs(FEW).failed.get(path) is None
    statements, steps = costs(FEW).found[path]
    among_many = costs(MANY).found[path]

    assert among_many[0] == statements <= STATEMENTS_MAX
    assert abs(among_many[1] - steps) <= 50
