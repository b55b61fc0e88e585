"""`millpond store copy`: from any store into any other, interrupted or not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from millpond.core.sync import DatasetId
from millpond.core.tokens import sessions_expired_by
from millpond.errors import StoreError, StoreInUseError, StoreVersionError
from millpond.server import lock, secret_key, stores
from millpond.server.copying import Comparison, Place, copy_store
from millpond.stores.copying import STREAM_KINDS, CopyStore, Kind
from millpond.stores.sqlite import FILE_NAME, STREAMS_FILE_NAME
from millpond.testing.deadlines import seconds
from millpond.testing.postgres import TestPostgres
from millpond.testing.store_contract.bench import ALICE, NOW_MS, POOL, a_pool, put
from millpond.testing.store_contract.copying import export_all, fill
from millpond.testing.store_contract.keys import a_key
from processes import Programs, finished

NewPlace = Callable[[str], Place]
MANY = 6000  # records: several pages


@pytest.fixture
def new_place(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], Place]:
    """Name empty stores: `folder` or `database`."""

    def name(kind: str) -> Place:
        if kind == "database":
            return Place.parse(request.getfixturevalue("new_database")())
        numbers = len([*tmp_path.iterdir()])
        return Place.parse(str(tmp_path / f"data {numbers}"))

    def make(kind: str) -> Place:
        place = name(kind)
        if place.folder is not None:
            place.folder.mkdir()
        return place

    return make


class Silent:
    """Watches a copy, and may do something at its steps."""

    def __init__(self, at: dict[str, Callable[[], None]] | None = None) -> None:
        self.at = at or {}
        self.steps: list[tuple[str, Kind, int]] = []

    def begin(self, step: str, kind: Kind, *, total: int, done: int) -> None:
        self.steps.append((step, kind, done))
        self.at.get(f"{step} {kind}", lambda: None)()

    def advance(self, rows: int) -> None:
        assert rows > 0


def copy(source: Place, target: Place, **options: Any) -> list[Comparison]:
    """Copy a store."""
    options = {"watcher": Silent(), "now_ms": NOW_MS, **options}
    return asyncio.run(copy_store(source, target, **options))


@contextlib.asynccontextmanager
async def opened(place: Place) -> AsyncIterator[CopyStore]:
    """Open the store of a place, complete or not."""
    store = stores.make_store(place.settings)
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


def on(place: Place, work: Callable[[CopyStore], Awaitable[Any]]) -> Any:
    """Do something with the store of a place."""

    async def do() -> Any:
        async with opened(place) as store:
            return await work(store)

    return asyncio.run(do())


def fill_place(place: Place) -> Place:
    """Put something of everything into a store."""

    async def work(store: CopyStore) -> None:
        assert await store.create_identity_pool(a_pool(), pools_max=9)
        await fill(store)

    on(place, work)
    if place.folder is not None:
        secret_key.load(place.folder, "")
    return place


def fill_with_many(place: Place) -> Place:
    """Put more records into a store than one page takes."""

    async def work(store: CopyStore) -> None:
        await store.create_identity_pool(a_pool(), pools_max=9)
        await store.put_developer_key(a_key())
        for number in range(MANY // 500):
            values = {f"key {n}": "value" for n in range(500)}
            await put(store, DatasetId(POOL, ALICE, f"d{number}"), values)

    on(place, work)
    return place


def rows_of(place: Place) -> dict[Kind, list[str]]:
    """Read everything."""

    async def work(store: CopyStore) -> dict[Kind, list[str]]:
        return {k: sorted(map(repr, await export_all(store, k))) for k in Kind}

    found: dict[Kind, list[str]] = on(place, work)
    return found


def has_mark(place: Place) -> bool:
    """Say whether a store is marked as not complete."""

    async def work(store: CopyStore) -> bool:
        return await store.find_copy_mark() is not None

    return bool(on(place, work))


@pytest.mark.parametrize("there", ["folder", "database"])
@pytest.mark.parametrize("here", ["folder", "database"])
def test_everything_arrives_and_comes_back(
    new_place: NewPlace, there: str, here: str
) -> None:
    """Into any store and back, every row is as it was, and the stores can be used."""
    first, second, third = (
        fill_place(new_place(there)),
        new_place(here),
        new_place(there),
    )
    found = copy(first, second)
    back = copy(second, third)

    assert [each.kind for each in found] == list(Kind)
    assert all(each.same and not each.renumbered for each in [*found, *back])
    assert all(each.source.count for each in found)
    before = rows_of(first)
    assert before == rows_of(second)
    assert before == rows_of(third)
    assert not has_mark(second)


def test_the_secret_goes_along_between_folders(new_place: NewPlace) -> None:
    """The file comes with the data, for its owner alone; a server then starts."""
    first, second = fill_place(new_place("folder")), new_place("folder")
    copy(first, second)
    assert first.folder is not None
    assert second.folder is not None

    file = second.folder / secret_key.FILE_NAME
    assert file.read_bytes() == (first.folder / secret_key.FILE_NAME).read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600


def test_another_secret_is_not_overwritten(new_place: NewPlace) -> None:
    """A target with a secret of its own is refused."""
    first, second = fill_place(new_place("folder")), new_place("folder")
    assert second.folder is not None
    secret_key.load(second.folder, "")

    with pytest.raises(StoreError, match="another secret"):
        copy(first, second)


# --- Interruptions --------------------------------------------------------------------


StartCopy = Callable[[Place, Place], subprocess.Popen[str]]


@pytest.fixture
def start_copy(programs: Programs) -> StartCopy:
    """Start the command in a process of its own."""

    def start(source: Place, target: Place) -> subprocess.Popen[str]:
        words = [source.url or str(source.folder), target.url or str(target.folder)]
        return programs.millpond("store", "copy", *words)

    return start


def stop_in_the_middle(process: subprocess.Popen[str], number: int) -> str:
    """Stop it when records are being copied; give what it wrote."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("copy records"):
            break
    process.send_signal(number)
    return finished(process)[1]


@pytest.mark.parametrize(
    ("there", "here"), [("folder", "database"), ("database", "folder")]
)
def test_a_copy_that_was_killed_goes_on(
    new_place: NewPlace, start_copy: StartCopy, there: str, here: str
) -> None:
    """Until it is complete no server starts on it; then everything is there, once."""
    first, second = fill_with_many(new_place(there)), new_place(here)
    process = start_copy(first, second)
    stop_in_the_middle(process, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert has_mark(second)

    async def serve() -> None:
        async with stores.open_store(second.settings):
            pass

    with pytest.raises(StoreError, match="Run the same 'millpond store"):
        asyncio.run(serve())
    process = start_copy(first, second)
    out, err = finished(process, 60)

    assert process.returncode == 0, err
    assert f"records {MANY:>25}" in out
    assert "DIFFERENT" not in out
    assert not has_mark(second)
    assert rows_of(first) == rows_of(second)


def test_a_copy_goes_on_where_it_was(new_place: NewPlace) -> None:
    """What is there already is not copied again."""
    first, second = fill_with_many(new_place("folder")), new_place("folder")

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(first, second, watcher=Silent({"copy spent_sessions": stop}))
    watcher = Silent()
    found = copy(first, second, watcher=watcher)

    assert ("copy", Kind.RECORDS, MANY) in watcher.steps
    assert all(each.same for each in found)


def test_ctrl_c_says_how_to_go_on(new_place: NewPlace, start_copy: StartCopy) -> None:
    """The exit status is 130, and one line says what to do."""
    first, second = fill_with_many(new_place("folder")), new_place("folder")
    process = start_copy(first, second)
    rest = stop_in_the_middle(process, signal.SIGINT)

    assert process.returncode == 130
    assert "Stopped. What was copied stays; the same command goes on" in rest
    assert "Traceback" not in rest


# --- What is refused ------------------------------------------------------------------


@pytest.mark.parametrize("here", ["folder", "database"])
def test_a_target_that_is_not_empty_is_refused(new_place: NewPlace, here: str) -> None:
    """Nothing is mixed with what is there."""
    first, second = fill_place(new_place("folder")), new_place(here)
    on(second, lambda store: store.put_developer_key(a_key()))

    with pytest.raises(StoreError, match="is not empty: it holds developer keys"):
        copy(first, second)
    assert not has_mark(second)


@pytest.mark.parametrize("kind", ["folder", "database"])
@pytest.mark.parametrize("served", ["source", "target"])
def test_a_store_in_use_is_refused(new_place: NewPlace, kind: str, served: str) -> None:
    """A server on either store is found, whichever it is."""
    first, second = fill_place(new_place(kind)), new_place(kind)
    place = {"source": first, "target": second}[served]

    async def try_it() -> None:
        if place.folder is not None:
            with lock.hold(place.folder):
                await copy_store(first, second, watcher=Silent(), now_ms=NOW_MS)
        async with opened(place) as store:
            await store.join(lambda _: None, lambda: None)  # type: ignore[attr-defined]
            await copy_store(first, second, watcher=Silent(), now_ms=NOW_MS)

    with pytest.raises(StoreInUseError, match=r"Another server|1 server uses"):
        asyncio.run(try_it())


@pytest.mark.parametrize("which", ["nothing", "a folder", "a file", "a database"])
def test_a_source_without_a_store_is_refused(
    new_place: NewPlace, tmp_path: Path, which: str, postgres: TestPostgres
) -> None:
    """No empty store is made where one was looked for."""
    path = tmp_path / "nowhere"
    source = Place.parse(str(path))
    if which == "a folder":
        path.mkdir()
    elif which == "a file":
        path.write_text("")
    elif which == "a database":
        source = Place.parse(postgres.create_database())

    with pytest.raises(StoreError, match="There is no store in"):
        copy(source, new_place("folder"))
    assert not (path / FILE_NAME).exists()


def test_a_store_is_not_copied_onto_itself(new_place: NewPlace) -> None:
    """The same place twice is a mistake."""
    first = fill_place(new_place("folder"))

    with pytest.raises(StoreError, match="onto itself"):
        copy(first, Place.parse(f"{first.folder}/../{Path(str(first.folder)).name}"))


@pytest.mark.parametrize("newer", ["source", "target"])
def test_a_newer_schema_is_refused(new_place: NewPlace, newer: str) -> None:
    """What a newer program wrote is left alone."""
    first, second = fill_place(new_place("folder")), new_place("folder")
    place = {"source": first, "target": second}[newer]
    with contextlib.closing(apsw.Connection(f"{place.folder}/{FILE_NAME}")) as db:
        db.pragma("user_version", 999)

    with pytest.raises(StoreVersionError, match="schema version 999"):
        copy(first, second)


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_database_that_is_not_there_is_refused(
    new_place: NewPlace, side: str
) -> None:
    """The message names it, without its password."""
    away = Place.parse("postgresql://ann:secret@127.0.0.1:1/none")
    store = fill_place(new_place("folder"))
    pair = (away, new_place("folder")) if side == "source" else (store, away)

    with pytest.raises(
        StoreError, match=r"'postgresql://ann@127\.0\.0\.1:1/none'"
    ) as e:
        copy(*pair)
    assert "secret" not in str(e.value)
    assert "\n" not in str(e.value)


def interrupted(new_place: NewPlace) -> tuple[Place, Place]:
    """Give a store and a copy of it that was interrupted."""
    first, second = fill_place(new_place("folder")), new_place("folder")

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(first, second, watcher=Silent({"copy records": stop}))
    return first, second


def test_the_target_of_another_copy_is_refused(new_place: NewPlace) -> None:
    """A copy is completed from where it came, or not at all."""
    first, second = interrupted(new_place)
    other = fill_place(new_place("folder"))

    with pytest.raises(StoreError, match=f"is the target of a copy of '{first.name}'"):
        copy(other, second)
    assert all(each.same for each in copy(first, second))


def test_half_a_copy_is_no_source(new_place: NewPlace) -> None:
    """What is not complete is not spread."""
    _, second = interrupted(new_place)

    with pytest.raises(StoreError, match="itself the target of a copy"):
        copy(second, new_place("folder"))


def test_a_source_that_was_written_to_meanwhile_is_refused(
    new_place: NewPlace,
) -> None:
    """Half of the old and half of the new would be neither."""
    first, second = interrupted(new_place)
    dataset = DatasetId(POOL, ALICE, "new")
    on(first, lambda store: put(store, dataset, {"k": "v"}, now_ms=NOW_MS * 2))

    with pytest.raises(StoreError, match="was written to since the copy"):
        copy(first, second)
    assert has_mark(second)


def test_a_write_during_the_copy_is_found(new_place: NewPlace) -> None:
    """Whoever writes to the source in spite of it all is found out in the end."""
    first, second = fill_place(new_place("database")), new_place("folder")

    def write() -> None:
        from concurrent.futures import ThreadPoolExecutor

        dataset = DatasetId(POOL, ALICE, "new")
        with ThreadPoolExecutor(1) as thread:
            thread.submit(
                on,
                first,
                lambda store: put(store, dataset, {"k": "v"}, now_ms=NOW_MS * 2),
            ).result()

    with pytest.raises(StoreError, match="was written to since the copy"):
        copy(first, second, watcher=Silent({"copy stream_payloads": write}))
    assert has_mark(second)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["DATA", "mysql://x/y"], "'mysql://' is no store; name a data folder"),
        (["DATA", "FILE"], "FILE'"),
        (["DATA", "LOCKED"], "Cannot use"),
    ],
)
def test_other_targets_are_refused_in_one_line(
    new_place: NewPlace, tmp_path: Path, words: list[str], message: str
) -> None:
    """What is no store is not made into one."""
    first = fill_place(new_place("folder"))
    (tmp_path / "FILE").write_text("")
    (tmp_path / "LOCKED" / lock.FILE_NAME).mkdir(parents=True)
    names = {"DATA": str(first.folder)}
    done = run(
        "copy",
        *(w if "://" in w else names.get(w, str(tmp_path / w)) for w in words),
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


# --- What is different ----------------------------------------------------------------

TAMPERINGS = {
    Kind.DEVELOPER_KEYS: "DELETE FROM developer_keys",
    Kind.IDENTITY_POOLS: "UPDATE identity_pool_usage SET sync_sessions_count = 0",
    Kind.IDENTITIES: "UPDATE identities SET guest = 1 - guest",
    Kind.DATASETS: "UPDATE datasets SET sync_count = sync_count + 1",
    Kind.RECORDS: "UPDATE records SET value = value || ' ' WHERE record_key = 'plain'",
    Kind.SPENT_SESSIONS: "UPDATE spent_sessions SET amended = NULL",
    Kind.DEVICES: "UPDATE devices SET disabled = 1 - disabled",
    Kind.SUBSCRIPTIONS: "DELETE FROM subscriptions",
    Kind.PUSHES: "UPDATE pushes SET due_ms = due_ms + 1",
    Kind.OUTBOX: "UPDATE outbox SET outbox_id = outbox_id + 1000",
    Kind.PARKED_OUTBOX: "UPDATE parked_outbox SET reason = ''",
    Kind.BULK_PUBLISH_RUNS: "DELETE FROM bulk_publish_runs",
    Kind.BULK_PUBLISH_SLICES: "UPDATE bulk_publish_slices SET records = records + 1",
    Kind.STREAMS: "UPDATE streams SET shard_count = 1",
    Kind.STREAM_RECORDS: "UPDATE stream_records SET data = x'00' WHERE shard = 1",
    Kind.STREAM_PAYLOADS: "UPDATE stream_payloads SET data = x'00'",
}


@pytest.mark.parametrize("kind", TAMPERINGS)
def test_a_difference_is_found(new_place: NewPlace, kind: Kind) -> None:
    """A copy that is not what it was copied from is not complete."""
    first, second = fill_place(new_place("folder")), new_place("folder")
    file = STREAMS_FILE_NAME if kind in STREAM_KINDS else FILE_NAME

    def tamper() -> None:
        with contextlib.closing(apsw.Connection(f"{second.folder}/{file}")) as db:
            db.execute(TAMPERINGS[kind])
            assert db.changes()

    watcher = Silent({"compare developer_keys": tamper})
    found = copy(first, second, watcher=watcher)

    assert kind in {each.kind for each in found if not each.same}
    assert has_mark(second)


def test_records_that_changed_places_are_found(new_place: NewPlace) -> None:
    """The order of stream records is a part of what is compared."""
    first, second = fill_place(new_place("folder")), new_place("folder")

    def swap() -> None:
        path = f"{second.folder}/{STREAMS_FILE_NAME}"
        with contextlib.closing(apsw.Connection(path)) as db:
            db.execute(
                "UPDATE stream_records SET data = CASE data WHEN CAST('one' AS BLOB) "
                "THEN CAST('two' AS BLOB) ELSE CAST('one' AS BLOB) END WHERE shard = 1"
            )

    found = copy(first, second, watcher=Silent({"compare developer_keys": swap}))

    assert [each.kind for each in found if not each.same] == [Kind.STREAM_RECORDS]


# --- Marks from before ----------------------------------------------------------------


def with_an_old_session(place: Place, *, expires_ms: int) -> Place:
    """Put a mark into a store as versions before this one wrote it."""
    session_id = sessions_expired_by(expires_ms) + b"0123456789"
    with contextlib.closing(apsw.Connection(f"{place.folder}/{FILE_NAME}")) as db:
        db.execute(
            "INSERT INTO spent_sessions (session_id, request_sha256, sync_count, "
            "last_modified_date_ms, last_modified_by) VALUES (?, x'00', 1, 1, 'a')",
            (session_id,),
        )
    return place


def test_marks_without_an_owner_do_not_go_into_a_database(new_place: NewPlace) -> None:
    """They are waited for, or left behind on request; expired ones are left."""
    hour_ms = 3_600_000
    first = with_an_old_session(
        fill_place(new_place("folder")), expires_ms=NOW_MS + 5 * hour_ms - 1
    )
    second, third = new_place("database"), new_place("database")

    with pytest.raises(StoreError, match="expire within 5 h"):
        copy(first, second)
    assert not has_mark(second)
    assert all(each.same for each in copy(first, second, leave_old_sessions=True))
    assert all(each.same for each in copy(first, third, now_ms=NOW_MS + 5 * hour_ms))
    assert len(rows_of(second)[Kind.SPENT_SESSIONS]) == 1


def test_marks_without_an_owner_go_into_a_folder(new_place: NewPlace) -> None:
    """There they are found all the same."""
    first = with_an_old_session(
        fill_place(new_place("folder")), expires_ms=NOW_MS + 1000
    )
    second = new_place("folder")

    assert all(each.same for each in copy(first, second))
    assert len(rows_of(second)[Kind.SPENT_SESSIONS]) == 2


# --- The command ----------------------------------------------------------------------


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `millpond store`."""
    return subprocess.run(
        [sys.executable, "-m", "millpond", "store", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds(60),
        env={k: v for k, v in os.environ.items() if not k.startswith("MILLPOND_")},
    )


def test_the_command_says_what_it_did(new_place: NewPlace) -> None:
    """Counts and checksums for each kind, and what to do with the secret."""
    first, second = fill_place(new_place("folder")), new_place("database")
    done = run("copy", str(first.folder), second.url)

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(Kind) + 1
    assert all(line.endswith("  same") for line in lines[:-1])
    assert f"put '{first.folder}/secret.key' into their data folder" in lines[-1]
    assert "copy records: " in done.stderr


def test_the_command_speaks_json(new_place: NewPlace) -> None:
    """A program finds the same in a document."""
    first, second = fill_place(new_place("folder")), new_place("folder")
    done = run("copy", str(first.folder), str(second.folder), "--output", "json")
    document = json.loads(done.stdout)

    assert (document["Source"], document["Target"]) == (first.name, second.name)
    assert document["Complete"] is True
    assert [each["Kind"] for each in document["Kinds"]] == [each.value for each in Kind]
    assert all(each["Same"] for each in document["Kinds"])


def test_the_command_refuses_in_one_line(new_place: NewPlace) -> None:
    """Exit status 1, one line, no traceback."""
    first = fill_place(new_place("folder"))
    done = run("copy", str(first.folder), str(first.folder))

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "millpond store: A store cannot be copied onto itself.\n"
