"""
The sync rules: what an update does to a dataset and what a listing shows of it.

Theory of operation
-------------------
A dataset has one counter, its sync count. An update with at least one patch raises it
by exactly one and stamps every record it touches with the new value, so a client that
was at N and pushed once is at N + 1 when nobody else wrote. A client pulls with the
count it knows and gets every record above it, removed ones too: those are kept as
tombstones, records without a value.

A patch names the count of the record as its sender knows it. When it is not the stored
one, somebody else wrote, and the whole update is refused. All or nothing.

Deleting a dataset takes one count as well and leaves the counter behind; that count is
the dataset's horizon. The next incarnation goes on above it, so a count below the
horizon says that the client holds data of a dead incarnation, and it is told to drop
it.

Tombstones do not stay for ever (`forget`). The count of the newest one that was dropped
becomes the horizon as well: a client below it may hold a record of which nobody can
tell it any more that it was removed, so it is told to start over, too. A client at the
horizon or above has seen all that was dropped, and notices nothing.

What left no tombstone is gone for the rules, but not for clients: the one that removed
a key keeps the count that it was answered, and names it when it adds the key again.
Hence `forgotten`: up to that count, a patch of a key that is not there may name a count
of which nothing is left. Nobody else can have touched such a key unnoticed, as long as
the client has listed at the horizon or above; that its session says (`known`).

Rules of this module: it decides on what it is given (`StoredDataset`) and returns what
is to be written (`Changes`). It may run twice for one request, and it does no I/O.

Source: rulings 1 to 10, 12 and 21 to 23; the client sources behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from millpond import limits
from millpond.errors import (
    InvalidParameterException,
    LimitExceededException,
    ResourceConflictException,
    ResourceNotFoundException,
)

_BLANKS: Final = "".join(map(chr, range(ord(" ") + 1)))  # what Java's trim() takes


class DatasetId(msgspec.Struct, frozen=True, gc=False):
    """Which dataset: the three names that together are unique."""

    identity_pool_id: str
    identity_id: str
    dataset_name: str


class DatasetState(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The row of a dataset, living or deleted. A deleted one keeps its counter."""

    sync_count: int  # the counter; it never falls
    exists: bool
    horizon: int = 0  # who knows a lower count starts over; 0: nothing was dropped
    forgotten: int = 0  # up to it there were counts of which no record is left
    creation_date_ms: int
    last_modified_date_ms: int
    last_modified_by: str
    num_records: int  # live ones
    data_storage: int  # bytes, UTF-8, keys and values of live records
    root_dataset_name: str | None = None  # what a merge put it beside


class StoredRecord(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """
    A record as the store holds it; a tombstone has no value.

    Array-like, so that a store may hand over many of them as one JSON text.
    """

    key: str
    value: str | None
    sync_count: int
    last_modified_date_ms: int
    last_modified_by: str
    device_last_modified_date_ms: int | None

    @property
    def size_bytes(self) -> int:
        """What the record counts towards the size of its dataset."""
        key, value = self.key, self.value
        if value is None:
            return 0
        if key.isascii() and value.isascii():
            return len(key) + len(value)
        return utf8_bytes(key) + utf8_bytes(value)


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What an update stamped on every record it touched."""

    sync_count: int
    last_modified_date_ms: int
    last_modified_by: str
    amended: tuple[StoredRecord, ...] = ()
    """What a sync trigger left other than the patches say, record by record."""


class SpentSession(msgspec.Struct, frozen=True, gc=False):
    """The mark that a sync session was used by an update, and by which one."""

    session_id: bytes
    request_sha256: bytes
    outcome: Outcome


class StoredDataset(msgspec.Struct, gc=False):
    """What the store knows when an update is decided."""

    dataset: DatasetState | None
    records: dict[str, StoredRecord]  # those named by the request, tombstones too
    live_datasets: int  # of the identity, without what merges put beside others
    spent: SpentSession | None  # the mark of the request's session, if there is one
    streaming: bool  # whether the pool has an enabled stream
    sync_trigger: str | None = None  # what the pool has called for updates by users
    subscribed: bool = False  # whether devices want to be told of changes
    num_tombstones: int | None = None  # of the dataset; None: nobody asked


class Notice(msgspec.Struct, frozen=True, gc=False):
    """The devices that are subscribed are to be told of the new sync count."""

    writer: str | None = None  # the device that made the change; it knows


class Changes(msgspec.Struct, gc=False):
    """What the store has to write, in one transaction."""

    dataset: DatasetState | None = None
    records: Sequence[StoredRecord] = ()
    clear_records: bool = False  # drop every record, tombstones too
    spent: SpentSession | None = None
    event: bytes | None = None  # a stream record for the outbox
    notice: Notice | None = None  # pushes for devices
    outcome: Outcome | None = None  # what to answer; None where nothing was stamped
    too_many_tombstones: bool = False  # the oldest are to be dropped now


class Patch(Protocol):
    """The members of a record patch that the rules read."""

    @property
    def op(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def value(self) -> str | None: ...
    @property
    def sync_count(self) -> int: ...
    @property
    def device_last_modified_date(self) -> float | None: ...


class SyncLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of ruling 9; an operator may change them."""

    datasets_per_identity: int = limits.DATASETS_PER_IDENTITY_MAX
    records_per_dataset: int = limits.RECORDS_PER_DATASET_MAX
    dataset_bytes: int = limits.DATASET_BYTES_MAX
    record_key_chars: int = limits.RECORD_KEY_CHARS_MAX
    record_value_chars: int = limits.RECORD_VALUE_CHARS_MAX
    record_patches: int = limits.RECORD_PATCHES_MAX
    tombstones_per_dataset: int = limits.TOMBSTONES_PER_DATASET_MAX


class Listing(msgspec.Struct, frozen=True, gc=False):
    """What a listing shows of a dataset, and which records belong to it."""

    exists: bool
    deleted: bool  # after the sync count that the caller knows
    dataset_sync_count: int
    after: int  # list records above this count ...
    up_to: int  # ... and none above this one


def utf8_bytes(text: str) -> int:
    """Count the bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def check_patches(patches: Sequence[Patch], *, limits: SyncLimits) -> None:
    """
    Refuse patches that are wrong whatever the dataset holds.

    Raises:
        InvalidParameterException: a key stands twice, is blank or too long; a value is
            missing from a `replace` or too long.
        LimitExceededException: there are too many.
    """
    if len(patches) > limits.record_patches:
        # Ours: the API has no such limit. Clients push all they have in one update.
        raise LimitExceededException(
            f"RecordPatches has {len(patches)} patches; the limit is "
            f"{limits.record_patches}."
        )
    seen: set[str] = set()
    key_chars, value_chars = limits.record_key_chars, limits.record_value_chars
    for patch in patches:
        key = patch.key
        if key in seen:
            raise InvalidParameterException(
                f"Record key '{key}' appears more than once in RecordPatches."
            )
        seen.add(key)
        if key[:1] <= " " and not key.strip(_BLANKS):
            # Ours: the Android client throws at a key that Java's trim() leaves empty,
            # and with it at the whole dataset.
            raise InvalidParameterException("A record key must not be blank.")
        if len(key) > key_chars:
            raise InvalidParameterException(
                f"Record key '{key[:64]}...' has {len(key)} characters; "
                f"the limit is {key_chars}."
            )
        if patch.op == "replace":
            value = patch.value
            if value is None:
                raise InvalidParameterException(
                    f"Record '{key}' is to be replaced but has no Value."
                )
            if len(value) > value_chars:
                raise InvalidParameterException(
                    f"The value of record '{key}' has {len(value)} characters; "
                    f"the limit is {value_chars}."
                )


def apply_patches(
    stored: StoredDataset,
    patches: Sequence[Patch],
    *,
    dataset_name: str,
    now_ms: int,
    modified_by: str,
    limits: SyncLimits,
    known: int = 0,
) -> Changes:
    """
    Apply checked patches to a dataset, all of them or none.

    Args:
        patches: at least one, each key once.
        modified_by: who is named as the one who changed the records.
        known: the sync count of the dataset that the sender has listed.
    Returns:
        The new row of the dataset, the records to write in the order of the patches,
        and the outcome. Removing what is not there writes no record.
    Raises:
        ResourceConflictException: a record is not at the count its patch names.
        LimitExceededException: the dataset or the identity would hold too much.
    """
    before = stored.dataset if stored.dataset and stored.dataset.exists else None
    sync_count = (stored.dataset.sync_count if stored.dataset else 0) + 1
    num_records = before.num_records if before else 0
    data_storage = before.data_storage if before else 0
    forgotten = before.forgotten if before else 0
    nameable = _nameable_counts(stored.dataset, known)
    tombstones = 0  # more than before
    records: list[StoredRecord] = []
    for patch in patches:
        key = patch.key
        old = stored.records.get(key)
        if old is None or patch.sync_count != old.sync_count:
            _check_sync_count(patch, old, nameable)
        value = patch.value if patch.op == "replace" else None
        if old is None and patch.op != "replace":
            # Nobody can miss what never was, so there is nothing to tell of.
            forgotten = sync_count
            continue
        device_date = patch.device_last_modified_date
        new = StoredRecord(
            key,
            value,
            sync_count,
            now_ms,
            modified_by,
            None if device_date is None else to_ms(device_date),
        )
        records.append(new)
        data_storage += new.size_bytes
        if old is not None:
            data_storage -= old.size_bytes
            num_records -= old.value is not None
            tombstones -= old.value is None
        num_records += value is not None
        tombstones += value is None
    dataset = DatasetState(
        sync_count=sync_count,
        exists=True,
        horizon=stored.dataset.horizon if stored.dataset else 0,
        forgotten=forgotten,
        creation_date_ms=before.creation_date_ms if before else now_ms,
        last_modified_date_ms=now_ms,
        last_modified_by=modified_by,
        num_records=num_records,
        data_storage=data_storage,
        root_dataset_name=before.root_dataset_name if before else None,
    )
    if before is None:
        _check_limit(
            "The identity would hold {} datasets with '{}'; the limit is {}.",
            stored.live_datasets + 1,
            dataset_name,
            limits.datasets_per_identity,
        )
    _check_growth(before, dataset, dataset_name, limits)
    return Changes(
        dataset=dataset,
        records=records,
        outcome=Outcome(sync_count, now_ms, modified_by),
        too_many_tombstones=_too_many_tombstones(stored, tombstones, limits),
    )


def _nameable_counts(dataset: DatasetState | None, known: int) -> range:
    """Give the counts, beside 0, that a patch of what is not there may name."""
    if dataset is None:
        return range(0)
    if not dataset.exists:
        # Ruling 5: it is the one that a listing of the deleted dataset shows.
        return range(dataset.sync_count, dataset.sync_count + 1)
    if known < dataset.horizon:
        return range(0)  # others may have removed it, and nothing tells of that
    return range(1, dataset.forgotten + 1)


def _too_many_tombstones(stored: StoredDataset, more: int, limits: SyncLimits) -> bool:
    before = stored.num_tombstones
    return before is not None and before + more > limits.tombstones_per_dataset


def forget(dataset: DatasetState, newest: int) -> DatasetState:
    """
    Give the row of a dataset of which tombstones were dropped.

    Args:
        newest: the highest sync count among them; those of other counts below it may
            have been left.
    """
    return msgspec.structs.replace(
        dataset,
        horizon=max(dataset.horizon, newest),
        forgotten=max(dataset.forgotten, newest),
    )


def _check_sync_count(patch: Patch, old: StoredRecord | None, nameable: range) -> None:
    current = old.sync_count if old else 0
    if patch.sync_count == current:
        return
    if old is None and patch.sync_count in nameable:
        return
    if old is not None and old.value is None and patch.sync_count == 0:
        # Ours, ruling 2: a device that never saw the tombstone adds the key anew.
        return
    # AWS: this text, quoted in several issues; .NET matches its beginning.
    raise ResourceConflictException(
        f"Current SyncCount for: {patch.key} is: {current} not: {patch.sync_count}"
    )


def _check_growth(
    before: DatasetState | None, after: DatasetState, name: str, limits: SyncLimits
) -> None:
    # A dataset that is over a limit (it was lowered since) may still shrink.
    if after.num_records > (before.num_records if before else 0):
        _check_limit(
            "Dataset '{1}' would hold {0} records; the limit is {2}.",
            after.num_records,
            name,
            limits.records_per_dataset,
        )
    if after.data_storage > (before.data_storage if before else 0):
        _check_limit(
            "Dataset '{1}' would hold {0} bytes; the limit is {2}.",
            after.data_storage,
            name,
            limits.dataset_bytes,
        )


def _check_limit(template: str, number: int, name: str, limit: int) -> None:
    if number > limit:
        raise LimitExceededException(template.format(number, name, limit))


def spend_session(
    stored: StoredDataset, session_id: bytes, request_sha256: bytes
) -> Outcome | None:
    """
    Say what a request means that comes with a session that was used already.

    Returns:
        None when the session is fresh; the stored outcome when the very same request
        came before and its answer was lost (ruling 12).
    Raises:
        InvalidParameterException: another update has used the session.
    """
    if stored.spent is None:
        return None
    assert stored.spent.session_id == session_id
    if stored.spent.request_sha256 != request_sha256:
        raise InvalidParameterException("SyncSessionToken not valid for these inputs")
    return stored.spent.outcome


def delete(stored: DatasetState | None, *, dataset_name: str, now_ms: int) -> Changes:
    """
    Delete a dataset: drop its records, keep its counter, set its horizon.

    Raises:
        ResourceNotFoundException: there is no such dataset.
    """
    if stored is None or not stored.exists:
        raise ResourceNotFoundException(f"Dataset '{dataset_name}' not found")
    return Changes(dataset=gone(stored, now_ms=now_ms), clear_records=True)


def gone(stored: DatasetState, *, now_ms: int) -> DatasetState:
    """Give the row that a dataset leaves behind: its counter and its horizon."""
    horizon = stored.sync_count + 1
    return DatasetState(
        sync_count=horizon,
        exists=False,
        horizon=horizon,
        creation_date_ms=stored.creation_date_ms,
        last_modified_date_ms=now_ms,
        last_modified_by=stored.last_modified_by,
        num_records=0,
        data_storage=0,
    )


def listing(
    dataset: DatasetState | None,
    last_sync_count: int,
    *,
    self_heal: bool = False,
    known: int = 0,
) -> Listing:
    """
    Say what a caller at `last_sync_count` is shown of a dataset.

    Args:
        self_heal: treat a count above the dataset's as 0 instead of refusing it.
        known: what the caller is known to have listed before, though it asks from a
            lower count now (`core.relisting`); 0: nothing is known.
    Raises:
        InvalidParameterException: the count is negative, or above the dataset's.
    """
    if last_sync_count < 0:
        # The .NET client sends -1 after a deletion; it must get a clean refusal.
        raise InvalidParameterException(
            f"LastSyncCount must not be negative: {last_sync_count}"
        )
    if dataset is None or not dataset.exists:
        gone = dataset is not None and last_sync_count > 0
        # Ruling 5: the counter of a deleted one. A client that pushes next gets one
        # more than that, and goes on from there; from 0 it would not.
        count = dataset.sync_count if dataset is not None else 0
        return Listing(
            exists=False, deleted=gone, dataset_sync_count=count, after=0, up_to=0
        )
    if last_sync_count > dataset.sync_count:
        if not self_heal:
            raise InvalidParameterException(
                f"No such SyncCount: {last_sync_count} exists for this Dataset"
            )
        last_sync_count = 0
    # A caller below the horizon drops what it has, so it is sent everything.
    deleted = 0 < last_sync_count < dataset.horizon and known < dataset.horizon
    return Listing(
        exists=True,
        deleted=deleted,
        dataset_sync_count=dataset.sync_count,
        after=0 if deleted else last_sync_count,
        up_to=dataset.sync_count,
    )


def check_page(listing: Listing, horizon: int, dataset: DatasetState | None) -> None:
    """
    Refuse a further page of a listing that cannot be right any more.

    Between two pages tombstones may be dropped that the later one had. Its reader would
    then be at a count from which nothing tells of them. Where the new horizon is above
    that count, the next listing tells it to start over, and the page does no harm.

    Args:
        horizon: of the dataset at the first page.
        dataset: as it is now.
    Raises:
        InvalidParameterException: the caller has to list again, from the first page.
    """
    if dataset is None or listing.after == 0:
        return
    if max(horizon, listing.after) < dataset.horizon <= listing.up_to:
        raise InvalidParameterException(
            "NextToken is not valid any more: records that it would list were removed "
            "long ago and have expired. List again without it."
        )


def to_ms(epoch_s: float | None) -> int | None:
    """Convert epoch seconds to whole milliseconds, rounded."""
    return None if epoch_s is None else round(epoch_s * 1000)


def round_s(epoch_s: float) -> float:
    """Round epoch seconds to what is kept of them: as `to_ms` does."""
    return round(epoch_s * 1000) / 1000
