"""What a hook is told of an update, and what comes of its answer."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.contract.cognito_sync import RecordPatch
from millpond.core import sync_trigger
from millpond.core.sync import (
    Changes,
    DatasetId,
    DatasetState,
    StoredDataset,
    StoredRecord,
    SyncLimits,
)
from millpond.core.sync_trigger import Verdict
from millpond.errors import (
    InvalidLambdaFunctionOutputException,
    InvalidParameterException,
    LimitExceededException,
    ResourceConflictException,
)

NOW_MS = 1_750_000_000_000
PREFS = DatasetId("eu-west-1:pool", "eu-west-1:alice", "prefs")
URL = "https://hooks.example/sync"
LIMITS = SyncLimits()

Hook = Callable[[dict[str, Any]], Any]


def replace(key: str, value: str, *, at: int = 0) -> RecordPatch:
    """Patch that sets a record."""
    return RecordPatch(
        op="replace", key=key, value=value, sync_count=at, device_last_modified_date=2.5
    )


def remove(key: str, *, at: int = 0) -> RecordPatch:
    """Patch that removes a record."""
    return RecordPatch(op="remove", key=key, value="ignored", sync_count=at)


def holding(**values: str | None) -> StoredDataset:
    """Store a dataset at 7 whose records are at 5; None is a tombstone."""
    records = {
        key: StoredRecord(key, value, 5, 1, "before", None)
        for key, value in values.items()
    }
    state = DatasetState(
        sync_count=7,
        exists=True,
        creation_date_ms=1,
        last_modified_date_ms=2,
        last_modified_by="before",
        num_records=sum(each.value is not None for each in records.values()),
        data_storage=sum(each.size_bytes for each in records.values()),
    )
    return StoredDataset(state, records, 0, None, False, URL)


NOTHING = StoredDataset(None, {}, 0, None, False, URL)


def told(before: StoredDataset, *patches: RecordPatch) -> dict[str, Any]:
    """Give the event of an update, as its hook reads it."""
    event = sync_trigger.make_event(PREFS, before.records, patches)
    found: dict[str, Any] = json.loads(sync_trigger.encode_event(event))
    return found


def update(
    before: StoredDataset,
    *patches: RecordPatch,
    hook: Hook,
    limits: SyncLimits = LIMITS,
) -> Changes:
    """Update a dataset through a hook, which gets the event and gives its answer."""
    event = sync_trigger.make_event(PREFS, before.records, patches)
    answer = hook(json.loads(sync_trigger.encode_event(event)))
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    answered = sync_trigger.read_answer(body, event, limits=limits)
    amended = sync_trigger.amend(patches, before.records, answered)
    return sync_trigger.apply(
        before,
        patches,
        Verdict(URL, before.dataset, amended),
        dataset_name="prefs",
        now_ms=NOW_MS,
        modified_by="device",
        limits=limits,
    )


def written(changes: Changes) -> dict[str, str | None]:
    """Give the values that are written, by key."""
    return {record.key: record.value for record in changes.records}


def amended(changes: Changes) -> dict[str, str | None]:
    """Give the values that are answered other than patched, by key."""
    assert changes.outcome is not None
    return {record.key: record.value for record in changes.outcome.amended}


def keep(event: dict[str, Any]) -> dict[str, Any]:
    """Answer the event as it is: a hook that agrees with everything."""
    return event


def setting(**entries: Any) -> Hook:
    """Make a hook that sets entries of `datasetRecords`; `...` leaves one out."""

    def hook(event: dict[str, Any]) -> dict[str, Any]:
        event["datasetRecords"].update(entries)
        records = event["datasetRecords"]
        return {
            **event,
            "datasetRecords": {k: v for k, v in records.items() if v is not ...},
        }

    return hook


def to(value: str | None, op: str = "replace") -> dict[str, Any]:
    """Write the entry of a record that is to get a value."""
    return {"newValue": value, "op": op}


# --- The event ------------------------------------------------------------------------


def test_the_event_has_the_fields_of_the_documentation() -> None:
    """A hook written for Cognito Events finds what it knows."""
    assert told(holding(), replace("k", "v")) == {
        "version": 2,
        "eventType": "SyncTrigger",
        "region": "eu-west-1",
        "identityPoolId": "eu-west-1:pool",
        "identityId": "eu-west-1:alice",
        "datasetName": "prefs",
        "datasetRecords": {"k": {"newValue": "v", "op": "replace"}},
    }


def test_the_event_has_every_record_of_the_dataset() -> None:
    """Records that are not patched come with their value, old and new."""
    before = holding(same="1", changed="2", gone="3", dead=None)

    event = told(
        before, replace("changed", "4", at=5), remove("gone", at=5), replace("new", "")
    )

    assert event["datasetRecords"] == {
        "same": {"oldValue": "1", "newValue": "1", "op": "replace"},
        "changed": {"oldValue": "2", "newValue": "4", "op": "replace"},
        "gone": {"oldValue": "3", "op": "remove"},
        "new": {"newValue": "", "op": "replace"},
    }


def test_a_tombstone_has_no_old_value() -> None:
    """A key that was removed and comes back is a new record to the hook."""
    event = told(holding(k=None), replace("k", "v", at=5))

    assert event["datasetRecords"] == {"k": {"newValue": "v", "op": "replace"}}


# --- What an answer does --------------------------------------------------------------


def test_an_answer_as_sent_changes_nothing_about_the_update() -> None:
    """With a hook that agrees, an update is what it is without one."""
    changes = update(
        holding(a="1", b="2", c="3"),
        replace("a", "9", at=5),
        remove("b", at=5),
        hook=keep,
    )

    assert list(changes.records) == [
        StoredRecord("a", "9", 8, NOW_MS, "device", 2500),
        StoredRecord("b", None, 8, NOW_MS, "device", None),
    ]
    assert amended(changes) == {}


def test_the_hook_changes_a_patched_value() -> None:
    """Its value is written and answered, with the device's date and the new count."""
    changes = update(holding(), replace("k", "v"), hook=setting(k=to("better")))

    expected = StoredRecord("k", "better", 8, NOW_MS, "device", 2500)
    assert list(changes.records) == [expected]
    assert changes.outcome is not None
    assert changes.outcome.amended == (expected,)


@pytest.mark.parametrize(
    "entry",
    [to(None), to(None, "remove"), to("v", "remove"), {"op": "remove"}],
)
def test_the_hook_removes_a_record(entry: dict[str, Any]) -> None:
    """By the op `remove` or by a null value, patched or not."""
    changes = update(
        holding(k="1", other="2"),
        replace("k", "v", at=5),
        hook=setting(k=entry, other=entry),
    )

    assert written(changes) == {"k": None, "other": None}
    assert amended(changes) == {"k": None, "other": None}
    assert changes.dataset is not None
    assert (changes.dataset.num_records, changes.dataset.data_storage) == (0, 0)


def test_the_hook_keeps_what_a_patch_removes() -> None:
    """A removal can be turned into a value."""
    changes = update(holding(k="1"), remove("k", at=5), hook=setting(k=to("kept")))

    assert written(changes) == amended(changes) == {"k": "kept"}


def test_the_hook_adds_and_changes_further_records() -> None:
    """All that it writes has the one new count of the update."""
    changes = update(
        holding(score="1"),
        replace("k", "v"),
        hook=setting(score=to("2"), bonus=to("3")),
    )

    assert written(changes) == {"k": "v", "score": "2", "bonus": "3"}
    assert amended(changes) == {"score": "2", "bonus": "3"}
    assert {record.sync_count for record in changes.records} == {8}
    assert changes.dataset is not None
    assert (changes.dataset.sync_count, changes.dataset.num_records) == (8, 3)


def test_records_that_the_hook_leaves_as_they_are_keep_their_counts() -> None:
    """An answer names all records; those with the stored value are not written."""
    changes = update(holding(a="1", b="2"), replace("k", "v"), hook=keep)

    assert written(changes) == {"k": "v"}


def test_the_hook_may_leave_out_what_it_does_not_change() -> None:
    """A record that is not patched and not answered stays."""
    changes = update(holding(a="1"), replace("k", "v"), hook=setting(a=...))

    assert written(changes) == {"k": "v"}
    assert amended(changes) == {}


def test_the_hook_refuses_one_patch() -> None:
    """A patch left out is not applied, and the stored record is echoed as it is."""
    before = holding(k="1", other="2")

    changes = update(
        before,
        replace("k", "v", at=5),
        replace("other", "w", at=5),
        hook=setting(k=...),
    )

    assert written(changes) == {"other": "w"}
    assert changes.outcome is not None
    assert changes.outcome.amended == (before.records["k"],)


def test_the_hook_refuses_a_new_record() -> None:
    """What was never stored is echoed as removed, at count 0."""
    changes = update(
        holding(), replace("k", "v"), replace("l", "w"), hook=setting(k=...)
    )

    assert written(changes) == {"l": "w"}
    assert changes.outcome is not None
    assert changes.outcome.amended == (
        StoredRecord("k", None, 0, NOW_MS, "device", None),
    )


def test_the_hook_refuses_everything() -> None:
    """Nothing is written then: no new count, no dataset."""
    for before in (holding(k="1"), NOTHING):
        changes = update(
            before,
            replace("k", "v", at=5 if before.records else 0),
            hook=setting(k=...),
        )

        assert changes.dataset is None
        assert list(changes.records) == []
        assert list(amended(changes)) == ["k"]


def test_the_first_update_of_a_dataset_goes_through_the_hook() -> None:
    """A dataset that does not exist yet begins with what the hook answers."""
    changes = update(NOTHING, replace("k", "v"), hook=setting(k=to("w"), l=to("x")))

    assert written(changes) == {"k": "w", "l": "x"}
    assert changes.dataset is not None
    assert changes.dataset.sync_count == 1


def test_removing_what_there_is_not_writes_no_tombstone() -> None:
    """A hook cannot fill a dataset with tombstones of keys that nobody knew."""
    changes = update(
        holding(dead=None),
        replace("k", "v"),
        hook=setting(dead=to(None), never=to(None, "remove")),
    )

    assert written(changes) == {"k": "v"}


def test_old_values_in_an_answer_are_not_looked_at() -> None:
    """They are the hook's input; an answer may have others or none."""
    hook = setting(k={"oldValue": "made up", "newValue": "w", "op": "replace"})

    assert written(update(holding(k="1"), replace("k", "v", at=5), hook=hook)) == {
        "k": "w"
    }


def test_a_patch_at_a_wrong_count_is_a_conflict_whatever_the_hook_says() -> None:
    """The hook does not settle conflicts between devices."""
    with pytest.raises(ResourceConflictException):
        update(holding(k="1"), replace("k", "v", at=4), hook=setting(k=to("w")))


# --- Bad answers ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"ok"',
        b"{",
        b"\xff",
        b"{}",
        b"[" * 100_000,
        b'{"datasetRecords": {}}',
    ],
)
def test_what_is_no_event_is_refused(body: bytes) -> None:
    """An answer has to be JSON, and of the shape of the event."""
    with pytest.raises(InvalidLambdaFunctionOutputException):
        update(holding(), replace("k", "v"), hook=lambda event: body)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 3),
        ("version", "2"),
        ("eventType", "Other"),
        ("region", "us-east-1"),
        ("identityPoolId", "eu-west-1:other"),
        ("identityId", "eu-west-1:bob"),
        ("datasetName", "other"),
        ("datasetName", None),
    ],
)
def test_only_the_records_may_change(field: str, value: object) -> None:
    """Another value of any other field is refused, and the message names it."""
    with pytest.raises(InvalidLambdaFunctionOutputException, match=field):
        update(holding(), replace("k", "v"), hook=lambda event: {**event, field: value})


@pytest.mark.parametrize("field", list(told(NOTHING)))
def test_no_field_may_be_missing(field: str) -> None:
    """An answer has all fields of the event."""

    def hook(event: dict[str, Any]) -> dict[str, Any]:
        del event[field]
        return event

    with pytest.raises(InvalidLambdaFunctionOutputException, match=field):
        update(holding(), replace("k", "v"), hook=hook)


def test_no_field_may_be_added() -> None:
    """An answer has no other fields than the event."""
    with pytest.raises(InvalidLambdaFunctionOutputException, match="extra"):
        update(holding(), replace("k", "v"), hook=lambda event: {**event, "extra": 1})


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "v",
        [],
        {},
        {"newValue": "v"},
        to("v", "add"),
        {"newValue": 1, "op": "replace"},
        {"newValue": {"a": 1}, "op": "replace"},
        {"newValue": "v", "op": "replace", "syncCount": 9},
        {"newValue": "v", "op": "replace", "oldValue": 1},
        to("a\0b"),
    ],
)
def test_a_record_has_to_be_one(entry: object) -> None:
    """Wrong types, unknown ops and members, and NUL are refused."""
    with pytest.raises(InvalidLambdaFunctionOutputException):
        update(holding(), replace("k", "v"), hook=setting(k=entry))


@pytest.mark.parametrize("key", ["", " ", "\t\n", "k\0", "k" * 1025])
def test_a_new_key_has_to_be_one(key: str) -> None:
    """The rules for keys hold for those of a hook."""
    with pytest.raises(InvalidLambdaFunctionOutputException):
        update(holding(), replace("k", "v"), hook=setting(**{key: to("v")}))


def test_the_longest_key_is_one() -> None:
    """1,024 characters are a key."""
    key = "\u00e9" * 1024

    assert key in written(
        update(holding(), replace("k", "v"), hook=setting(**{key: to("v")}))
    )


# --- Limits ---------------------------------------------------------------------------


def adding(count: int) -> Hook:
    """Make a hook that adds records."""
    return setting(**{f"n{number}": to("v") for number in range(count)})


def test_a_hook_fills_a_dataset_and_no_more() -> None:
    """The limit of records is that of the dataset, whoever writes them."""
    full = update(holding(), replace("k", "v"), hook=adding(1023))

    assert full.dataset is not None
    assert full.dataset.num_records == 1024
    with pytest.raises(LimitExceededException, match="1025"):
        update(holding(), replace("k", "v"), hook=adding(1024))


def test_an_answer_far_beyond_a_dataset_is_refused_at_sight() -> None:
    """2,000 new records are too many even before they are looked at."""
    with pytest.raises(LimitExceededException, match="2001"):
        update(holding(), replace("k", "v"), hook=adding(2000))


def test_a_value_beyond_the_limit_is_refused() -> None:
    """The limit of a value is that of the settings."""
    tight = SyncLimits(record_value_chars=10)

    assert update(
        holding(), replace("k", "v"), hook=setting(k=to("x" * 10)), limits=tight
    )
    with pytest.raises(LimitExceededException, match="11"):
        update(holding(), replace("k", "v"), hook=setting(k=to("x" * 11)), limits=tight)


def test_the_size_of_the_dataset_is_counted_with_what_the_hook_wrote() -> None:
    """A hook cannot make a dataset larger than patches can."""
    tight = SyncLimits(dataset_bytes=10)

    assert update(
        holding(), replace("k", "v"), hook=setting(k=to("x" * 9)), limits=tight
    )
    with pytest.raises(LimitExceededException, match="11 bytes"):
        update(holding(), replace("k", "v"), hook=setting(k=to("x" * 10)), limits=tight)


# --- Targets --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "arn:aws:lambda:us-east-1:123456789012:function:check",
        "arn:aws:lambda:us-east-1:123456789012:function:check:PROD",
        "arn:aws:lambda:us-east-1:123456789012:function:check:$LATEST",
        "arn:aws-cn:lambda:cn-north-1:123456789012:function:check_it-2",
        "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:check",
        "http://localhost:8080/",
        "https://hooks.example",
        "https://hooks.example:8443/sync?key=1&other=%20",
        "https://[2001:db8::1]:8443/sync",
        "https://hooks.example/" + "x" * 2026,
    ],
)
def test_functions_and_urls_are_targets(target: str) -> None:
    """A function's ARN, with or without a version, and any http or https URL."""
    sync_trigger.check_target(target)


@pytest.mark.parametrize(
    "target",
    [
        "check",
        "arn:aws:lambda:us-east-1:123456789012:layer:check",
        "arn:aws:lambda::123456789012:function:check",
        "arn:aws:lambda:evil.example/:123456789012:function:check",
        "arn:aws:lambda:us-east-1:123456789012:function:",
        "arn:aws:lambda:us-east-1:123456789012:function:check\n",
        "arn:aws:sns:us-east-1:123456789012:topic",
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "//hooks.example/",
        "https://",
        "https:///sync",
        "https://user:password@hooks.example/",
        "https://hooks.example:0/",
        "https://hooks.example:port/",
        "https://hooks.example:65536/",
        "https://[::1/",
        "https://hooks.example/#part",
        "https://hooks.example/a b",
        "https://hooks.example\\@other.example/",
        "https://h\u00f6oks.example/",
        "https://hooks.example/\n",
        " https://hooks.example/",
        "https://hooks.example/" + "x" * 2027,
    ],
)
def test_nothing_else_is_a_target(target: str) -> None:
    """Other schemes, users in URLs, and what is no URL at all are refused."""
    with pytest.raises(InvalidParameterException):
        sync_trigger.check_target(target)


# --- Garbage --------------------------------------------------------------------------

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)
_entries = st.fixed_dictionaries(
    {"op": st.sampled_from(["replace", "remove"])},
    optional={
        "newValue": st.none() | st.text(max_size=5),
        "oldValue": st.none() | st.text(max_size=5),
    },
)
_keys = st.sampled_from(["a", "b", "dead", "new"]) | st.text(max_size=3)


@given(st.binary() | _json.map(lambda each: json.dumps(each).encode()))
def test_garbage_is_refused(body: bytes) -> None:
    """Whatever bytes come, the caller gets an error of the API."""
    with pytest.raises(InvalidLambdaFunctionOutputException):
        update(holding(), replace("k", "v"), hook=lambda event: body)


@given(st.dictionaries(_keys, _entries | _json, max_size=5))
def test_any_records_give_a_sound_update_or_an_error(records: dict[str, Any]) -> None:
    """What is written is counted right, has one count, and answers every patch."""
    before = holding(a="1", b="22", dead=None)
    patches = [replace("a", "x", at=5), replace("new", "yy")]

    try:
        changes = update(
            before, *patches, hook=lambda event: {**event, "datasetRecords": records}
        )
    except InvalidLambdaFunctionOutputException:
        return

    after = copy.copy(before.records) | {each.key: each for each in changes.records}
    if changes.dataset is not None:
        live = [each for each in after.values() if each.value is not None]
        assert changes.dataset.num_records == len(live)
        assert changes.dataset.data_storage == sum(each.size_bytes for each in live)
    assert {each.sync_count for each in changes.records} <= {8}
    assert changes.outcome is not None
    answered = {each.key for each in changes.outcome.amended} | written(changes).keys()
    assert {"a", "new"} <= answered
    for key, entry in records.items():
        wanted = entry.get("newValue") if entry["op"] == "replace" else None
        assert (after[key].value if key in after else None) == wanted


@given(st.text(max_size=20))
def test_an_event_survives_json(text: str) -> None:
    """Every text that can be stored comes back from a hook that answers the event."""
    if "\0" in text:
        return
    before = holding(**{"k": text, text or "k": "v"})
    event = sync_trigger.make_event(PREFS, before.records, [replace("new", text)])

    answer = sync_trigger.encode_event(event)

    assert msgspec.json.decode(answer) == json.loads(answer)
    assert event.dataset_records == sync_trigger.read_answer(
        answer, event, limits=LIMITS
    )
