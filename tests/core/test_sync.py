"""What an update does to a dataset: counts, conflicts, limits, deletion, sessions."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import msgspec
import pytest

from millpond.contract.cognito_sync import RecordPatch
from millpond.core import sync
from millpond.core.sync import (
    Changes,
    DatasetState,
    Outcome,
    SpentSession,
    StoredDataset,
    StoredRecord,
    SyncLimits,
)
from millpond.errors import (
    InvalidParameterException,
    LimitExceededException,
    ResourceConflictException,
    ResourceNotFoundException,
)

NOW_MS = 1_750_000_000_000
LIMITS = SyncLimits()


def replace(
    key: str, value: str | None = "v", *, at: int = 0, date: float | None = None
) -> RecordPatch:
    return RecordPatch(
        op="replace",
        key=key,
        value=value,
        sync_count=at,
        device_last_modified_date=date,
    )


def remove(key: str, *, at: int = 0, value: str | None = None) -> RecordPatch:
    return RecordPatch(op="remove", key=key, value=value, sync_count=at)


def record(key: str, value: str | None, count: int) -> StoredRecord:
    return StoredRecord(key, value, count, 1, "before", None)


def dataset(
    sync_count: int = 5,
    *,
    num_records: int = 0,
    data_storage: int = 0,
    exists: bool = True,
    horizon: int = 0,
) -> DatasetState:
    return DatasetState(
        sync_count=sync_count,
        exists=exists,
        horizon=horizon,
        creation_date_ms=1,
        last_modified_date_ms=2,
        last_modified_by="before",
        num_records=num_records,
        data_storage=data_storage,
    )


def stored(
    state: DatasetState | None = None, *records: StoredRecord, live_datasets: int = 0
) -> StoredDataset:
    by_key = {each.key: each for each in records}
    return StoredDataset(state, by_key, live_datasets, None, False)


def apply(
    before: StoredDataset,
    *patches: RecordPatch,
    limits: SyncLimits = LIMITS,
    known: int = 0,
) -> Changes:
    sync.check_patches(patches, limits=limits)
    return sync.apply_patches(
        before,
        patches,
        dataset_name="prefs",
        now_ms=NOW_MS,
        modified_by="device",
        limits=limits,
        known=known,
    )


def state_of(changes: Changes) -> DatasetState:
    assert changes.dataset is not None
    return changes.dataset


# --- Counts ---------------------------------------------------------------------------


def test_the_first_update_creates_the_dataset_at_one() -> None:
    """A new dataset is at 1 after its first update, and so are its records."""
    changes = apply(stored(), replace("a", "1"), replace("b", "", date=1.5))

    assert list(changes.records) == [
        StoredRecord("a", "1", 1, NOW_MS, "device", None),
        StoredRecord("b", "", 1, NOW_MS, "device", 1500),
    ]
    assert state_of(changes) == DatasetState(
        sync_count=1,
        exists=True,
        horizon=0,
        creation_date_ms=NOW_MS,
        last_modified_date_ms=NOW_MS,
        last_modified_by="device",
        num_records=2,
        data_storage=3,
    )
    assert changes.outcome == Outcome(1, NOW_MS, "device")


@pytest.mark.parametrize("patches", [1, 2, 100])
def test_an_update_takes_one_count_however_many_patches(patches: int) -> None:
    """Every record of a call gets the same count, one above the dataset's."""
    changes = apply(stored(dataset(41)), *(replace(f"k{n}") for n in range(patches)))

    assert state_of(changes).sync_count == 42
    assert {each.sync_count for each in changes.records} == {42}


def test_the_same_value_again_takes_a_count() -> None:
    """Clients wait for the count to move, also when nothing else changes."""
    before = stored(
        dataset(5, num_records=1, data_storage=2), record("k", "v", at := 5)
    )
    changes = apply(before, replace("k", "v", at=at))

    assert state_of(changes).sync_count == 6
    assert state_of(changes).num_records == 1
    assert state_of(changes).data_storage == 2


def test_creation_and_horizon_outlive_an_update() -> None:
    """An update changes what it changes and keeps the rest of the row."""
    state = state_of(apply(stored(dataset(9, horizon=4)), replace("k")))

    assert (state.creation_date_ms, state.horizon) == (1, 4)


def test_rules_may_run_twice() -> None:
    """Deciding changes nothing of what it was given, and decides the same again."""
    before = stored(dataset(5), record("k", None, 5))

    assert apply(before, replace("k")) == apply(before, replace("k"))
    assert before == stored(dataset(5), record("k", None, 5))


# --- Conflicts ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "sent"),
    [(None, 1), (None, -1), ("v", 0), ("v", 2), ("v", 4), (..., 2), (..., 4)],
)
def test_another_count_is_a_conflict(old: object, sent: int) -> None:
    """A patch must name the record's count; 0 for none. The text is the API's."""
    records: Sequence[StoredRecord] = ()
    if old is not None:
        records = [record("user", "v" if old == "v" else None, 3)]
    current = 3 if records else 0
    with pytest.raises(ResourceConflictException) as caught:
        apply(stored(dataset(5), *records), replace("user", at=sent))

    wanted = f"Current SyncCount for: user is: {current} not: {sent}"
    assert caught.value.message == wanted
    assert caught.value.http_status == 409


@pytest.mark.parametrize("sent", [0, 3])
@pytest.mark.parametrize("patch", [replace, remove])
def test_a_tombstone_takes_its_count_and_zero(sent: int, patch: object) -> None:
    """A device that never saw the removal may add the key anew."""
    before = stored(dataset(5), record("k", None, 3))
    changes = apply(before, patch("k", at=sent))  # type: ignore[operator]

    assert changes.records[0].sync_count == 6


def test_one_conflict_refuses_the_whole_update() -> None:
    """Nothing of a call is applied when one patch of it conflicts."""
    before = stored(dataset(5), record("a", "1", 5), record("b", "1", 4))
    with pytest.raises(ResourceConflictException, match="for: b is: 4 not: 5"):
        apply(before, replace("a", at=5), replace("b", at=5))


def test_other_records_may_have_moved_on() -> None:
    """Only the patched keys are compared: a stale dataset count is no conflict."""
    before = stored(dataset(1000), record("a", "1", 3))

    assert state_of(apply(before, replace("a", at=3))).sync_count == 1001


# --- Removing -------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, "", "anything"])
def test_remove_ignores_the_value(value: str | None) -> None:
    """The JavaScript client sends a Value with a remove; the record has none."""
    before = stored(dataset(5, num_records=1, data_storage=4), record("key", "1", 2))
    changes = apply(before, remove("key", at=2, value=value))

    assert changes.records[0].value is None
    assert (state_of(changes).num_records, state_of(changes).data_storage) == (0, 0)


def test_removing_what_never_was_leaves_nothing() -> None:
    """It takes a count like any other patch, and the dataset exists; no tombstone."""
    changes = apply(stored(), remove("k"))

    assert list(changes.records) == []
    assert changes.outcome == Outcome(1, NOW_MS, "device")
    assert state_of(changes).exists
    assert state_of(changes).num_records == 0


@pytest.mark.parametrize("patch", [replace, remove])
@pytest.mark.parametrize(
    ("sent", "right"), [(0, True), (1, True), (4, True), (5, False)]
)
def test_counts_that_left_no_record_may_be_named(
    sent: int, right: bool, patch: object
) -> None:
    """A client names the count that it was answered; a later one is nobody's."""
    before = stored(msgspec.structs.replace(dataset(9, horizon=2), forgotten=4))
    sending = patch("k", at=sent)  # type: ignore[operator]
    changing = functools.partial(apply, before, sending, known=9)

    if right:
        assert state_of(changing()).sync_count == 10
    else:
        with pytest.raises(ResourceConflictException, match="k is: 0 not: 5"):
            changing()


def test_who_has_not_seen_what_expired_may_name_none() -> None:
    """Others may have removed the key since its listing, and nothing tells of it."""
    before = stored(msgspec.structs.replace(dataset(9, horizon=8), forgotten=8))
    with pytest.raises(ResourceConflictException, match="k is: 0 not: 3"):
        apply(before, replace("k", at=3), known=7)

    assert state_of(apply(before, replace("k", at=3), known=8)).sync_count == 10
    assert state_of(apply(before, replace("k"), known=7)).sync_count == 10


def test_the_count_of_a_deleted_dataset_may_be_named() -> None:
    """A listing shows it, and tests of the iOS client create records with it."""
    before = stored(dataset(6, exists=False, horizon=6))

    assert state_of(apply(before, replace("k", at=6))).sync_count == 7
    with pytest.raises(ResourceConflictException, match="k is: 0 not: 5"):
        apply(before, replace("k", at=5), known=6)


def test_what_is_forgotten_raises_the_horizon() -> None:
    """Never lowers it; and the counts up to it may be named."""
    state = sync.forget(dataset(9, horizon=3), 7)

    assert (state.horizon, state.forgotten, state.sync_count) == (7, 7, 9)
    assert sync.forget(state, 5) == state


def test_a_new_incarnation_has_forgotten_nothing() -> None:
    """No count of a dead incarnation may be named."""
    state = msgspec.structs.replace(dataset(9), forgotten=9)
    left = sync.gone(state, now_ms=NOW_MS)

    assert left.forgotten == 0
    assert state_of(apply(stored(left), replace("k"))).forgotten == 0


@pytest.mark.parametrize(
    ("there", "patches", "too_many"),
    [
        (3, [remove("a", at=1)], True),
        (2, [remove("a", at=1)], False),
        (3, [remove("gone", at=2), remove("never")], False),
        (3, [remove("a", at=1), replace("gone", at=2, value="1")], False),
    ],
)
def test_tombstones_are_limited(
    there: int, patches: list[RecordPatch], too_many: bool
) -> None:
    """The store is told when there will be too many; it need not count otherwise."""
    before = stored(dataset(5), record("a", "1", 1), record("gone", None, 2))
    before.num_tombstones = there
    few = sync.SyncLimits(tombstones_per_dataset=3)

    assert apply(before, *patches, limits=few).too_many_tombstones is too_many
    before.num_tombstones = None
    assert not apply(before, *patches, limits=few).too_many_tombstones


def test_patches_are_limited() -> None:
    """Their number is refused before any of them is looked at."""
    patches = [replace(f"k{number}") for number in range(4)]
    sync.check_patches(patches, limits=sync.SyncLimits(record_patches=4))

    with pytest.raises(
        LimitExceededException, match="RecordPatches has 4 patches; the limit is 3"
    ):
        sync.check_patches(patches, limits=sync.SyncLimits(record_patches=3))


# --- What is wrong whatever is stored -------------------------------------------------


@pytest.mark.parametrize(
    ("patches", "text"),
    [
        ([replace("k"), remove("k")], "Record key 'k' appears more than once"),
        ([replace("k"), replace("k")], "Record key 'k' appears more than once"),
        ([replace(" ")], "must not be blank"),
        ([remove("\t\n")], "must not be blank"),
        ([replace("")], "must not be blank"),
        ([replace("k" * 1025)], "has 1025 characters; the limit is 1024"),
        ([replace("k", None)], "Record 'k' is to be replaced but has no Value"),
        ([replace("k", "x" * 1_048_576)], "1048576 characters; the limit is 1048575"),
    ],
)
def test_wrong_patches_are_refused(patches: list[RecordPatch], text: str) -> None:
    """Doubled, blank and overlong keys, missing and overlong values are told."""
    with pytest.raises(InvalidParameterException) as caught:
        sync.check_patches(patches, limits=LIMITS)

    assert text in caught.value.message


def test_the_largest_patches_are_taken() -> None:
    """A key of 1,024 and a value of 1,048,575 characters are within the limits."""
    sync.check_patches(
        [replace("\u00e9" * 1024, ""), replace("k", "\u00e9" * 1_048_575)],
        limits=LIMITS,
    )


# --- Limits ---------------------------------------------------------------------------


def test_a_dataset_holds_as_many_records_as_the_limit() -> None:
    """1,024 live records are taken, one more is refused and told with both numbers."""
    full = stored(dataset(5, num_records=1023, data_storage=9))
    assert state_of(apply(full, replace("a"))).num_records == 1024
    with pytest.raises(LimitExceededException) as caught:
        apply(full, replace("a"), replace("b"))

    wanted = "Dataset 'prefs' would hold 1025 records; the limit is 1024."
    assert caught.value.message == wanted
    assert caught.value.http_status == 400


def test_tombstones_do_not_count() -> None:
    """Removing one record makes room for another, in the same call too."""
    full = stored(dataset(5, num_records=1024, data_storage=9), record("a", "v", 5))

    assert state_of(apply(full, remove("a", at=5), replace("b"))).num_records == 1024
    assert state_of(apply(full, replace("b"), remove("a", at=5))).num_records == 1024


def test_a_dataset_holds_as_many_bytes_as_the_limit() -> None:
    """Keys and values are counted in UTF-8; the byte too many is refused."""
    limits = SyncLimits(dataset_bytes=10)
    assert state_of(apply(stored(), replace("\u00e9", "\u2603" * 2 + "aa"))) == (
        state_of(apply(stored(), replace("ab", "12345678"), limits=limits))
    )
    with pytest.raises(LimitExceededException) as caught:
        apply(stored(), replace("\u00e9", "\U0001f9c0" * 2 + "a"), limits=limits)

    wanted = "Dataset 'prefs' would hold 11 bytes; the limit is 10."
    assert caught.value.message == wanted


def test_the_default_size_is_a_mebibyte() -> None:
    """1,048,576 bytes are taken, whole."""
    size = 1_048_576
    assert (
        state_of(apply(stored(), replace("k", "x" * (size - 1)))).data_storage == size
    )
    with pytest.raises(LimitExceededException, match="would hold 1048577 bytes"):
        apply(stored(), replace("kk", "x" * (size - 1)))


def test_an_identity_holds_as_many_datasets_as_the_limit() -> None:
    """The 20th is created, the 21st refused; existing ones go on."""
    assert apply(stored(live_datasets=19), replace("k"))
    assert apply(stored(dataset(5), live_datasets=20), replace("k"))
    for state in (None, dataset(5, exists=False)):
        with pytest.raises(LimitExceededException) as caught:
            apply(stored(state, live_datasets=20), replace("k"))
        assert caught.value.message == (
            "The identity would hold 21 datasets with 'prefs'; the limit is 20."
        )


def test_a_dataset_over_its_limits_may_shrink() -> None:
    """When a limit was lowered, what does not grow is still taken."""
    limits = SyncLimits(records_per_dataset=1, dataset_bytes=4)
    before = stored(
        dataset(5, num_records=3, data_storage=60), record("a", "x" * 19, 5)
    )
    assert state_of(apply(before, remove("a", at=5), limits=limits)).num_records == 2
    apply(before, replace("a", "y" * 19, at=5), limits=limits)
    with pytest.raises(LimitExceededException, match="61 bytes"):
        apply(before, replace("a", "y" * 20, at=5), limits=limits)
    with pytest.raises(LimitExceededException, match="4 records"):
        apply(before, replace("b", "", at=0), limits=limits)


def test_a_conflict_is_told_before_a_limit() -> None:
    """A stale client learns first that it is stale: then it can mend itself."""
    full = stored(dataset(5, num_records=1024))
    with pytest.raises(ResourceConflictException):
        apply(full, replace("a", at=7))


# --- Deletion -------------------------------------------------------------------------


def test_deletion_takes_a_count_and_sets_the_horizon() -> None:
    """The row stays without records and says below which count data is dead."""
    changes = sync.delete(
        dataset(5, num_records=2, data_storage=9), dataset_name="prefs", now_ms=NOW_MS
    )
    state = state_of(changes)

    assert changes.clear_records
    assert not state.exists
    assert (state.sync_count, state.horizon) == (6, 6)
    assert (state.num_records, state.data_storage) == (0, 0)
    assert state.last_modified_date_ms == NOW_MS


@pytest.mark.parametrize("state", [None, dataset(5, exists=False, horizon=5)])
def test_what_is_not_there_cannot_be_deleted(state: DatasetState | None) -> None:
    """Deleting twice, or what never was, is a ResourceNotFoundException."""
    with pytest.raises(ResourceNotFoundException, match="'prefs'"):
        sync.delete(state, dataset_name="prefs", now_ms=NOW_MS)


def test_recreation_goes_on_above_the_old_counts() -> None:
    """A dataset that comes back keeps counter and horizon, and is new in the rest."""
    gone = dataset(6, exists=False, horizon=6)
    state = state_of(apply(stored(gone), replace("k", "v")))

    assert state.exists
    assert (state.sync_count, state.horizon) == (7, 6)
    assert state.creation_date_ms == NOW_MS
    assert (state.num_records, state.data_storage) == (1, 2)


# --- Sessions -------------------------------------------------------------------------


def test_a_fresh_session_may_be_spent() -> None:
    """Without a mark the update goes on."""
    assert sync.spend_session(stored(), b"session", b"body") is None


def test_a_repeated_request_gets_its_outcome_again() -> None:
    """The same body with the same session is answered as before."""
    before = stored()
    before.spent = SpentSession(b"session", b"body", Outcome(7, NOW_MS, "device"))

    assert sync.spend_session(before, b"session", b"body") == before.spent.outcome


def test_a_spent_session_takes_no_other_request() -> None:
    """Another body with a spent session is refused in the API's words."""
    before = stored()
    before.spent = SpentSession(b"session", b"body", Outcome(7, NOW_MS, "device"))
    with pytest.raises(InvalidParameterException) as caught:
        sync.spend_session(before, b"session", b"other")

    assert caught.value.message == "SyncSessionToken not valid for these inputs"


# --- Small things ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "ms"),
    [
        (None, None),
        (0, 0),
        (1.4129740571e9, 1412974057100),
        (1.0005, 1000),
        (-1.5, -1500),
    ],
)
def test_dates_become_milliseconds(seconds: float | None, ms: int | None) -> None:
    """Epoch seconds with a fraction become whole milliseconds."""
    assert sync.to_ms(seconds) == ms


def test_a_record_counts_its_bytes() -> None:
    """Size is UTF-8 of key and value; a tombstone has none."""
    assert record("\u00e9", "\U0001f9c0", 1).size_bytes == 6
    assert record("key", "", 1).size_bytes == 3
    assert record("key", None, 1).size_bytes == 0
