"""`millpond outbox`: what waits for a stream, and what it refused."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from millpond.core.sync import DatasetId
from millpond.stores.sqlite import SqliteStore
from millpond.testing.store_contract.bench import ALICE, NOW_MS, POOL, a_pool, put

MISSING = "us-east-1:00000000-0000-0000-0000-000000000000"


async def _fill(folder: Path) -> None:
    """Leave one change waiting and two parked."""
    store = SqliteStore(folder)
    await store.open()
    await store.create_identity_pool(a_pool(), pools_max=9)
    for name in ("one", "two", "three"):
        dataset_id = DatasetId(POOL, ALICE, name)
        await put(store, dataset_id, {"k": "v"}, event=b"a secret value")
    entries = await store.list_outbox(POOL, limit=9, bytes_max=999)
    reasons = [(each, "It is too odd.") for each in entries[:2]]
    await store.park_outbox(POOL, reasons, now_ms=NOW_MS)
    await store.aclose()


@pytest.fixture
def outbox(run, home):
    """Run `millpond outbox` on a store with one waiting and two parked changes."""
    folder = home / "data"
    folder.mkdir()
    asyncio.run(_fill(folder))

    def run_command(command: str, *words: str, pool: str = POOL) -> Any:
        store = ("--data", str(folder), "--output", "json")
        return run("outbox", command, "--identity-pool-id", pool, *store, *words)

    return run_command


def listed(outbox: Any) -> Any:
    """List as a program would."""
    result = outbox("list")
    assert (result.code, result.err) == (0, "")
    return json.loads(result.out)


def test_what_waits_and_what_is_parked_is_listed(outbox):
    """Counts, the oldest, and the parked changes with the reason; no values."""
    found = listed(outbox)

    assert found["Entries"] == 1
    assert found["OldestDate"] is not None
    assert [each["OutboxId"] for each in found["Parked"]] == [1, 2]
    assert {each["Reason"] for each in found["Parked"]} == {"It is too odd."}
    assert found["Parked"][0]["IdentityId"] == ALICE
    assert "secret" not in json.dumps(found)


def test_a_long_list_is_returned_in_pages(outbox, monkeypatch):
    """All of it is, however many are read at a time."""
    monkeypatch.setattr("millpond.service.outbox.ENTRIES_AT_ONCE", 1)

    assert json.loads(outbox("retry", "--all").out) == {"Returned": 2}


def test_what_is_parked_comes_in_pages(outbox):
    """No more is listed than was asked for, and the token leads on."""
    one = json.loads(outbox("list", "--max-items", "1").out)
    two = json.loads(outbox("list", "--starting-token", one["NextToken"]).out)
    people = outbox("list", "--max-items", "1", "--output", "text")

    assert [each["OutboxId"] for each in one["Parked"]] == [1]
    assert [each["OutboxId"] for each in two["Parked"]] == [2]
    assert (one["ParkedCount"], two["NextToken"]) == (2, None)
    assert len(people.out.splitlines()) == 2
    assert f"--starting-token {one['NextToken']}" in people.err


def test_on_a_terminal_there_is_a_table(outbox, monkeypatch):
    """With headings, in local time as everywhere."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    first, titles, row, _ = outbox("list", "--output", "text").out.splitlines()

    assert "+00:00" not in first + row
    assert titles.split() == ["OUTBOX", "ID", "IDENTITY", "SIZE", "PARKED", "REASON"]
    assert row.split()[:2] == ["1", ALICE]


def test_reasons_of_others_steer_no_terminal(run, home, outbox):
    """What a stream has said is shown without what a terminal would obey."""

    async def park() -> None:
        store = SqliteStore(home / "data")
        await store.open()
        entries = await store.list_outbox(POOL, limit=9, bytes_max=999)
        reasons = [(each, "\x1b[2J\tgone") for each in entries]
        await store.park_outbox(POOL, reasons, now_ms=NOW_MS)
        await store.aclose()

    asyncio.run(park())

    shown = outbox("list", "--output", "text").out
    assert "gone" in shown
    assert "\x1b" not in shown


def test_a_pool_may_be_named_by_the_beginning_of_its_id(outbox):
    """In capitals or without its region; what goes for good needs the whole id."""
    short = POOL.partition(":")[2][:6].upper()

    assert json.loads(outbox("list", pool=short).out)["ParkedCount"] == 2
    assert json.loads(outbox("retry", "--outbox-id", "1", pool=short).out) == {
        "Returned": 1
    }
    refused = outbox("discard", "--all", pool=short)
    assert (refused.code, refused.out) == (1, "")
    assert f"by its whole id: {POOL}" in refused.err
    assert json.loads(outbox("discard", "--all", pool=POOL.upper()).out) == {
        "Discarded": 1
    }


def test_people_get_lines(outbox):
    """Without JSON there is a line for the counts and one for each parked change."""
    result = outbox("list", "--output", "text")

    first, *rows = result.out.splitlines()
    assert first.startswith("1 waiting, since 20")
    assert first.endswith("; 2 parked")
    assert len(rows) == 2


def test_parked_changes_wait_again(outbox):
    """One by its number, then all."""
    assert json.loads(outbox("retry", "--outbox-id", "2").out) == {"Returned": 1}
    assert (listed(outbox)["Entries"], len(listed(outbox)["Parked"])) == (2, 1)

    assert json.loads(outbox("retry", "--all").out) == {"Returned": 1}
    assert (listed(outbox)["Entries"], listed(outbox)["Parked"]) == (3, [])


@pytest.mark.parametrize(
    ("command", "member"), [("discard", "Discarded"), ("drop", "Dropped")]
)
def test_parked_changes_can_be_given_up(outbox, command, member):
    """What is discarded neither waits nor is parked."""
    assert json.loads(outbox(command, "--outbox-id", "1", "2").out) == {member: 2}

    assert (listed(outbox)["Entries"], listed(outbox)["Parked"]) == (1, [])


def test_parked_changes_can_be_taken_away(run, home, outbox):
    """Each is a line of JSON, with all that is in it and the reason."""
    store = ("--data", str(home / "data"))
    result = run("outbox", "download", "--identity-pool-id", POOL, *store)

    lines = [json.loads(each) for each in result.out.splitlines()]
    assert [each["OutboxId"] for each in lines] == [1, 2]
    assert lines[0]["Reason"] == "It is too odd."
    assert (lines[0]["IdentityPoolId"], lines[0]["IdentityId"]) == (POOL, ALICE)
    assert base64.b64decode(lines[0]["Data"]) == b"a secret value"  # no event
    assert len(listed(outbox)["Parked"]) == 2


@pytest.mark.parametrize("number", ["0", "-1", "4", str(2**63), str(2**80)])
def test_numbers_that_no_entry_can_have_are_refused(outbox, number):
    """Whatever the number is, it is not parked, and nothing is done."""
    result = outbox("discard", "--outbox-id", "1", number)

    assert (result.code, result.err) == (
        1,
        f"millpond outbox: {number} is not parked.\n",
    )
    assert len(listed(outbox)["Parked"]) == 2


@pytest.mark.parametrize("command", ["retry", "discard"])
def test_what_is_not_parked_is_refused(outbox, command):
    """Nothing is done when one of the numbers is not that of a parked change."""
    result = outbox(command, "--outbox-id", "1", "3")

    assert (result.code, result.err) == (1, "millpond outbox: 3 is not parked.\n")
    assert len(listed(outbox)["Parked"]) == 2


@pytest.mark.parametrize("words", [("list",), ("retry", "--all"), ("discard", "--all")])
def test_an_unknown_pool_is_refused(outbox, words):
    """Each command says that there is no such pool."""
    result = outbox(*words, pool=MISSING)

    assert result.code == 1
    assert result.err == f"millpond outbox: there is no identity pool '{MISSING}'.\n"


def test_what_to_do_with_has_to_be_said(outbox):
    """`discard` alone discards nothing."""
    assert outbox("discard").code == 2
    assert len(listed(outbox)["Parked"]) == 2
