"""Datasets of devices, each a storage of its own, in step with a real server."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec import structs

from acceptance.sync_client import new_identity
from client.passing import Asked, Forward, Once, Reply, error, lose_answer, refuse_all
from millpond.client import (
    ClosedError,
    ConflictError,
    Limits,
    Memory,
    SQLite,
    Sync,
    Unanswered,
    UnsentError,
    encrypted,
    fixed,
    guest,
    json,
    mine,
    open_sync,
    open_sync_blocking,
    theirs,
)
from millpond.testing.server import wait_until

Device = Callable[..., Sync]


@pytest.fixture
def identity_id() -> str:
    """An identity of this test."""
    return new_identity()


@pytest.fixture
def device(server, proxy, pool, identity_id) -> Iterator[Device]:
    """Open the data of the identity on a device, with a developer's key."""
    opened: list[Sync] = []

    def open_device(storage: Any = None, **options: Any) -> Sync:
        key = fixed(identity_id, server.access_key_id, server.secret_access_key)
        given = {"credentials": key, "storage": storage or Memory(), **options}
        opened.append(open_sync_blocking(proxy.url, pool, **given))
        return opened[-1]

    yield open_device
    for each in opened:
        each.close()


def test_two_devices_come_to_have_the_same(device):
    """What one wrote and removed is so on the other; reports say what was done."""
    one, two = device().dataset("prefs"), device().dataset("prefs")

    one["colour"] = "teal"
    one.update(size="7", gone="1")
    report = one.sync()
    assert (report.pulled, {*report.pushed}) == ((), {"colour", "size", "gone"})
    assert (report.merged, report.set_aside, report.attempts) == ((), {}, 1)
    assert {*two.sync().pulled} == {"colour", "size", "gone"}
    del two["gone"]
    two.sync()
    assert one.sync().pulled == ("gone",)

    assert dict(one) == dict(two) == {"colour": "teal", "size": "7"}
    assert one.sync() == two.sync()
    assert one.status.unsent == ()
    assert one.status.last_sync_ms


@pytest.mark.parametrize(
    ("merge", "expected"),
    [
        (None, "two"),
        (mine, "two"),
        (theirs, "one"),
        (lambda key, base, mine, theirs: f"{base}+{mine}+{theirs}", "0+two+one"),
        (lambda key, base, mine, theirs: None, None),
    ],
    ids=["newest", "mine", "theirs", "function", "removal"],
)
def test_a_conflict_is_merged_as_the_app_says(device, merge, expected):
    """Of what both changed the merge decides, and the others come to have it."""
    one = device().dataset("prefs")
    two = device().dataset("prefs", merge=merge)
    one["colour"] = "0"
    one.sync()
    two.sync()

    one["colour"] = "one"
    one.sync()
    two["colour"] = "two"
    report = two.sync()
    one.sync()

    assert report.merged == ("colour",)
    assert one.get("colour") == two.get("colour") == expected


def test_a_write_between_listing_and_push_is_pulled_and_all_of_it_pushed_again(
    device, proxy
):
    """409: the update is made anew on what others wrote, as often as needed."""
    one, two = device().dataset("prefs"), device().dataset("prefs", merge=mine)
    two["colour"] = "two"
    rounds = iter(range(3))

    def interfere(asked: Asked, forward: Forward) -> Reply | None:
        if asked.method == "POST" and next(rounds, None) is not None:
            proxy.trick = None
            one["colour"] = f"one {len(proxy.asked)}"
            one.sync()
            proxy.trick = interfere
        return forward(asked)

    proxy.trick = interfere
    report = two.sync()
    proxy.trick = None
    one.sync()

    assert report.attempts == 4
    assert one["colour"] == two["colour"] == "two"


def test_a_conflict_that_nothing_settles_names_keys_and_counts(device, proxy, caplog):
    """It ends, says what is known here and no value, and goes on when it is over."""
    secret = f"secret-{new_identity()}"
    prefs = device().dataset("prefs")
    prefs["colour"] = "teal"
    prefs.sync()
    prefs["colour"] = secret
    refuse = error(409, "ResourceConflictException")

    proxy.trick = lambda asked, forward: (
        refuse(asked, forward) if asked.method == "POST" else forward(asked)
    )
    with caplog.at_level(logging.DEBUG), pytest.raises(ConflictError) as caught:
        prefs.sync()
    found = caught.value
    assert (found.dataset_name, found.counts) == ("prefs", {"colour": 1})
    assert found.report is not None
    assert found.report.attempts > 1
    assert "'colour' at 1" in str(found)
    told = [*traceback.format_exception(found), repr(found), repr(prefs), caplog.text]
    assert secret not in "".join(told)
    proxy.trick = None
    assert prefs.sync().pushed == ("colour",)


def test_a_change_after_a_change_costs_one_call(device, proxy, tmp_path):
    """A server of ours begins the next session with its answer; over a restart, too."""
    sync = device(SQLite(tmp_path / "app.db"))
    prefs = sync.dataset("prefs")
    prefs["n"] = "1"
    prefs.sync()
    sync.close()
    prefs = device(SQLite(tmp_path / "app.db")).dataset("prefs")
    calls = len(proxy.asked)
    for number in range(3):
        prefs["n"] = str(number)
        assert prefs.sync().pushed == ("n",)
    assert len(proxy.asked) == calls + 3

    other = device().dataset("prefs")
    other.sync()
    other["m"] = "2"
    other.sync()
    prefs["n"] = "9"
    assert prefs.sync().pulled == ("m",)
    other.sync()
    assert dict(prefs.items()) == dict(other.items()) == {"n": "9", "m": "2"}


def test_writes_are_kept_and_go_out_by_themselves(device, proxy, tmp_path):
    """Offline nothing is lost, also over a restart; later nobody has to ask."""
    sync = device(SQLite(tmp_path / "app.db"), retry_s=(0.05, 0.2))
    prefs = sync.dataset("prefs")
    proxy.trick = refuse_all
    prefs["colour"] = "teal"
    with pytest.raises(Unanswered) as caught:
        prefs.sync()
    assert caught.value.dataset_name == "prefs"
    assert prefs.status.unsent == ("colour",)
    assert prefs.status.last_error == "Unanswered"
    assert sync.status.next_upload_s is not None
    wait_until(lambda: len(proxy.asked) >= 3)  # it tried again
    sync.close()

    sync = device(SQLite(tmp_path / "app.db"), retry_s=(0.05, 0.2))
    prefs = sync.dataset("prefs")
    assert prefs["colour"] == "teal"
    proxy.trick = None
    wait_until(lambda: not prefs.status.unsent)
    assert sync.status.next_upload_s is None
    assert device().dataset("prefs").sync().pulled == ("colour",)


def test_an_update_that_a_crash_cut_short_goes_out_by_itself(device, proxy, tmp_path):
    """Sent or not, answered or not: the next start of the app sees to it."""
    sync = device(SQLite(tmp_path / "app.db"), retry_s=(60, 60))
    prefs = sync.dataset("prefs")
    prefs["colour"] = "teal"
    proxy.trick = Once(lose_answer, lambda asked: asked.method == "POST")
    with pytest.raises(Unanswered):
        prefs.sync()
    sync.engine.store.change(  # it was killed before it knew
        prefs.address, lambda now: structs.replace(now, last_error=None)
    )
    sync.close()

    prefs = device(SQLite(tmp_path / "app.db"), retry_s=(0.05, 1)).dataset("prefs")
    wait_until(lambda: not prefs.status.unsent)
    assert device().dataset("prefs").sync().pulled == ("colour",)


def test_an_app_s_own_failure_is_raised_and_tried_again(device):
    """A merge that fails leaves all as it was, and is asked again later."""
    answers: list[Any] = [ValueError("teal is no colour"), ValueError(), "grey"]

    def merge(key: str, base: str, mine: str, theirs: str) -> str:
        answer = answers.pop(0)
        if isinstance(answer, ValueError):
            raise answer
        return str(answer)

    one = device().dataset("prefs")
    two = device(retry_s=(0.05, 1)).dataset("prefs", merge=merge)
    one["colour"] = "red"
    one.sync()
    two["colour"] = "teal"
    with pytest.raises(ValueError, match="no colour"):
        two.sync()
    assert two["colour"] == "teal"
    assert two.status.last_error == "ValueError"
    wait_until(lambda: not two.status.unsent)
    one.sync()
    assert one["colour"] == two["colour"] == "grey"


def test_signing_out_in_the_middle_of_a_synchronization_leaves_nothing(device, proxy):
    """What is under way then writes nothing any more."""
    device().dataset("prefs").update(a="1")
    sync = device()
    prefs = sync.dataset("prefs")
    prefs["b"] = "2"

    def sign_out(asked: Asked, forward: Forward) -> Reply | None:
        proxy.trick = None
        reply = forward(asked)
        sync.sign_out(discard=True)
        return reply

    proxy.trick = sign_out
    with pytest.raises(ClosedError, match="signed out"):
        prefs.sync()
    assert dict(prefs) == {}
    assert sync.engine.store.names(prefs.address.pool, [sync.identity_id]) == []


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_that_forks_goes_on_by_itself(device, proxy, tmp_path):
    """Threads of the parent hold nothing that the child waits for."""
    prefs = device(SQLite(tmp_path / "app.db")).dataset("prefs")
    prefs.subscribe(None, lambda values: None)
    prefs["a"] = "1"
    asked, may_answer = threading.Event(), threading.Event()

    def wait(call: Asked, forward: Forward) -> Reply | None:
        asked.set()
        may_answer.wait()
        return forward(call)

    proxy.trick = Once(wait)
    parent = threading.Thread(target=prefs.sync)
    parent.start()
    asked.wait()
    child = os.fork()
    if not child:
        prefs["b"] = "2"
        prefs.sync()
        os._exit(0)

    assert os.waitpid(child, 0)[1] == 0
    may_answer.set()
    parent.join()
    assert dict(prefs.items()) == {"a": "1", "b": "2"}
    assert prefs.status.unsent == ()
    assert {*device().dataset("prefs").sync().pulled} == {"a", "b"}


def test_what_waits_goes_out_when_it_is_woken(device, proxy):
    """The pause is long; a wake, or another success, ends it."""
    sync = device(retry_s=(3600, 3600))
    prefs, other = sync.dataset("prefs"), sync.dataset("other")
    for wake in (sync.wake, other.sync):
        proxy.trick = refuse_all
        prefs["colour"] = str(wake)
        with pytest.raises(Unanswered):
            prefs.sync()
        proxy.trick = None
        assert sync.status.next_upload_s > 100
        wake()
        wait_until(lambda: not prefs.status.unsent)


def test_an_answer_that_was_lost_is_no_conflict_with_oneself(device, proxy):
    """The update goes out again as it was; what was written since comes after it."""
    prefs = device().dataset("prefs", merge=theirs)
    prefs["colour"] = "teal"
    proxy.trick = Once(lose_answer, lambda asked: asked.method == "POST")
    with pytest.raises(Unanswered):
        prefs.sync()
    prefs["colour"] = "red"

    assert prefs.sync().merged == ()
    assert prefs["colour"] == "red"
    assert device().dataset("prefs").sync().pulled == ("colour",)


def test_what_the_server_refuses_is_named_and_the_others_go_on(device):
    """A value that is too long for the server is set aside, with the code."""
    wrong = Limits(dataset_bytes=2_000_000)  # of another server than this one
    prefs = device(limits=wrong).dataset("prefs")
    for number in range(9):
        prefs[f"k{number}"] = "v"
    prefs["long"] = "x" * 1_048_570  # with its key and the others more than a dataset

    report = prefs.sync()

    assert report.set_aside == {"long": "LimitExceededException"}
    assert prefs.status.set_aside == report.set_aside
    assert {*device().dataset("prefs").sync().pulled} == {f"k{n}" for n in range(9)}
    prefs["long"] = "short"
    assert prefs.sync().pushed == ("long",)


def test_a_conflict_with_a_newer_app_waits_for_the_update(device):
    """What a newer app wrote is not written over; updated, the app merges the two."""

    def migrate(value: Any, version: int) -> Any:
        return [value] if version == 1 else value

    def both(key: str, base: Any, mine: Any, theirs: Any) -> Any:
        return sorted({*mine, *theirs})

    new = device().dataset("prefs", codec=json(2, migrate), merge=both)
    storage = Memory()
    old = device(storage).dataset("prefs", codec=json(1))
    new["size"] = [7]
    new.sync()
    old["size"] = 8
    old["colour"] = "teal"

    for _ in range(2):
        assert old.sync().set_aside == {"size": "Unreadable"}
    assert (old["size"], old.status.unsent) == (8, ("size",))
    new.sync()
    assert dict(new) == {"size": [7], "colour": ["teal"]}

    updated = device(storage).dataset("prefs", codec=json(2, migrate), merge=both)
    report = updated.sync()
    assert (report.pushed, report.set_aside) == (("size",), {})
    new.sync()
    assert new["size"] == updated["size"] == [7, 8]


def test_those_of_one_mind_do_not_push_by_turns(device):
    """Encrypted, the same merged value is the same text once both have seen it."""
    key = bytes(range(32))

    def both(key: str, base: Any, mine: Any, theirs: Any) -> Any:
        return sorted({*mine, *theirs})

    one, two = (
        device().dataset("prefs", codec=encrypted(json(), key), merge=both)
        for _ in range(2)
    )
    one["a"], two["a"] = [1], [2]
    for each in (one, two, one, two):
        each.sync()

    assert one["a"] == two["a"] == [1, 2]
    for each in (one, two):
        report = each.sync()
        assert (report.pulled, report.pushed, report.merged) == ((), (), ())


def test_a_deleted_dataset_is_deleted_for_all(device):
    """What the others did not change is gone there as well."""
    one, two = device().dataset("prefs"), device().dataset("prefs")
    one.update(a="1", b="2")
    one.sync()
    two.sync()

    one.delete()
    assert dict(one) == {}
    assert one.status.deleting
    one.sync()
    two["b"] = "3"
    two.sync()
    one.sync()

    assert dict(one) == dict(two) == {"b": "3"}


def test_subscribers_hear_of_each_change_once(device, tmp_path):
    """Whoever made it: the app, the server, another process; of their keys alone."""
    one = device(SQLite(tmp_path / "one.db"))
    prefs, elsewhere = one.dataset("prefs"), device().dataset("prefs")
    heard: list[dict[str, Any]] = []
    end = prefs.subscribe(["colour", "size"], heard.append)

    prefs.update(colour="teal", other="1")
    assert heard == [{"colour": "teal"}]
    prefs.sync()
    elsewhere.sync()
    elsewhere.update(colour="red", size="7")
    elsewhere.remove("other")
    elsewhere.sync()
    prefs.sync()
    assert heard[1:] == [{"colour": "red", "size": "7"}]
    beside = device(SQLite(tmp_path / "one.db")).dataset("prefs")
    del beside["size"]
    wait_until(lambda: len(heard) == 3)
    assert heard[2] == {"size": None}
    end()
    prefs["colour"] = "blue"
    assert len(heard) == 3


def test_a_listener_that_fails_or_writes_hurts_nobody(device, caplog):
    """The write stands, the others are told in order, and no value is in the log."""
    prefs = device().dataset("prefs")
    heard: list[dict[str, Any]] = []

    def fail(values: dict[str, Any]) -> None:
        raise ValueError(values)

    def write(values: dict[str, Any]) -> None:
        if values["colour"] == "secret":
            prefs["colour"] = "after"

    prefs.subscribe(None, fail)
    prefs.subscribe(None, write)
    prefs.subscribe(None, heard.append)
    with caplog.at_level(logging.DEBUG):
        prefs["colour"] = "secret"

    assert heard == [{"colour": "secret"}, {"colour": "after"}]
    assert "ValueError" in caplog.text
    assert "secret" not in caplog.text


def test_signing_out_tells_what_is_unsent(device):
    """It is refused as long as something would be lost; then nothing is left here."""
    sync = device(Memory())
    prefs, notes = sync.dataset("prefs"), sync.dataset("notes")
    prefs["gone"] = "before it was sent"
    del prefs["gone"]
    assert prefs.status.unsent == ()
    prefs["colour"] = "teal"
    notes["n"] = "1"
    notes.sync()
    notes.delete()

    with pytest.raises(UnsentError, match="'prefs': 1 records \\(colour\\)") as caught:
        sync.sign_out()
    assert caught.value.unsent == {"prefs": ("colour",), "notes": ()}
    assert dict(prefs) == {"colour": "teal"}
    prefs.sync()
    sync.sign_out(discard=True)

    assert dict(prefs) == dict(notes) == {}
    assert sync.status.unsent == 0
    notes.sync()
    assert dict(notes) == {"n": "1"}  # its deletion was discarded


def test_a_guest_begins_offline_and_its_data_is_there_when_it_is_not(proxy, pool):
    """Before the first contact nobody knows who it is; what was written follows."""
    proxy.trick = refuse_all
    storage = Memory()
    with open_sync_blocking(
        proxy.url, pool, storage=storage, credentials=guest(), retry_s=(60, 60)
    ) as sync:
        prefs = sync.dataset("prefs")
        prefs["colour"] = "teal"
        heard: list[dict[str, Any]] = []
        prefs.subscribe(None, heard.append)
        assert sync.identity_id is None
        with pytest.raises(Unanswered):
            prefs.sync()
        proxy.trick = None
        assert prefs.sync().pushed == ("colour",)
        assert sync.identity_id
        assert (prefs["colour"], heard) == ("teal", [])
        assert sync.status.datasets["prefs"].unsent == ()
    with open_sync_blocking(
        proxy.url, pool, storage=storage, credentials=guest()
    ) as sync:
        assert sync.dataset("prefs")["colour"] == "teal"


def test_the_awaited_face_does_the_same(server, proxy, pool, identity_id):
    """Ten lines of an app: writes at once, awaits the server, hears of changes."""

    async def app() -> None:
        key = fixed(identity_id, server.access_key_id, server.secret_access_key)
        async with (
            open_sync(proxy.url, pool, credentials=key) as one,
            open_sync(proxy.url, pool, credentials=key) as two,
        ):
            prefs, other = one.dataset("prefs"), two.dataset("prefs")
            prefs["colour"] = "teal"
            assert (await prefs.sync()).pushed == ("colour",)
            heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
            other.subscribe(["colour"], heard.put_nowait)
            assert (await other.sync()).pulled == ("colour",)
            assert await asyncio.wait_for(heard.get(), 20) == {"colour": "teal"}
            await one.sign_out()
            assert dict(prefs) == {}

    asyncio.run(app())
