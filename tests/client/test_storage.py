"""What is kept on a device, against a model: by several handles, with crashes."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.client import ClosedError, Memory, SQLite, StorageError, sqlite_rows
from millpond.client.address import Address
from millpond.client.sqlite_storage import Storage
from millpond.client.storage import Stored
from millpond.core.client_sync import copies
from millpond.core.client_sync.copies import Copy, LocalRecord, RecordPatch, Sent
from millpond.core.client_sync.following import follow

POOL = "us-east-1:3b1c6a9e-5d3f-4f6e-9b0a-1c2d3e4f5a6b"
PREFS = Address(POOL, "us-east-1:one", "prefs")
TEXTS = st.text(max_size=5)
NUMBERS = st.integers(0, 2**53)
RECORDS = st.builds(
    LocalRecord,
    *(st.none() | TEXTS, st.none() | TEXTS, st.integers(-1, 2**53), st.booleans()),
    *(NUMBERS, NUMBERS, st.none() | TEXTS),
)
PATCHES = st.builds(
    RecordPatch,
    *(st.sampled_from(["replace", "remove"]), TEXTS, NUMBERS, st.none() | TEXTS),
    *(NUMBERS, NUMBERS),
)
COPIES = st.builds(
    Copy,
    NUMBERS,
    st.dictionaries(TEXTS, RECORDS, max_size=4),
    st.none() | st.builds(Sent, TEXTS, st.lists(PATCHES, max_size=3).map(tuple)),
    st.booleans(),
    st.dictionaries(TEXTS, NUMBERS, max_size=2),
    st.none() | TEXTS,
)
STORED = st.builds(Stored, COPIES, step=NUMBERS, last_error=st.none() | TEXTS)
ADDRESSES = st.builds(
    Address, st.just(POOL), st.sampled_from(["", "one", "two"]), st.sampled_from("pn")
)


class Crash(Exception):
    """Something goes wrong in the middle of a change."""


def follow_newest(mine: Copy, theirs: Copy) -> Copy:
    return follow(mine, theirs, "merged", copies.newest)


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> Callable[[], Path]:
    """Give files of which nothing is known yet."""
    folder = tmp_path_factory.mktemp("storages")
    numbers = iter(range(10**6))
    return lambda: folder / f"{next(numbers)}.db"


@settings(max_examples=60)
@given(data=st.data())
def test_each_handle_sees_what_was_changed_and_nothing_else(data, places):
    """Changes, crashes in their middle, what follows, what is forgotten: as a model."""
    path = places()
    handles = [SQLite(path).open(), SQLite(path).open()]
    abandoned: list[Storage] = []
    model: dict[Address, Stored] = {}

    def without_row(stored: Stored) -> Stored:
        return copies.replace(stored, row=0)

    for _ in range(data.draw(st.integers(1, 15))):
        number = data.draw(st.sampled_from([0, 1]))
        storage, address = handles[number], data.draw(ADDRESSES)
        what = data.draw(
            st.sampled_from(["change", "write", "crash", "follow", "forget", "reopen"])
        )
        if what in ("change", "write", "crash"):
            if what == "change":
                given_now = data.draw(STORED)
            else:
                before = model.get(address, Stored())
                copy = copies.write(before.copy, data.draw(TEXTS), "w", now_ms=1)
                given_now = copies.replace(before, copy=copy)

            def decide(now: Stored, after: Stored = given_now) -> Stored:
                return copies.replace(after, row=now.row)

            def crash(now: Stored) -> Stored:
                raise Crash

            if what == "crash":
                with pytest.raises(Crash):
                    storage.change(address, crash)
            else:
                storage.change(address, decide)
                if given_now != model.get(address, Stored()):
                    model[address] = given_now
        elif what == "follow":
            guest = address._replace(identity_id="guest" if number else "one")
            if guest == address:
                continue
            changed = storage.follow(guest, address, follow_newest)
            if changed is not None:
                mine, theirs = model.get(address, Stored()), model.pop(guest)
                copy = follow_newest(mine.copy, theirs.copy)
                model[address] = copies.replace(mine, copy=copy, step=mine.step + 1)
            else:
                assert guest not in model
        elif what == "forget":
            unsent = storage.forget(POOL, [address.identity_id], discard=False)
            theirs_now = [a for a in model if a.identity_id == address.identity_id]
            dirty = {
                a.dataset_name
                for a in theirs_now
                if model[a].copy.unsent or model[a].copy.deleting
            }
            assert {*unsent} == dirty
            if not dirty:
                for each in theirs_now:
                    del model[each]
        else:
            abandoned.append(handles[number])  # as after a crash: nothing is closed
            handles[number] = SQLite(path).open()
        for handle in handles:
            for each in {address, *model}:
                assert without_row(handle.load(each)) == model.get(each, Stored())
                assert handle.names(POOL, [each.identity_id]) == sorted(
                    a.dataset_name for a in model if a.identity_id == each.identity_id
                )
    for handle in handles + abandoned:
        handle.close()


def write(storage: Storage, key: str, value: str | None, address: Any = PREFS) -> None:
    """Write a record as an app does."""
    storage.change(
        address,
        lambda now: copies.replace(
            now, copy=copies.write(now.copy, key, value, now_ms=1)
        ),
    )


def test_threads_and_handles_that_write_at_once_lose_nothing(tmp_path):
    """A read, a rule and a write are one step, whoever else is at it."""
    storages = [SQLite(tmp_path / "app.db").open() for _ in range(3)]

    def count(storage: Storage) -> None:
        for _ in range(20):
            storage.change(
                PREFS,
                lambda now: copies.replace(
                    now,
                    copy=copies.write(
                        now.copy,
                        "n",
                        str(int(now.copy.values.get("n", "0")) + 1),
                        now_ms=1,
                    ),
                ),
            )

    threads = [threading.Thread(target=count, args=(each,)) for each in storages * 2]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert [each.value(PREFS, "n") for each in storages] == ["120"] * 3
    for storage in storages:
        storage.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_that_forks_has_a_connection_of_its_own(tmp_path):
    """What it writes is there, and what the parent had open still works."""
    storage = SQLite(tmp_path / "app.db").open()
    write(storage, "a", "1")
    child = os.fork()
    if not child:
        write(storage, "b", storage.value(PREFS, "a"))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    write(storage, "c", "3")

    assert storage.load(PREFS).copy.values == {"a": "1", "b": "1", "c": "3"}
    storage.close()


def test_others_on_the_machine_cannot_read_a_new_file(tmp_path):
    """Neither the file nor those that SQLite puts beside it."""
    storage = SQLite(tmp_path / "app.db").open()
    write(storage, "a", "1")

    modes = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}
    assert modes == dict.fromkeys(["app.db", "app.db-wal", "app.db-shm"], 0o600)
    storage.close()


def test_what_follows_follows_by_others_too(tmp_path):
    """A guest's account may itself become part of another; circles end."""
    storage = SQLite(tmp_path / "app.db").open()
    for guest, account in [("a", "b"), ("b", "c"), ("c", "a"), ("x", "y")]:
        storage.mark_following(POOL, guest, account)
    storage.mark_following(POOL, "x", "x")

    assert sorted(storage.followers(POOL, "c")) == ["a", "b"]
    assert storage.followers(POOL, "y") == ["x"]
    assert storage.followers("another", "y") == []
    storage.forget(POOL, ["y"], discard=False)
    assert storage.followers(POOL, "y") == []
    storage.close()


def test_it_lives_in_an_app_s_own_file(tmp_path):
    """Tables of the app stay as they are."""
    with sqlite3.connect(tmp_path / "app.db") as app:
        app.execute("CREATE TABLE dataset (name)")
        app.execute("INSERT INTO dataset VALUES ('mine')")
    storage = SQLite(tmp_path / "app.db").open()
    write(storage, "a", "1")
    storage.close()

    found = app.execute("SELECT * FROM dataset").fetchall()
    app.close()
    assert found == [("mine",)]


def make_foreign(path: Path) -> None:
    path.write_bytes(b"no database, but longer than its header would be: " * 30)


def make_newer(path: Path) -> None:
    SQLite(path).open().close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE millpond_format SET version = 99")
    connection.close()


def make_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "kind"),
    [(make_foreign, "foreign"), (make_newer, "newer"), (make_folder, "missing")],
)
def test_a_file_that_is_none_of_ours_is_left_alone(tmp_path, make, kind):
    """It is named, with what is the matter, and stays as it is."""
    path = tmp_path / "app.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None

    with pytest.raises(StorageError, match=r"app\.db|format 99") as caught:
        SQLite(path).open()

    assert caught.value.kind == kind
    assert before is None or kind == "newer" or path.read_bytes() == before


def test_a_full_disk_loses_nothing_and_says_so(tmp_path):
    """The write is refused, what was there stays, and later it goes on."""
    storage = SQLite(tmp_path / "app.db").open()
    write(storage, "a", "1")
    connection = storage._connection
    assert connection is not None
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StorageError, match="surrogate"):
        write(storage, "b", "\ud800")
    with pytest.raises(StorageError, match="no room left") as caught:
        write(storage, "b", "secret" * 10_000)
    assert caught.value.kind == "full"
    assert "secret" not in str(caught.value)
    assert storage.load(PREFS).copy.values == {"a": "1"}
    connection.execute("PRAGMA max_page_count = 100000")
    write(storage, "b", "2")

    assert storage.load(PREFS).copy.values == {"a": "1", "b": "2"}
    storage.close()


def test_a_file_that_another_process_holds_is_waited_for_and_then_named(
    tmp_path, monkeypatch
):
    """Reads go on; a write says after a while that it could not be made."""
    monkeypatch.setattr(sqlite_rows, "BUSY_S", 0.05)
    storage = SQLite(tmp_path / "app.db").open()
    write(storage, "a", "1")
    holder = sqlite3.connect(tmp_path / "app.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    assert storage.value(PREFS, "a") == "1"
    with pytest.raises(StorageError, match=r"app\.db") as caught:
        write(storage, "b", "2")
    assert caught.value.kind == "busy"
    holder.execute("ROLLBACK")
    write(storage, "b", "3")
    assert storage.load(PREFS).copy.values == {"a": "1", "b": "3"}
    holder.close()
    storage.close()


def test_a_damaged_file_is_named(tmp_path):
    """What cannot be read is no empty dataset."""
    storage = SQLite(tmp_path / "app.db").open()
    for number in range(50):
        write(storage, f"k{number}", "v" * 500)
    storage.close()
    whole = (tmp_path / "app.db").read_bytes()
    head = 3 * 4096
    (tmp_path / "app.db").write_bytes(whole[:head] + b"\xff" * (len(whole) - head))

    with pytest.raises(StorageError, match=r"app\.db") as caught:
        SQLite(tmp_path / "app.db").open().load(PREFS)
    assert caught.value.kind == "damaged"


def test_a_merge_may_read_and_not_write(tmp_path):
    """A write in the middle of a change is refused, instead of waiting for itself."""
    storage = SQLite(tmp_path / "app.db").open()
    write(storage, "a", "1")

    def decide(now: Stored) -> Stored:
        assert storage.value(PREFS, "a") == "1"
        assert storage.load(PREFS).copy == now.copy
        write(storage, "b", "2")
        return now

    with pytest.raises(StorageError, match="may not write"):
        storage.change(PREFS, decide)
    assert storage.load(PREFS).copy.values == {"a": "1"}
    storage.close()


def test_closed_is_closed(tmp_path):
    """A file says so; memory is there as long as somebody has it."""
    storage = SQLite(tmp_path / "app.db").open()
    storage.close()
    with pytest.raises(ClosedError):
        storage.load(PREFS)

    memory = Memory()
    write(memory.open(), "a", "1")
    memory.open().close()
    assert memory.open().value(PREFS, "a") == "1"
