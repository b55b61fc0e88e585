"""The calls of a synchronization, as events: of a real server, and of what is none."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from acceptance.sync_client import Dataset, new_identity, remove, replace
from client.passing import (
    Asked,
    Forward,
    Once,
    Reply,
    error,
    lose_answer,
    page,
    refuse_all,
)
from millpond.client.calls import Calls
from millpond.client.credentials import fixed
from millpond.client.failures import (
    CallError,
    NotAllowed,
    Rejected,
    ServerTrouble,
    Throttled,
    Unanswered,
)
from millpond.client.remote import (
    IDENTITY_CHANGED,
    NEXT_SESSION,
    LostBecause,
    RefusedBecause,
    Remote,
)
from millpond.contract import cognito_sync as contract
from millpond.core.client_sync.copies import RecordPatch, Sent
from millpond.core.client_sync.session import (
    Deleted,
    List,
    Listed,
    Lost,
    Pushed,
)

SECRET = "a value that is nobody's business"


@pytest.fixture
def there(server, pool) -> Dataset:
    """The dataset `prefs` of a new identity, as another device (boto3) has it."""
    return Dataset(server.client("cognito-sync"), pool, new_identity())


@pytest.fixture
def remote(server, calls, pool, there, kept) -> Remote:
    """The same one through our calls."""
    caller = fixed(there.identity, server.access_key_id, server.secret_access_key).open(
        calls, pool, kept
    )
    return Remote(calls, pool, caller, there.identity)


def pushing(remote: Remote, *patches: RecordPatch) -> Any:
    listed = remote.list_records("prefs", 0)
    assert isinstance(listed, Listed)
    return remote.update_records("prefs", Sent(listed.token, patches))


def query(asked: Asked) -> dict[str, list[str]]:
    return parse_qs(urlsplit(asked.path).query)


def test_what_one_device_writes_another_lists(remote, there):
    """Values, tombstones, counts, and times to the millisecond, as merges compare."""
    pushed = pushing(
        remote,
        RecordPatch("replace", "a", 0, "1", modified_ms=1_700_000_000_123),
        RecordPatch("replace", "b", 0, ""),
    )
    there.update(remove("a", 1))
    listed = remote.list_records("prefs", 0)

    assert isinstance(pushed, Pushed)
    assert {(e.key, e.value, e.sync_count) for e in pushed.records} == {
        ("a", "1", 1),
        ("b", "", 1),
    }
    assert {e.key: e.modified_ms for e in pushed.records}["a"] == 1_700_000_000_123
    assert {(e.key, e.value, e.sync_count) for e in listed.records} == {
        ("a", None, 2),
        ("b", "", 1),
    }
    assert (listed.sync_count, listed.exists, listed.deleted) == (2, True, False)


def test_a_dataset_is_deleted_and_listed_as_gone(remote, there):
    """The event tells it; a second deletion is refused, by its code."""
    there.update(replace("k", "v"))

    assert remote.delete_dataset("prefs") == Deleted()
    listed = remote.perform("prefs", List("prefs", 1))
    assert (listed.exists, listed.deleted) == (False, True)
    again = remote.delete_dataset("prefs")
    assert isinstance(again, RefusedBecause)
    assert again.code == "ResourceNotFoundException"
    assert isinstance(again.error, Rejected)


def test_datasets_are_described(remote, there):
    """By name, with their sizes and times."""
    for name in ("a", "b", "c"):
        Dataset(there.client, there.pool, there.identity, name).put(k="v")

    found = remote.list_datasets()

    assert [each.name for each in found] == ["a", "b", "c"]
    assert [each.num_records for each in found] == [1, 1, 1]
    assert all(each.data_bytes == 2 and each.modified_ms > 0 for each in found)


def test_a_long_listing_is_of_one_moment(remote, there, proxy):
    """What is written between two pages is in none of them, and in the next listing."""
    there.churn(600)  # as many tombstones
    there.update(*(replace(f"{n}", "v") for n in range(600)))
    wrote: list[int] = []

    def between(asked: Asked, forward: Forward):
        reply = forward(asked)
        if "nextToken" in query(asked) and not wrote:
            wrote.append(1)
            there.update(replace("1", "changed", 3))
        return reply

    proxy.trick = between
    listed = remote.list_records("prefs", 0)

    assert wrote
    assert len(listed.records) == len({e.key for e in listed.records})
    later = remote.list_records("prefs", listed.sync_count)
    assert [(e.key, e.value) for e in later.records] == [("1", "changed")]
    assert {e.value for e in listed.records} == {"v", None}
    assert len({e.key for e in listed.records} | {"1"}) == 1200


def make_pages(*pages: dict[str, Any] | tuple[int, str]):
    """Answer listings with these pages, one after the other."""
    left = list(pages)
    asked_for: list[dict[str, list[str]]] = []

    def trick(asked: Asked, forward: Forward) -> Reply | None:
        asked_for.append(query(asked))
        found = left.pop(0)
        if isinstance(found, tuple):
            return error(*found)(asked, forward)
        whole = {
            "Records": [],
            "DatasetSyncCount": 7,
            "DatasetExists": True,
            "DatasetDeletedAfterRequestedSyncCount": False,
            "SyncSessionToken": "t",
            **found,
        }
        return Reply(200, {}, json.dumps(whole).encode())

    return trick, asked_for


def record(key: str, count: int) -> dict[str, Any]:
    return {"Key": key, "Value": key, "SyncCount": count}


def test_pages_that_do_not_fit_together_are_listed_anew(remote, proxy):
    """A server that does not pin its pages could lose a record between two of them."""
    trick, asked = make_pages(
        {"Records": [record("a", 1)], "NextToken": "n"},
        {"Records": [record("b", 8)], "DatasetSyncCount": 8},
        {"Records": [record("a", 1)], "NextToken": "m", "DatasetSyncCount": 8},
        {"Records": [record("c", 7), record("b", 8)], "DatasetSyncCount": 8},
    )
    proxy.trick = trick

    listed = remote.list_records("prefs", 0)

    assert [e.key for e in listed.records] == ["a", "c", "b"]
    assert listed.sync_count == 8
    assert [each.get("nextToken") for each in asked] == [None, ["n"], None, ["m"]]


def test_a_page_that_is_taken_back_is_listed_anew(remote, proxy):
    """Records that it would list have expired; the last listing is without pages."""
    first = {"Records": [record("a", 1)], "NextToken": "n"}
    refusal = (400, "InvalidParameterException")
    trick, asked = make_pages(first, refusal, first, refusal, {})
    proxy.trick = trick

    listed = remote.list_records("prefs", 3)

    assert isinstance(listed, Listed)
    assert listed.records == ()
    assert [each.get("maxResults") for each in asked] == [["1024"]] * 4 + [None]


def test_a_listing_that_never_ends_is_no_answer(remote, proxy):
    """Pages that go round in a circle: no unbounded work."""
    pages = [{"NextToken": token} for token in ("1", "2", "1")]
    trick, asked = make_pages(*pages)
    proxy.trick = trick

    event = remote.list_records("prefs", 0)

    assert isinstance(event, LostBecause)
    assert len(asked) == 3


def test_the_first_page_of_a_count_that_is_not_there_is_refused(remote, there):
    """So the session learns that the server was put back to an older day."""
    there.update(replace("k", "v"))

    event = remote.list_records("prefs", 99)

    assert isinstance(event, RefusedBecause)
    assert event.code == "InvalidParameterException"


def test_an_update_whose_answer_was_lost_is_answered_again(remote, there, proxy):
    """Sent again as it was, it is no conflict with oneself."""
    token = remote.list_records("prefs", 0).token
    sent = Sent(token, (RecordPatch("replace", "k", 0, "v"),))
    proxy.trick = Once(lose_answer)

    lost = remote.update_records("prefs", sent)
    again = remote.update_records("prefs", sent)

    assert isinstance(lost, LostBecause)
    assert isinstance(lost.error, Unanswered)
    assert [(e.key, e.value, e.sync_count) for e in again.records] == [("k", "v", 1)]
    assert there.list()["DatasetSyncCount"] == 1


def test_a_token_that_is_over_is_no_fault_of_the_records(remote):
    """It asks for a new listing, as a conflict does; nothing would be set aside."""
    token = remote.list_records("prefs", 0).token
    patches = (RecordPatch("replace", "k", 0, "v"),)
    assert isinstance(remote.update_records("prefs", Sent(token, patches)), Pushed)
    other = (RecordPatch("replace", "k", 1, "w"),)

    event = remote.update_records("prefs", Sent(token, other))

    assert isinstance(event, RefusedBecause)
    assert event.code == "ResourceConflictException"
    assert event.error.code == "InvalidParameterException"


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        (RecordPatch("replace", "k", 5, SECRET), "ResourceConflictException"),
        (RecordPatch("replace", "k" * 1025, 0, SECRET), "InvalidParameterException"),
        (
            RecordPatch("replace", "k", 0, SECRET * 40_000),
            "InvalidParameterException",
        ),
    ],
)
def test_a_refusal_has_its_code_and_no_value(remote, patch, code):
    """Whatever is wrong with a record."""
    event = pushing(remote, patch)

    assert isinstance(event, RefusedBecause)
    assert (event.code, event.error.operation) == (code, "UpdateRecords")
    assert event.error.request_id
    assert SECRET not in str(event.error) + repr(event) + repr(event.error)


def test_a_servers_text_with_a_value_in_it_is_left_out(remote, proxy):
    """AWS's texts on a constraint quote the value."""
    token = remote.list_records("prefs", 0).token
    body = json.dumps(
        {"__type": "ValidationException", "message": f"Value '{SECRET}' failed"}
    ).encode()
    proxy.trick = lambda asked, forward: Reply(400, {}, body)

    sent = Sent(token, (RecordPatch("replace", "k", 0, SECRET),))
    event = remote.update_records("prefs", sent)

    assert event.code == "ValidationException"
    assert SECRET not in str(event.error) + repr(event)


def test_why_nobody_answers_is_said_whatever_the_values_are(remote, proxy):
    """A value may well be in the address that was called."""
    token = remote.list_records("prefs", 0).token
    proxy.trick = refuse_all
    sent = Sent(token, (RecordPatch("replace", "k", 0, "1"),))

    lost = remote.update_records("prefs", sent)

    assert isinstance(lost.error, Unanswered)
    assert "left out" not in str(lost.error)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b'"text"',
        b"<html>Please log in</html>",
        b"\xff\xfe",
        b'{"Records": "none"}',
        b'{"Records": [1], "SyncSessionToken": "t", "DatasetSyncCount": 1}',
        b'{"Records": [{"Key": 1, "SyncCount": 1}], "SyncSessionToken": "t", '
        b'"DatasetSyncCount": 1}',
        b'{"Records": [{"Key": "k", "Value": 1, "SyncCount": 1}], '
        b'"SyncSessionToken": "t", "DatasetSyncCount": 1}',
        b'{"Records": [{"Key": "k", "SyncCount": -1}], "SyncSessionToken": "t", '
        b'"DatasetSyncCount": 1}',
        b'{"Records": [{"Key": "k", "SyncCount": "x"}], "SyncSessionToken": "t", '
        b'"DatasetSyncCount": 1}',
        b'{"Records": [{"Key": "k"}], "SyncSessionToken": "t", "DatasetSyncCount": 1}',
        b'{"Records": [], "SyncSessionToken": "", "DatasetSyncCount": 1}',
        b'{"Records": [], "SyncSessionToken": "t"}',
        b'{"Records": [], "SyncSessionToken": "t", "DatasetSyncCount": 1, '
        b'"MergedDatasetNames": [1]}',
    ],
)
def test_what_is_no_listing_is_no_answer(remote, proxy, body):
    """A login page that says 200 must not look like an empty dataset."""
    proxy.trick = lambda asked, forward: Reply(200, {}, body)

    event = remote.list_records("prefs", 0)

    assert isinstance(event, LostBecause)
    assert isinstance(event.error, Unanswered)


@pytest.mark.parametrize(
    "trick", [page(200), page(302), page(403), page(404), page(502), refuse_all]
)
def test_what_others_answer_is_no_answer(remote, proxy, trick):
    """Neither of a push nor of a deletion: they may or may not have been made."""
    sent = Sent("t", (RecordPatch("replace", "k", 0, "v"),))
    proxy.trick = trick

    assert isinstance(remote.update_records("prefs", sent), Lost)
    assert isinstance(remote.delete_dataset("prefs"), Lost)
    with pytest.raises(Unanswered):
        remote.list_datasets()


def test_an_answer_that_is_cut_short_is_no_answer(remote, there, proxy):
    """Half of a listing is none."""
    there.update(replace("k", "v"))

    def cut(asked: Asked, forward: Forward) -> Reply:
        reply = forward(asked)
        assert reply is not None
        return reply._replace(body=reply.body[: len(reply.body) // 2])

    proxy.trick = cut

    assert isinstance(remote.list_records("prefs", 0), Lost)


@pytest.mark.parametrize(
    ("trick", "kind"),
    [
        (error(429, "TooManyRequestsException", retry_after="0"), Throttled),
        (error(503, "ServiceUnavailableException", retry_after="0"), ServerTrouble),
        (error(500, "InternalErrorException"), ServerTrouble),
    ],
)
def test_troubles_that_pass_are_tried_again_for_a_while(remote, proxy, trick, kind):
    """Two of them are not noticed; of one that stays the code is told."""
    proxy.trick = Once(trick, times=2)
    assert isinstance(remote.list_records("prefs", 0), Listed)

    proxy.trick = trick
    proxy.asked.clear()
    event = remote.list_records("prefs", 0)

    assert isinstance(event, RefusedBecause)
    assert type(event.error) is kind
    assert len(proxy.asked) == 3


def test_a_pause_that_is_long_is_told_and_not_waited_for(remote, proxy):
    """Whoever drives comes back when the server says."""
    proxy.trick = error(429, "TooManyRequestsException", retry_after="120")

    event = remote.list_records("prefs", 0)

    assert (event.code, event.error.retry_after_s) == ("TooManyRequestsException", 120)
    assert len(proxy.asked) == 1


def test_a_clock_that_is_wrong_is_seen_and_set_right(server, proxy, pool, there, kept):
    """By the date of the refusal; then calls are good at once."""
    import time

    slow = Calls(proxy.url, "us-east-1", clock=lambda: time.time() - 86_400)
    caller = fixed(there.identity, server.access_key_id, server.secret_access_key)
    remote = Remote(slow, pool, caller.open(slow, pool, kept), there.identity)

    assert isinstance(remote.list_records("prefs", 0), Listed)
    assert isinstance(remote.list_records("prefs", 0), Listed)
    assert len(proxy.asked) == 3
    assert slow.skew_s == pytest.approx(86_400, abs=30)


def test_a_key_that_is_wrong_is_told_as_such(calls, proxy, pool, kept):
    """At once, and not as a wrong clock."""
    identity = new_identity()
    caller = fixed(identity, "AKIDNOBODY", "secret").open(calls, pool, kept)

    event = Remote(calls, pool, caller, identity).list_records("prefs", 0)

    assert isinstance(event, RefusedBecause)
    assert isinstance(event.error, NotAllowed)


def test_a_session_ends_when_the_identity_changes(
    calls, proxy, server, pool, there, kept
):
    """A token of one identity must not push the records of another."""
    caller = fixed(new_identity(), server.access_key_id, server.secret_access_key).open(
        calls, pool, kept
    )

    event = Remote(calls, pool, caller, there.identity).list_records("prefs", 0)

    assert isinstance(event, RefusedBecause)
    assert event.code == IDENTITY_CHANGED
    assert proxy.asked == []


def test_nobody_there_is_told_at_once(server, pool, there, kept):
    """Offline is usual: no attempt is made again."""
    calls = Calls("http://127.0.0.1:1", "us-east-1")
    caller = fixed(there.identity, "AKID", "secret").open(calls, pool, kept)

    event = Remote(calls, pool, caller, there.identity).list_records("prefs", 0)

    assert isinstance(event, LostBecause)
    assert isinstance(event.error, CallError)
    assert "Could not connect" in str(event.error)


def test_it_asks_for_the_next_session_as_the_server_has_it():
    """The word is written in two rooms that do not know each other."""
    assert NEXT_SESSION == contract.NEXT_SESSION
