"""`millpond import`: a pool moves in from a server that knows nothing of that."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from millpond.stores.copying import Kind
from millpond.stores.sqlite import SqliteStore
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer, wait_until
from millpond.testing.source_contract import POOL
from processes import Programs
from sources.moving import DEVELOPER, seed
from sources.trying_proxy import TryingProxy

# A move by hand: MILLPOND_TEST_MOVE=20000 and 20 kills.
IDENTITIES = int(os.environ.get("MILLPOND_TEST_MOVE", "120"))
KILLS = 4 if IDENTITIES < 1000 else 20
TIMEOUT_S = 120 if IDENTITIES < 1000 else 1800


def identity_ids(count: int) -> list[str]:
    """Make ids that look as those of AWS do."""
    drawn = random.Random(7)
    return [
        f"us-east-1:{drawn.getrandbits(32):08x}-0000-4000-8000-{number:012x}"
        for number in range(count)
    ]


def put(sync: Any, identity_id: str, values: dict[str, str], name: str) -> None:
    """Write records over whatever is there."""
    names = {"IdentityPoolId": POOL, "IdentityId": identity_id, "DatasetName": name}
    listed = sync.list_records(**names)
    counts = {each["Key"]: each["SyncCount"] for each in listed["Records"]}
    sync.update_records(
        **names,
        SyncSessionToken=listed["SyncSessionToken"],
        RecordPatches=[
            {"Op": "replace", "Key": k, "Value": v, "SyncCount": counts.get(k, 0)}
            for k, v in values.items()
        ],
    )


class Move:
    """A source, a target, and the command between them."""

    def __init__(self, programs: Programs, source: RunningServer, target: Path) -> None:
        self.programs = programs
        self.source = source
        self.target = target

    def start(self, *words: str, endpoint: str = "") -> subprocess.Popen[str]:
        """Start a command of `millpond import`."""
        place = ["--data", str(self.target), "--output", "json"]
        if words[0] != "status":
            place += ["--endpoint-url", endpoint or self.source.endpoint]
        return self.programs.millpond(
            "import", *words, *place, environment=self.source.environment()
        )

    def run(
        self, *words: str, endpoint: str = "", status: int = 0
    ) -> tuple[dict[str, Any], str]:
        """Run one to its end, and give what it printed."""
        process = self.start(*words, endpoint=endpoint)
        printed, told = process.communicate(timeout=seconds(TIMEOUT_S))
        assert process.returncode == status, told
        return json.loads(printed) if printed else {}, told


def changes(move: Move) -> list[tuple[str, str, str]]:
    """List what the audit of the target says: what was done, to which pool, whence."""
    process = move.programs.millpond(
        "audit", "list", "--data", str(move.target), "--output", "json"
    )
    printed, told = process.communicate(timeout=seconds(TIMEOUT_S))
    assert process.returncode == 0, told
    return [
        (each["Operation"], each["IdentityPoolId"], each["Origin"])
        for each in json.loads(printed)["Entries"]
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a source with identities, some of them users of the developer."""
    folder = tmp_path / "source"
    folder.mkdir()
    seed(folder, identity_ids(IDENTITIES), users=IDENTITIES // 3)
    return folder


@pytest.fixture
def source(folder: Path) -> Iterator[RunningServer]:
    with RunningServer(folder) as running:
        yield running


@pytest.fixture
def move(programs: Programs, source: RunningServer, tmp_path: Path) -> Move:
    target = tmp_path / "target"
    made = programs.millpond("store", "create", "--data", str(target))
    assert made.wait(timeout=seconds(60)) == 0
    return Move(programs, source, target)


class Writers:
    """Somebody who writes, again and again, until it is enough."""

    def __init__(self, write: Callable[[random.Random], None]) -> None:
        self._write = write
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.writes = 0
        self.error: BaseException | None = None

    def __enter__(self) -> Writers:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        assert self.error is None, self.error

    def _run(self) -> None:
        drawn = random.Random(3)
        try:
            while not self._stop.is_set():
                self._write(drawn)
                self.writes += 1
                self._stop.wait(0.02)
        except BaseException as error:
            self.error = error


def kill_after(process: subprocess.Popen[str], proxy: TryingProxy, calls: int) -> None:
    """Kill a program when so many calls were seen, or let it end before that."""

    def enough() -> bool:
        return proxy.seen >= calls or process.poll() is not None

    wait_until(enough, timeout_s=TIMEOUT_S)
    process.send_signal(signal.SIGKILL)
    process.wait()


def rows(folder: Path) -> dict[Kind, set[Any]]:
    """Read everything of a store, as rows."""

    async def run() -> dict[Kind, set[Any]]:
        store = SqliteStore(folder)
        await store.open()
        found = {}
        for kind in (Kind.IDENTITIES, Kind.DATASETS, Kind.RECORDS):
            page = await store.export(kind, after=None, limit=10**7, bytes_max=2**40)
            found[kind] = set(page.rows)
        await store.aclose()
        return found

    return asyncio.run(run())


@pytest.mark.timeout(3 * TIMEOUT_S)
def test_a_pool_moves_through_trouble(move: Move, source: RunningServer) -> None:
    """
    Throttled, cut off and killed while both sides write, everything is here in the end:
    what nobody has written to here is row by row as it is at the source.
    """
    ids = identity_ids(IDENTITIES)
    there = source.client("cognito-sync")
    for number, identity_id in enumerate(ids[: min(len(ids), 300)]):
        put(there, identity_id, {"k": "v", "n": str(number)}, "prefs")
        if number % 10 == 0:
            put(there, identity_id, {"k": "w"}, "prefs")
            put(there, identity_id, {"k": "v"}, f"game-{number % 3}")
    hot = ids[: len(ids) // 6]

    def write_there(drawn: random.Random) -> None:
        put(there, drawn.choice(hot), {"turn": str(drawn.random())}, "prefs")

    with TryingProxy(source) as proxy, RunningServer(move.target) as target:
        proxy.trouble, proxy.page, proxy.rate = 0.05, 7, 400.0
        here = target.client("cognito-sync")

        def write_here(drawn: random.Random) -> None:
            # Only what has come: an app that is switched finds its data.
            identity_id = drawn.choice(hot[:5])
            names = {"IdentityPoolId": POOL, "IdentityId": identity_id}
            try:
                listed = here.list_datasets(**names)["Datasets"]
            except here.exceptions.ResourceNotFoundException:
                return  # the pool is not here yet
            if any(each["DatasetName"] == "prefs" for each in listed):
                put(here, identity_id, {"here": str(drawn.random())}, "prefs")

        drawn = random.Random(5)
        with Writers(write_there), Writers(write_here) as writers:
            for _ in range(KILLS):
                copying = move.start("copy", POOL, endpoint=proxy.endpoint)
                enough = proxy.seen + drawn.randrange(20, 20 + IDENTITIES)
                kill_after(copying, proxy, enough)
            move.run("copy", POOL, endpoint=proxy.endpoint)
            wait_until(lambda: writers.writes > 50, timeout_s=60)
        assert {"cut", "500", "half", "html"} <= proxy.troubles
        proxy.trouble, proxy.rate = 0.0, None
        found, _ = move.run("copy", POOL, endpoint=proxy.endpoint)
        assert found["Complete"]
        again, _ = move.run("copy", POOL, endpoint=proxy.endpoint)
        # What was kept aside is told once, and nothing is written twice.
        assert (again["DatasetsWritten"], again["IdentitiesWritten"]) == (0, 0)
        verified, _ = move.run("verify", POOL, endpoint=proxy.endpoint)
        assert verified["Identities"] == verified["Same"] == IDENTITIES
        assert 0 < verified["WrittenHere"] <= 5
        status, _ = move.run("status")
        (state,) = status["Imports"]
        assert (state["AllDone"], state["Step"]) == (IDENTITIES, None)
        pool = target.client("cognito-identity").describe_identity_pool(
            IdentityPoolId=POOL
        )
        assert pool["DeveloperProviderName"] == DEVELOPER
        assert pool["IdentityPoolTags"] == {"team": "a"}
        found_here = target.client("cognito-identity").lookup_developer_identity(
            IdentityPoolId=POOL, DeveloperUserIdentifier="user-3"
        )
        assert found_here["IdentityId"] == ids[3]
    source.stop()
    theirs, ours = rows(source.data), rows(move.target)
    assert ours[Kind.IDENTITIES] == theirs[Kind.IDENTITIES]
    written = {
        (each.identity_id, each.dataset_name)
        for each in ours[Kind.DATASETS] - theirs[Kind.DATASETS]
    }
    assert {identity_id for identity_id, _ in written} <= set(hot[:5])
    for kind in (Kind.DATASETS, Kind.RECORDS):
        assert {
            each
            for each in theirs[kind]
            if (each.identity_id, each.dataset_name) not in written
        } == {
            each
            for each in ours[kind]
            if (each.identity_id, each.dataset_name) not in written
        }
    source.start()


def test_merged_identities_come_disabled(move: Move, source: RunningServer) -> None:
    """They lead to the survivor where a dataset tells, and are listed as disabled."""
    ids = identity_ids(IDENTITIES)
    there = source.client("cognito-sync")
    for each in ids[:2]:
        put(there, each, {"k": each}, "prefs")
    source.client("cognito-identity").merge_developer_identities(
        SourceUserIdentifier="user-1",
        DestinationUserIdentifier="user-0",
        DeveloperProviderName=DEVELOPER,
        IdentityPoolId=POOL,
    )
    move.run("copy", POOL)
    move.run("verify", POOL, "--sample", "5")
    assert changes(move) == [("ImportIdentityPool", POOL, "command line")]
    with RunningServer(move.target) as target:
        identities = target.client("cognito-identity")
        users = identities.lookup_developer_identity(
            IdentityPoolId=POOL, IdentityId=ids[0]
        )["DeveloperUserIdentifierList"]
        assert users == ["user-0", "user-1"]
        listed = target.client("cognito-sync").list_records(
            IdentityPoolId=POOL, IdentityId=ids[0], DatasetName="prefs"
        )
        assert listed["MergedDatasetNames"] == [f"prefs.{ids[1]}"]
        # What was deleted there before is not here; who knows it is told of that.
        for known, deleted in ((0, False), (3, True)):
            listed = target.client("cognito-sync").list_records(
                IdentityPoolId=POOL,
                IdentityId=ids[4],
                DatasetName="unknown",
                LastSyncCount=known,
            )
            assert not listed["DatasetExists"]
            assert listed["DatasetDeletedAfterRequestedSyncCount"] is deleted
        with urllib.request.urlopen(f"{target.endpoint}/metrics") as answer:
            metrics = answer.read().decode()
        labels = f'{{identity_pool_id="{POOL}"}}'
        assert f"millpond_import_identities{labels} {IDENTITIES}.0" in metrics
        assert f"millpond_import_remaining_identities{labels} 0.0" in metrics
        enabled: list[str] = []
        words: dict[str, Any] = {}
        while not enabled or words:
            page = identities.list_identities(
                IdentityPoolId=POOL, MaxResults=60, HideDisabled=True, **words
            )
            enabled += [each["IdentityId"] for each in page["Identities"]]
            token = page.get("NextToken")
            words = {"NextToken": token} if token else {}
        assert ids[0] in enabled
        assert ids[1] not in enabled
        found = rows(move.target)[Kind.IDENTITIES]
        assert {e.identity_id: e.merged_into for e in found}[ids[1]] == ids[0]


@pytest.mark.timeout(3 * TIMEOUT_S)
def test_what_cannot_be_done_is_one_clear_line(
    move: Move, source: RunningServer
) -> None:
    """And nothing is half-written: rights, a pool in use, ids, limits."""
    ids = identity_ids(IDENTITIES)
    put(source.client("cognito-sync"), ids[0], {"k": "too long"}, "prefs")
    with TryingProxy(source) as proxy:
        proxy.denied = frozenset({"GetIdentityPoolRoles", "ListRecords"})
        planned, _ = move.run("plan", POOL, endpoint=proxy.endpoint, status=1)
        assert planned["MissingRights"] == [
            "cognito-identity:GetIdentityPoolRoles",
            "cognito-sync:ListRecords",
        ]
        assert planned["Identities"] == IDENTITIES
        allowed = {a for each in planned["Policy"]["Statement"] for a in each["Action"]}
        assert set(planned["MissingRights"]) <= allowed
        _, told = move.run("copy", POOL, endpoint=proxy.endpoint, status=1)
        assert "cognito-identity:GetIdentityPoolRoles" in told
        proxy.denied = frozenset({"ListRecords"})
        _, told = move.run("copy", POOL, endpoint=proxy.endpoint, status=1)
        assert "cognito-sync:ListRecords" in told
    _, told = move.run("copy", POOL.replace("us", "US"), status=1)
    assert "lower case" in told
    other = f"{POOL[:-1]}9"
    _, told = move.run("copy", other, status=1)
    assert f"no identity pool '{other}'" in told

    settings = move.target / "settings.toml"
    settings.write_text(f"data = '{move.target}'\nrecord_value_chars_max = 3\n")
    found, told = move.run("copy", POOL, "--settings", str(settings), status=1)
    assert found["NotTakenCount"] == 1
    assert "record_value_chars_max is 3" in told
    assert ids[0] in told
    found, _ = move.run("copy", POOL)  # with the limit raised
    assert found["DatasetsWritten"] == 1

    full = move.target.parent / "full"
    full.mkdir()
    seed(full, ids[:1])
    move.programs.millpond("store", "create", "--data", str(full)).wait()
    elsewhere = Move(move.programs, source, full)
    _, told = elsewhere.run("copy", POOL, status=1)
    assert "is here already" in told
