"""`pool`, `identity`, `dataset` and `outbox`: what the store holds, on both stores."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cli import world
from cli.world import ABE, ANN, EMPTY_POOL, GUEST, LOSER, NOBODY, NOW, POOL
from millpond.core.streaming import StreamRecord
from millpond.core.sync import DatasetId
from millpond.service.audit import AuditBook
from millpond.service.callers import Caller
from millpond.sinks.embedded import EmbeddedSink
from millpond.stores.base import DeveloperKey
from millpond.stores.importing import ImportState
from millpond.testing.store_contract.bench import NOW_MS, put

GONE = "us-east-1:f0000000-0000-4000-8000-000000000009"
UNKNOWN = "us-east-1:e0000000-0000-4000-8000-00000000000f"


@pytest.fixture
def look(run, place):
    """Run a command on the store."""
    return lambda *words: run(*words, *place.words)


@pytest.fixture
def listed(look):
    """Run a command as a program would; gives what it printed."""

    def run_command(*words: str) -> Any:
        result = look(*words, "--output", "json")
        assert (result.code, result.err) == (0, "")
        return json.loads(result.out)

    return run_command


def ids(found: Any) -> list[str]:
    return [each["IdentityId"] for each in found["Identities"]]


# --- Pools ---------------------------------------------------------------------------


def test_pools_are_listed_with_what_they_hold(listed, look):
    """By id, with usage and stream; for people a line for each, in the same order."""
    found = listed("pool", "list")
    lines = look("pool", "list").out.splitlines()

    assert found["NextToken"] is None
    assert found["IdentityPools"] == [
        {
            "IdentityPoolId": POOL,
            "IdentityPoolName": "Players",
            "AllowUnauthenticatedIdentities": True,
            "StreamName": world.STREAM,
            "StreamingStatus": "ENABLED",
            "DataStorage": len("colorred") + len("kv"),
            "SyncSessionsCount": 0,
            "LastModifiedDate": NOW,
        },
        {
            "IdentityPoolId": EMPTY_POOL,
            "IdentityPoolName": "Nobody yet",
            "AllowUnauthenticatedIdentities": True,
            "StreamName": None,
            "StreamingStatus": None,
            "DataStorage": 0,
            "SyncSessionsCount": 0,
            "LastModifiedDate": None,
        },
    ]
    assert lines == [
        f"{POOL}\tPlayers\tyes\tchanges ENABLED\t10\t{NOW}",
        f"{EMPTY_POOL}\tNobody yet\tyes\t-\t0\t-",
    ]


@pytest.mark.parametrize(
    "typed",
    [POOL, POOL.upper(), POOL[:20], "7c4f5e0a", "7C4F5E0A-0000", f" {POOL} "],
)
def test_a_pool_is_shown_by_its_beginning(listed, typed):
    """With or without the region, in capitals or not."""
    found = listed("pool", "show", typed)

    assert (found["IdentityPoolId"], found["IdentityPoolName"]) == (POOL, "Players")
    assert found["DeveloperProviderName"] == world.DEVELOPER
    assert found["LoginProviders"] == ["accounts.google.com"]
    assert found["Outbox"]["Entries"] == 2
    assert found["BulkPublish"]["Status"] == "NOT_STARTED"


def test_a_pool_for_people(look):
    """A line for each thing that is known of it."""
    lines = look("pool", "show", POOL).out.splitlines()

    assert f"Identity pool\t{POOL}" in lines
    assert "Waiting for it\t2" in lines
    assert f"Last change\t{NOW}" in lines


@pytest.mark.parametrize("typed", ["us-east-1:7c4f", "7c4f"])
def test_half_an_id_of_several_pools_is_refused_with_their_ids(look, typed):
    """Nothing is shown of any of them."""
    result = look("pool", "show", typed)

    assert (result.code, result.out) == (1, "")
    assert result.err == (
        f"millpond pool: '{typed}' may be one of several:\n  {POOL}\n  {EMPTY_POOL}\n"
    )


@pytest.mark.parametrize("typed", [UNKNOWN, "7c5", "", "x", "%", "\x1b[31m"])
def test_an_unknown_pool_is_refused(look, typed):
    """By the words that were typed."""
    for words in (("pool", "show", typed), ("identity", "show", ANN)):
        option = ("--identity-pool-id", typed) if words[0] != "pool" else ()
        result = look(*words, *option)

        assert (result.code, result.out) == (1, "")
        assert f"there is no identity pool '{typed}'." in result.err


# --- Identities ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ((), [ANN, ABE, GUEST, LOSER]),
        (("us-east-1:a",), [ANN, ABE]),
        (("A0000000",), [ANN, ABE]),
        ((ANN,), [ANN]),
        (("us-east-1:f",), []),
        (("eu-west-1:a",), []),
        (("--login", world.SUBJECT), [ANN]),
        (("--login", world.SUBJECT, "--provider", "accounts.google.com"), [ANN]),
        (("--login", world.SUBJECT, "--provider", "graph.facebook.com"), []),
        (("--login", "ann@game"), [ANN]),
        (("--login", "1234"), []),
        (("--developer-user-id", "ann@game"), [ANN]),
        (("--developer-user-id", world.SUBJECT), []),
        (("--guests", "--identity-pool-id", POOL), [GUEST]),
        (("--users", "--identity-pool-id", "7c4f5"), [ANN, ABE]),
        (("--merged", "--identity-pool-id", POOL), [LOSER]),
        (("c", "--guests", "--identity-pool-id", POOL), []),
        (("--identity-pool-id", EMPTY_POOL), []),
        (("--identity-pool-id", EMPTY_POOL, "--login", world.SUBJECT), []),
    ],
)
def test_identities_are_found(listed, words, wanted):
    """By id or its beginning, by login, by developer user id, by kind."""
    assert ids(listed("identity", "find", *words)) == wanted


def test_what_is_found_is_told_whole(listed, look):
    """Kind, logins and dates, and whom a merged one went into."""
    (ann,) = listed("identity", "find", ANN)["Identities"]
    line = look("identity", "find", LOSER).out

    assert ann == {
        "IdentityPoolId": POOL,
        "IdentityId": ANN,
        "Kind": "USER",
        "MergedInto": None,
        "Logins": [
            {"ProviderName": "accounts.google.com", "Subject": world.SUBJECT},
            {"ProviderName": world.DEVELOPER, "Subject": "ann@game"},
        ],
        "CreationDate": NOW,
        "LastModifiedDate": NOW,
    }
    assert line == f"{LOSER}\tmerged\t{ANN}\t{NOW}\t{NOW}\n"


def test_pages_follow_each_other(listed, look):
    """Each gives the token of the next one; people are told on standard error."""
    found: list[str] = []
    token: tuple[str, ...] = ()
    while True:
        page = listed("identity", "find", "--max-items", "1", *token)
        assert len(page["Identities"]) == 1
        found += ids(page)
        if page["NextToken"] is None:
            break
        token = ("--starting-token", page["NextToken"])

    assert found == [ANN, ABE, GUEST, LOSER]
    result = look("identity", "find", "--max-items", "2")
    assert result.err.startswith("There is more: --starting-token ")
    assert len(result.out.splitlines()) == 2


@pytest.mark.parametrize("token", ["", "x", "!", "e30", "bnVsbA", "NQ", "W10"])
def test_a_token_of_nothing_is_refused(look, token):
    """Before anything is read."""
    for words in (("identity", "find"), ("dataset", "show", ANN, "prefs")):
        result = look(*words, "--starting-token", token)

        assert (result.code, result.out) == (1, "")
        assert "--starting-token is not one that this list gave." in result.err


@pytest.mark.parametrize(
    "words",
    [
        ("--max-items", "0"),
        ("--max-items", "1001"),
        ("--max-items", "many"),
        ("--guests", "--merged"),
        ("--login", "x", "--developer-user-id", "y"),
        ("one", "two"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(look, words):
    """Status 2, and nothing on standard output."""
    result = look("identity", "find", *words)

    assert (result.code, result.out) == (2, "")


@pytest.mark.parametrize(
    "words",
    [
        ("pool", "show", "caf\udce9"),
        ("identity", "find", "--login", "caf\udce9"),
        ("key", "create", "--name", "caf\udce9"),
    ],
    ids=lambda words: words[0],
)
def test_what_is_no_text_is_a_usage_error(look, words):
    """Bytes of another encoding are told as they are."""
    result = look(*words)

    assert (result.code, result.out) == (2, "")
    assert r"error: 'caf\xe9' is not text in UTF-8." in result.err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("a", "--login", "x"), "not both"),
        (("--provider", "x"), "--provider goes with --login"),
        (("--guests",), "name it with --identity-pool-id"),
    ],
)
def test_what_does_not_go_together_is_refused(look, words, reason):
    """In words."""
    result = look("identity", "find", *words)

    assert (result.code, result.out) == (1, "")
    assert reason in result.err


def test_an_identity_is_shown_with_all_that_is_its(listed):
    """Logins, datasets beside their limits, devices, the last change and its author."""
    found = listed("identity", "show", "A0000000-0000-4000-8000-00000000000a")

    assert found["IdentityId"] == ANN
    assert found["MergedIdentityIds"] == [LOSER]
    assert (found["DatasetCount"], found["DataStorage"]) == (1, 8)
    assert found["LastChange"] == {
        "DatasetName": "prefs",
        "LastModifiedDate": NOW,
        "LastModifiedBy": "tablet",
    }
    assert found["Datasets"] == [
        {
            "DatasetName": "prefs",
            "Deleted": False,
            "SyncCount": 2,
            "NumRecords": 1,
            "NumRecordsMax": 1024,
            "DataStorage": 8,
            "DataStorageMax": 1_048_576,
            "CreationDate": NOW,
            "LastModifiedDate": NOW,
            "LastModifiedBy": "tablet",
        }
    ]
    (device,) = found["Devices"]
    assert device["DeviceId"] == "phone-1"
    assert device["TokenEnd"] == "ttending"
    assert device["DatasetNames"] == ["prefs"]
    assert (found["MoreDatasets"], found["MoreDevices"]) == (False, False)


def test_an_identity_for_people(look):
    """What is known of it, then its datasets, then its devices; no whole token."""
    out = look("identity", "show", ANN).out

    assert f"Login accounts.google.com\t{world.SUBJECT}\n" in out
    assert "\nprefs\t1 of 1,024\t8 B of 1 MiB\t2\t" in out
    assert "\nphone-1\tGCM\t...ttending\t" in out
    assert "t" * 20 not in out


def test_data_without_an_identity_is_shown_by_its_id(listed):
    """A developer may write under an id that nobody was given."""
    found = listed("identity", "show", NOBODY)

    assert (found["IdentityPoolId"], found["Kind"]) == (POOL, None)
    assert [each["DatasetName"] for each in found["Datasets"]] == ["prefs"]
    assert listed("dataset", "list", NOBODY)["Datasets"] == found["Datasets"]


def test_data_of_one_id_in_two_pools_has_to_be_told_apart(look, listed, place):
    """The pools are named; with one of them it is shown."""
    other = DatasetId(EMPTY_POOL, NOBODY, "prefs")
    place.run(lambda store: put(store, other, {"k": "v"}))

    result = look("identity", "show", NOBODY)

    assert result.code == 1
    assert f"{POOL}, {EMPTY_POOL}" in result.err
    found = listed("identity", "show", NOBODY, "--identity-pool-id", EMPTY_POOL)
    assert found["IdentityPoolId"] == EMPTY_POOL


@pytest.mark.parametrize("command", [("identity", "show"), ("dataset", "list")])
@pytest.mark.parametrize("typed", [UNKNOWN, "e", "", "*", "us-east-1:z", "prefs"])
def test_an_unknown_identity_is_refused(look, command, typed):
    """By the words that were typed."""
    result = look(*command, typed)

    assert (result.code, result.out) == (1, "")
    assert result.err == f"millpond {command[0]}: there is no identity '{typed}'.\n"


def test_half_an_id_of_several_identities_is_refused_with_them(look, place):
    """A few are named; that there are more is said."""
    result = look("identity", "show", "a0000000")

    assert result.code == 1
    assert result.err == (
        f"millpond identity: 'a0000000' may be one of several:\n  {ANN}\n  {ABE}\n"
    )


# --- Datasets ------------------------------------------------------------------------


def test_datasets_are_listed(listed):
    """Live ones by name; deleted ones when they are asked for."""

    def names(*words: str) -> list[tuple[str, bool]]:
        found = listed("dataset", "list", ANN, *words)["Datasets"]
        return [(each["DatasetName"], each["Deleted"]) for each in found]

    assert names() == [("prefs", False)]
    assert names("--deleted") == [("gone", True), ("prefs", False)]
    assert names("--identity-pool-id", "7c4f5") == [("prefs", False)]


def test_a_dataset_is_shown_with_its_records(listed, look):
    """Removed ones too: who changed what, when, at which sync count."""
    found = listed("dataset", "show", ANN, "prefs")
    lines = look("dataset", "show", ANN, "prefs").out.splitlines()

    assert (found["SyncCount"], found["NumRecords"], found["Deleted"]) == (2, 1, False)
    record = {"LastModifiedDate": NOW, "DeviceLastModifiedDate": None}
    assert found["Records"] == [
        {
            "Key": "color",
            "Value": "red",
            "SyncCount": 1,
            "Op": "replace",
            **record,
            "LastModifiedBy": "phone",
        },
        {
            "Key": "size",
            "Value": None,
            "SyncCount": 2,
            "Op": "remove",
            **record,
            "LastModifiedBy": "tablet",
        },
    ]
    assert lines[-2:] == [
        f"color\tred\t1\treplace\t{NOW}\t-\tphone",
        f"size\t-\t2\tremove\t{NOW}\t-\ttablet",
    ]


def test_records_are_paged(listed):
    """Pages together have every record once, in the order of the changes."""
    first = listed("dataset", "show", ANN, "prefs", "--max-items", "1")
    token = ("--starting-token", first["NextToken"])
    second = listed("dataset", "show", ANN, "prefs", "--max-items", "1", *token)

    assert [e["Key"] for e in first["Records"] + second["Records"]] == ["color", "size"]
    assert second["NextToken"] is None


def test_a_deleted_dataset_is_shown_as_one(listed, look):
    """It has a sync count and no records; one that never was is refused."""
    found = listed("dataset", "show", ANN, "gone")
    result = look("dataset", "show", ANN, "never")

    assert (found["Deleted"], found["SyncCount"], found["Records"]) == (True, 2, [])
    assert result.code == 1
    assert f"identity '{ANN}' has no dataset 'never'." in result.err


def test_values_do_not_steer_a_terminal(look, listed, place):
    """What others wrote is spelled out for people, and whole in JSON."""
    evil = "\x1b]0;owned\x07\nnext\trow\u202e"
    dataset = DatasetId(POOL, GUEST, "evil")
    place.run(lambda store: put(store, dataset, {evil: evil}, by=evil))

    out = look("dataset", "show", GUEST, "evil").out

    assert not set("\x1b\x07\u202e") & set(out)
    assert "\\x1b]0;owned\\x07\\nnext\\trow\\u202e" in out
    (record,) = listed("dataset", "show", GUEST, "evil")["Records"]
    assert record["Key"] == record["Value"] == record["LastModifiedBy"] == evil


# --- The outbox ----------------------------------------------------------------------


def test_what_waits_is_listed_over_all_pools(listed, look, place):
    """Pools of which anything waits or is parked, with how much and since when."""

    async def park_one(store: Any) -> None:
        entry, _ = await store.list_outbox(POOL, limit=9, bytes_max=99)
        await store.park_outbox(POOL, [(entry, "no")], now_ms=NOW_MS)

    place.run(park_one)

    (found,) = listed("outbox", "list")["IdentityPools"]

    assert (found["IdentityPoolId"], found["Entries"]) == (POOL, 1)
    assert found["ParkedCount"] == 1
    assert look("outbox", "list").out == f"{POOL}\t1\t{found['OldestDate']}\t1\n"


def test_streams_are_listed_with_how_far_they_are_behind(listed):
    """What waits for them, of which pools, and since when."""
    (stream,) = listed("stream", "list")["Streams"]

    assert (stream["StreamName"], stream["ShardCount"]) == (world.STREAM, 2)
    assert (stream["Entries"], stream["ParkedCount"]) == (2, 0)
    assert stream["OldestDate"] is not None
    (user,) = stream["IdentityPools"]
    assert (user["IdentityPoolId"], user["Entries"]) == (POOL, 2)
    assert user["DisabledReason"] is None


# --- Stores that are none ------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [("pool", "list"), ("identity", "find"), ("dataset", "list", ANN)]
)
def test_a_folder_of_something_else_is_refused(run, tmp_path: Path, words):
    """What is there stays as it is."""
    file = tmp_path / "millpond.sqlite3"
    file.write_text("My holidays.\n" * 1000)

    result = run(*words, "--data", str(tmp_path))

    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"millpond {words[0]}: ")
    assert "Traceback" not in result.err
    assert file.read_text() == "My holidays.\n" * 1000


def test_a_database_that_does_not_answer_is_told(run):
    """In one line, without the password."""
    url = "postgresql://me:geheim@127.0.0.1:1/none"

    result = run("pool", "list", "--store", url)

    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("millpond pool: ")
    assert "geheim" not in result.err


# --- Ids as people type them ---------------------------------------------------------


def test_an_import_is_found_by_the_beginning_of_its_pool(listed, look, place):
    """In capitals or without its region; several are named, and none is told."""
    pools = [POOL.replace("7c4f", each) for each in ("7c4fa", "7c4fb")]

    async def begin(store: Any) -> None:
        for each in pools:
            state = ImportState(identity_pool_id=each, source="elsewhere")
            await store.begin_import(world.a_pool(each, each), state, pools_max=9)

    place.run(begin)

    (found,) = listed("import", "status", "7C4FA")["Imports"]
    assert found["IdentityPoolId"] == pools[0]
    several = look("import", "status", "7c4f")
    assert (several.code, several.out) == (1, "")
    assert all(each in several.err for each in pools)
    assert "nothing of '7d' was imported" in look("import", "status", "7d").err


def test_a_stream_is_verified_of_a_pool_by_the_beginning_of_its_id(look):
    """The result names it whole."""
    result = look(
        "stream", "verify", "--identity-pool-id", "7C4F5E", "--output", "json"
    )

    assert json.loads(result.out)["IdentityPoolId"] == POOL


def test_a_tail_is_of_an_identity_by_the_beginning_of_its_id(look, place):
    """And of one that has gone from the store, by its whole id."""

    async def tell(store: Any) -> None:
        sink = EmbeddedSink(world.STREAM, store=store, now_ms=lambda: NOW_MS)
        await sink.open()
        await sink.put([StreamRecord(each, b"x") for each in (GUEST, ANN, UNKNOWN)])
        await sink.aclose()

    place.run(tell)
    tail = ("stream", "tail", world.STREAM, "--from-start", "--count", "1")

    assert GUEST in look(*tail, "--identity-id", "B0000000").out
    assert UNKNOWN in look(*tail, "--identity-id", UNKNOWN.upper()).out


@pytest.fixture
def changes(place):
    """Leave two changes in the audit, of Ann and of a pool that is gone."""
    key = DeveloperKey(
        access_key_id="AKIAONE", name="x", sealed_secret=b"x", creation_date_ms=NOW_MS
    )

    async def change(store: Any) -> None:
        await store.put_developer_key(key)
        book = AuditBook(store, now_ms=lambda: NOW_MS, random_bytes=os.urandom)
        for key_id, pool, identity in (("AKIAONE", POOL, ANN), ("AKIATWO", GONE, "")):
            await book.note(
                Caller(key_id, ""),
                operation="UpdateRecords",
                identity_pool_id=pool,
                identity_id=identity,
            )

    place.run(change)


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (("--pool", "7C4F5"), 1),
        (("--pool", GONE.upper()), 1),
        (("--pool", "7c4f5", "--identity-id", ANN.upper()), 1),
        (("--key", "akiaone"), 1),
        (("--key", "akiao"), 1),
        (("--key", "akiatwo"), 1),
        ((), 2),
    ],
)
def test_the_audit_is_of_ids_as_people_type_them(listed, changes, words, count):
    """In capitals, without a region, by their beginning; what is gone by all of it."""
    assert len(listed("audit", "list", *words)["Entries"]) == count


def test_the_audit_of_who_has_data_in_several_pools(place, listed):
    """A whole id is that identity, wherever its data is."""
    elsewhere = DatasetId(EMPTY_POOL, NOBODY, "prefs")
    place.run(lambda store: put(store, elsewhere, {"a": "1"}))

    assert listed("audit", "list", "--identity-id", NOBODY)["Entries"] == []


def test_an_audit_without_entries_says_so(listed, look, changes):
    """And names the operation that may be meant; programs get an empty list."""
    words = ("audit", "list", "--operation", "updaterecords")
    shown = look(*words)

    assert (shown.code, shown.out) == (0, "")
    assert shown.err == "There is no such entry. Is 'UpdateRecords' meant?\n"
    assert listed(*words) == {"Entries": [], "NextToken": None}
