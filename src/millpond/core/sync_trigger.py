"""
The sync trigger: what a developer's hook is told of an update, and what its answer
means.

Theory of operation
-------------------
A pool may name a hook. Before an update by a user is written, the hook is sent the
whole dataset as it would be: every live record with its old and its new value, those of
the patches with what the patches make of them. It answers in the same shape, and what
it answers is written instead.

* A patched record gets the value answered; one without a value is removed.
* A patched record that is left out stays as it is stored: the hook has refused it.
* Any other record is written when its value differs from the stored one; a new key is
  a new record.
* Nothing else may change. The fields beside `datasetRecords` come back as they were.

All that is written gets the one new sync count of the update. When nothing is, the
update ends as one without patches does: no new count, no dataset created.

An answer comes from outside. Its types, keys and sizes are checked here, the limits of
the dataset by the same rules as those of patches.

Source: developer guide, Cognito Events; rulings 8 and 21.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec

from millpond import limits
from millpond.core import sync
from millpond.core.sync import (
    Changes,
    DatasetId,
    DatasetState,
    Outcome,
    Patch,
    StoredDataset,
    StoredRecord,
    SyncLimits,
)
from millpond.errors import (
    InvalidLambdaFunctionOutputException,
    InvalidParameterException,
    LimitExceededException,
)

EVENT_TYPE: Final = "SyncTrigger"
_VERSION: Final = 2
# AWS: the pattern of the Lambda API, with a region that cannot be more than a label.
_FUNCTION_ARN: Final = re.compile(
    r"arn:aws[a-z-]*:lambda:[a-z0-9-]{1,32}:\d{1,12}:function:[\w-]{1,140}"
    r"(:(\$LATEST|[\w-]{1,128}))?",
    re.ASCII,
)
_URL: Final = re.compile(r"https?://[!-~]+")


class TriggerRecord(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """A record in an event: its stored value, the one it is to get, and how."""

    old_value: str | None = None
    new_value: str | None = None
    op: Literal["replace", "remove"]

    @property
    def value(self) -> str | None:
        """The value that the record is to get; None removes it."""
        return self.new_value if self.op == "replace" else None


class TriggerEvent(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    forbid_unknown_fields=True,
):
    """What a hook is sent, and what it answers."""

    version: int
    event_type: str
    region: str
    identity_pool_id: str
    identity_id: str
    dataset_name: str
    dataset_records: dict[str, TriggerRecord]


class AmendedPatch(NamedTuple):
    """A patch as a hook answered it; it is a `core.sync.Patch`."""

    op: str
    key: str
    value: str | None
    sync_count: int
    device_last_modified_date: float | None


class Verdict(NamedTuple):
    """What a hook said of an update, and of what."""

    sync_trigger: str  # the hook that was asked
    seen: DatasetState | None  # the dataset as it was then
    patches: Sequence[AmendedPatch]

    def is_about(self, stored: StoredDataset) -> bool:
        """Whether hook and dataset are still those of the verdict."""
        return (self.sync_trigger, self.seen) == (stored.sync_trigger, stored.dataset)


_READ_ONLY: Final = {
    each.name: each.encode_name
    for each in msgspec.structs.fields(TriggerEvent)
    if each.name != "dataset_records"
}
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(TriggerEvent).decode


def check_target(target: str) -> None:
    """
    Refuse what cannot be a hook.

    Raises:
        InvalidParameterException: it is neither a function's ARN nor an http(s) URL.
    """
    if len(target) <= limits.SYNC_TRIGGER_CHARS_MAX and (
        _FUNCTION_ARN.fullmatch(target) or (_URL.fullmatch(target) and _is_url(target))
    ):
        return
    raise InvalidParameterException(
        "The target of SyncTrigger must be the ARN of a Lambda function or an http or "
        f"https URL of at most {limits.SYNC_TRIGGER_CHARS_MAX} characters, with a host "
        "and without a user or a fragment."
    )


def _is_url(target: str) -> bool:
    try:
        parts = urlsplit(target)
        return bool(
            parts.hostname
            and parts.port != 0
            and "@" not in parts.netloc
            and "#" not in target
            and "\\" not in target
        )
    except ValueError:  # the port or an IPv6 address is none
        return False


def make_event(
    dataset_id: DatasetId,
    records: Mapping[str, StoredRecord],
    patches: Sequence[Patch],
) -> TriggerEvent:
    """
    Describe an update to a hook.

    Args:
        records: all of the dataset, by key; tombstones are passed over.
    """
    told = {
        record.key: TriggerRecord(
            old_value=record.value, new_value=record.value, op="replace"
        )
        for record in records.values()
        if record.value is not None
    }
    for patch in patches:
        old = records.get(patch.key)
        told[patch.key] = TriggerRecord(
            old_value=old.value if old else None,
            new_value=patch.value if patch.op == "replace" else None,
            op="replace" if patch.op == "replace" else "remove",
        )
    return TriggerEvent(
        version=_VERSION,
        event_type=EVENT_TYPE,
        region=dataset_id.identity_pool_id.partition(":")[0],
        identity_pool_id=dataset_id.identity_pool_id,
        identity_id=dataset_id.identity_id,
        dataset_name=dataset_id.dataset_name,
        dataset_records=told,
    )


def encode_event(event: TriggerEvent) -> bytes:
    """Encode an event as JSON."""
    return _encode(event)


def read_answer(
    answer: bytes, event: TriggerEvent, *, limits: SyncLimits
) -> dict[str, TriggerRecord]:
    """
    Read the records that a hook answered to an event.

    Raises:
        InvalidLambdaFunctionOutputException: it is not of the shape of an event, or
            differs from this one in more than its records; a key or a value cannot be
            stored.
        LimitExceededException: there are more records than a dataset can take, or a
            value is too long.
    """
    try:
        answered = _decode(answer)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _bad_output(f"cannot be read: {error}") from error
    for name, wire_name in _READ_ONLY.items():
        if getattr(answered, name) != getattr(event, name):
            raise _bad_output(f"changes '{wire_name}'; only 'datasetRecords' may")
    records = answered.dataset_records
    # What it was sent, and as many new ones as a dataset can take at all.
    records_max = len(event.dataset_records) + limits.records_per_dataset
    if len(records) > records_max:
        raise LimitExceededException(
            f"The answer of the sync trigger has {len(records)} records; for dataset "
            f"'{event.dataset_name}' the limit is {records_max}."
        )
    for key, record in records.items():
        if key not in event.dataset_records:
            _check_key(key, limits.record_key_chars)
        if record.value is not None:
            _check_value(key, record.value, limits.record_value_chars)
    return records


def _check_key(key: str, chars_max: int) -> None:
    if all(char <= " " for char in key):
        raise _bad_output("has a blank record key")
    if len(key) > chars_max:
        raise _bad_output(
            f"has a record key of {len(key)} characters; the limit is {chars_max}"
        )
    if "\0" in key:
        raise _bad_output("has a record key with a NUL character")


def _check_value(key: str, value: str, chars_max: int) -> None:
    if "\0" in value:
        reason = "has a NUL character in the value of"
        raise _bad_output(f"{reason} record '{key}'", logged=f"{reason} a record")
    if len(value) > chars_max:
        made = "The sync trigger made the value of"
        length = f"{len(value)} characters long; the limit is {chars_max}."
        raise LimitExceededException(
            f"{made} record '{key}' {length}", logged=f"{made} a record {length}"
        )


def _bad_output(
    reason: str, *, logged: str = ""
) -> InvalidLambdaFunctionOutputException:
    answer = "The answer of the sync trigger"
    return InvalidLambdaFunctionOutputException(
        f"{answer} {reason}.", logged=f"{answer} {logged or reason}."
    )


def amend(
    patches: Sequence[Patch],
    records: Mapping[str, StoredRecord],
    answered: Mapping[str, TriggerRecord],
) -> list[AmendedPatch]:
    """
    Make the patches that are applied instead of those that were sent.

    Args:
        records: all of the dataset, by key, as in the event.
    """
    patched = {patch.key for patch in patches}
    amended = [
        _patch(answered[sent.key], sent.key, sent.sync_count, sent)
        for sent in patches
        if sent.key in answered
    ]
    for key, record in answered.items():
        old = records.get(key)
        if key not in patched and record.value != (old.value if old else None):
            amended.append(_patch(record, key, old.sync_count if old else 0))
    return amended


def _patch(
    record: TriggerRecord, key: str, sync_count: int, sent: Patch | None = None
) -> AmendedPatch:
    value = record.value
    return AmendedPatch(
        op="remove" if value is None else "replace",
        key=key,
        value=value,
        sync_count=sync_count,
        device_last_modified_date=sent.device_last_modified_date if sent else None,
    )


def apply(
    stored: StoredDataset,
    patches: Sequence[Patch],
    verdict: Verdict,
    *,
    dataset_name: str,
    now_ms: int,
    modified_by: str,
    limits: SyncLimits,
    known: int = 0,
) -> Changes:
    """
    Apply what a hook made of the patches; `core.sync.apply_patches` for what it raises.

    Returns:
        The changes, with an outcome that names every record that is not as its patch.
    """
    changes = Changes(outcome=Outcome(0, now_ms, modified_by))
    if verdict.patches:
        changes = sync.apply_patches(
            stored,
            verdict.patches,
            dataset_name=dataset_name,
            now_ms=now_ms,
            modified_by=modified_by,
            limits=limits,
            known=known,
        )
    assert changes.outcome is not None
    changes.outcome = msgspec.structs.replace(
        changes.outcome,
        amended=tuple(_differing(stored, patches, verdict, changes)),
    )
    return changes


def _differing(
    stored: StoredDataset, patches: Sequence[Patch], verdict: Verdict, changes: Changes
) -> Iterator[StoredRecord]:
    """List what is other than the patches say, those refused as they are stored."""
    outcome = changes.outcome
    assert outcome is not None

    def nothing(key: str, sync_count: int) -> StoredRecord:
        date_ms, by = outcome.last_modified_date_ms, outcome.last_modified_by
        return StoredRecord(key, None, sync_count, date_ms, by, None)

    written = {record.key: record for record in changes.records}
    applied = {patch.key for patch in verdict.patches}
    for patch in patches:
        record = written.pop(patch.key, None)
        if record is None and patch.key in applied:
            # Removed without having been there, which leaves no record.
            if patch.op == "replace":
                yield nothing(patch.key, outcome.sync_count)
        elif record is None:
            # A client must find every key that it sent, or it sends it for ever.
            yield stored.records.get(patch.key, nothing(patch.key, 0))
        elif record.value != (patch.value if patch.op == "replace" else None):
            yield record
    yield from written.values()
