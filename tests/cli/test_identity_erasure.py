"""`millpond identity export|delete`: a person's data, handed out or dropped."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import tracemalloc
from typing import Any

import pytest

from cli import world
from cli.world import ABE, ANN, EMPTY_POOL, GUEST, LOSER, NOBODY, POOL, Place
from millpond.core.sync import DatasetId
from millpond.service.looking.exports import export_identity
from millpond.service.looking.identities import IdentityPlace
from millpond.stores.base import Store
from millpond.stores.sqlite import SqliteStore
from millpond.testing.deadlines import seconds
from millpond.testing.store_contract.bench import put
from millpond.testing.store_contract.identity_deletion import events_of
from processes import Programs, Terminal

NOW = "2025-06-15T15:06:40.000+00:00"
MIB = 1024 * 1024


@pytest.fixture
def identity(run, place):
    """Run `millpond identity` on the store."""
    return lambda *words: run("identity", *words, *place.words)


def exported(identity: Any, typed: str) -> Any:
    result = identity("export", typed)
    assert (result.code, result.err) == (0, "")
    return json.loads(result.out)


# --- export --------------------------------------------------------------------------


def test_everything_of_an_identity_is_exported(identity):
    """Logins, devices with their tokens, datasets with records, removed ones too."""
    found = exported(identity, ANN)

    assert re.fullmatch(r"20\d\d-\d\d-\d\dT[\d:]+\.\d{3}\+00:00", found["ExportDate"])
    del found["ExportDate"]
    dates = {"CreationDate": NOW, "LastModifiedDate": NOW}
    assert found == {
        "Format": "millpond-identity-1",
        "IdentityPoolId": POOL,
        "IdentityId": ANN,
        "Kind": "USER",
        "MergedInto": None,
        "CreationDate": NOW,
        "LastModifiedDate": "2025-06-15T15:06:40.001+00:00",
        "Logins": [
            {"ProviderName": "accounts.google.com", "Subject": world.SUBJECT},
            {"ProviderName": world.DEVELOPER, "Subject": "ann@game"},
        ],
        "Devices": [
            {
                "DeviceId": "phone-1",
                "Platform": "GCM",
                "Token": "t" * 40 + "ending",
                "RegistrationDate": NOW,
                "Disabled": False,
                "DatasetNames": ["prefs"],
                "LastPush": None,
            }
        ],
        "Datasets": [
            {
                "DatasetName": "gone",
                "Deleted": True,
                "SyncCount": 2,
                **dates,
                "NumRecords": 0,
                "DataStorage": 0,
                "LastModifiedBy": "device",
                "Records": [],
            },
            {
                "DatasetName": "prefs",
                "Deleted": False,
                "SyncCount": 2,
                **dates,
                "NumRecords": 1,
                "DataStorage": 8,
                "LastModifiedBy": "tablet",
                "Records": [
                    {
                        "Key": "color",
                        "Value": "red",
                        "SyncCount": 1,
                        "Op": "replace",
                        "LastModifiedDate": NOW,
                        "DeviceLastModifiedDate": None,
                        "LastModifiedBy": "phone",
                    },
                    {
                        "Key": "size",
                        "Value": None,
                        "SyncCount": 2,
                        "Op": "remove",
                        "LastModifiedDate": NOW,
                        "DeviceLastModifiedDate": None,
                        "LastModifiedBy": "tablet",
                    },
                ],
            },
        ],
    }


def test_identities_with_little_are_exported(identity):
    """A guest, a merged one, and data that has no identity."""
    guest, merged, data = (exported(identity, each) for each in (GUEST, LOSER, NOBODY))

    assert (guest["Kind"], guest["Datasets"], guest["Devices"]) == ("GUEST", [], [])
    assert (merged["Kind"], merged["MergedInto"]) == ("MERGED", ANN)
    assert "Kind" not in data
    assert [each["DatasetName"] for each in data["Datasets"]] == ["prefs"]


@pytest.mark.parametrize("typed", ["us-east-1:e", "", "a0000000"])
def test_without_one_identity_nothing_is_exported(identity, typed):
    """No half document, and a reason."""
    result = identity("export", typed)

    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("millpond identity: ")


def test_many_records_are_exported_once_each(identity, place):
    """However many pages they take; any text comes as it is."""
    values = {f"k{n:04}": f"\x00\u2028{n}"[1:] for n in range(1000)}
    dataset = DatasetId(POOL, GUEST, "many")
    place.run(lambda store: put(store, dataset, values))

    (found,) = exported(identity, GUEST)["Datasets"]

    assert {each["Key"]: each["Value"] for each in found["Records"]} == values
    assert len(found["Records"]) == 1000


def test_a_large_identity_passes_through_little_memory(tmp_path):
    """50 MiB of records, large and small ones, never are in memory together."""

    async def scene() -> None:
        store = SqliteStore(tmp_path)
        await store.open()
        try:
            await world.fill(store)
            dataset = DatasetId(POOL, GUEST, "large")
            for part in range(10):
                small = {f"{part}-small-{n}": "y" for n in range(200)}
                await put(store, dataset, small)
                large = {f"{part}-{n}": "x" * (MIB // 4) for n in range(20)}
                await put(store, dataset, large)
            written = 0
            tracemalloc.start()
            try:
                target = IdentityPlace(POOL, GUEST)
                async for piece in export_identity(store, target, now_ms=0):
                    written += len(piece)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        finally:
            await store.aclose()
        assert written > 50 * MIB
        assert peak < 25 * MIB

    asyncio.run(scene())


# --- delete --------------------------------------------------------------------------


def test_an_identity_is_deleted_with_all_that_is_its(identity, place):
    """As DeleteIdentities does: data, logins and devices go, and the stream is told."""

    async def clear(store: Store) -> None:
        for each in await store.list_outbox(POOL, limit=9, bytes_max=999):
            await store.delete_outbox(POOL, [each])

    place.run(clear)

    result = identity("delete", ANN.upper(), "--yes", "--output", "json")

    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out) == {
        "IdentityId": ANN,
        "IdentityPools": [
            {
                "IdentityPoolId": POOL,
                "DatasetCount": 1,
                "DataStorage": 8,
                "DeviceCount": 1,
                "StreamName": world.STREAM,
            }
        ],
    }
    gone = identity("show", ANN)
    assert (gone.code, gone.out) == (1, "")
    assert identity("find", "--login", world.SUBJECT).out == ""

    async def check(store: Store) -> None:
        (event,) = await events_of(store, POOL)
        assert (event.data_set_name, event.operation) == ("prefs", "remove")
        assert await store.find_device(ANN, "phone-1") is None
        assert await store.find_identity(ABE) is not None

    place.run(check)
    again = identity("delete", ANN, "--yes")
    assert (again.code, again.out) == (1, "")
    assert again.err == f"millpond identity: there is no identity '{ANN}'.\n"


def test_data_without_an_identity_is_deleted_in_every_pool(identity, place):
    """What goes is told of each."""
    other = DatasetId(EMPTY_POOL, NOBODY, "prefs")
    place.run(lambda store: put(store, other, {"k": "v"}))

    told = json.loads(identity("delete", NOBODY, "--yes", "--output", "json").out)

    pools = [each["IdentityPoolId"] for each in told["IdentityPools"]]
    assert pools == [POOL, EMPTY_POOL]
    assert told["IdentityPools"][1]["StreamName"] is None
    assert identity("show", NOBODY).code == 1


@pytest.mark.parametrize("typed", ["b0000000", GUEST[:-1]])
def test_the_beginning_of_an_id_is_not_enough(identity, typed):
    """The whole one is named, and nothing is deleted."""
    result = identity("delete", typed, "--yes")

    assert (result.code, result.out) == (1, "")
    assert result.err == (
        f"millpond identity: to delete it, give its id whole: {GUEST}\n"
    )
    assert identity("show", GUEST).code == 0


@pytest.mark.parametrize("typed", ["us-east-1:e", "", "a0000000", "%"])
def test_nobody_is_deleted_for_a_wrong_id(identity, typed):
    """Unknown ones, and the beginning of several."""
    result = identity("delete", typed, "--yes")

    assert (result.code, result.out) == (1, "")
    assert len(identity("find").out.splitlines()) == 4


def test_without_anybody_to_ask_nothing_is_deleted(identity, monkeypatch):
    """It says what would go, and which option does it."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)

    result = identity("delete", ANN)

    assert (result.code, result.out) == (1, "")
    assert f"This deletes {ANN} for good:" in result.err
    assert "    datasets: 1, 8 B\n" in result.err
    assert f"    stream {world.STREAM} is told" in result.err
    assert "--yes says to delete it." in result.err
    assert identity("show", ANN).code == 0


class Conversation:
    """`millpond identity delete` on a terminal."""

    def __init__(self, programs: Programs, place: Place) -> None:
        self.terminal = Terminal()
        with self.terminal.handed_over() as theirs:
            self.process = programs.millpond(
                *("identity", "delete", ANN, *place.words),
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,
            )

    def end(self) -> tuple[int, str]:
        """Wait for the end: the exit status, and all that was shown."""
        status = self.process.wait(seconds(20))
        self.terminal.close()
        return status, self.terminal.text


@pytest.fixture
def conversation(programs, quiet_place) -> Conversation:
    """A command that has shown what would go, and has asked."""
    begun = Conversation(programs, quiet_place)
    begun.terminal.wait_for(f"type {ANN}\r\n> ")
    return begun


@pytest.fixture
def quiet_place(tmp_path) -> Place:
    """An embedded store with the small world."""
    found = Place("--data", str(tmp_path / "data"))
    found.run(world.fill)
    return found


@pytest.mark.parametrize("answer", [f"{ANN}\n", f" {ANN.upper()} \n"])
def test_who_types_the_id_deletes(conversation, quiet_place, run, answer):
    """After what goes was shown."""
    assert "login: accounts.google.com 1234567890" in conversation.terminal.text
    conversation.terminal.type(answer)
    status, shown = conversation.end()

    assert status == 0
    assert f"Deleted {ANN}." in shown
    assert run("identity", "show", ANN, *quiet_place.words).code == 1


@pytest.mark.parametrize("answer", ["y\n", "\n", f"{ABE}\n", "\x04"])
def test_another_answer_deletes_nothing(conversation, quiet_place, run, answer):
    """Neither yes, nor nothing, nor another id, nor the end of the input."""
    conversation.terminal.type(answer)
    status, shown = conversation.end()

    assert status == 1
    assert "nothing was done" in shown
    assert run("identity", "show", ANN, *quiet_place.words).code == 0


def test_ctrl_c_deletes_nothing(conversation, quiet_place, run):
    """It ends at once, with the status that shells know."""
    conversation.process.send_signal(signal.SIGINT)
    status, shown = conversation.end()

    assert status == 130
    assert "Traceback" not in shown
    assert run("identity", "show", ANN, *quiet_place.words).code == 0
