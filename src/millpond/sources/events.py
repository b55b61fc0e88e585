"""
From a stream record of Cognito Sync to what arrives of a dataset.

A stream may hold anything, and so may a file. What is none of ours, what belongs to
another pool and what no store could keep is told apart here, each with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from millpond import limits as api_limits
from millpond.core.stream_consumer import ReadEvent, ReadRecord
from millpond.core.sync import SyncLimits, utf8_bytes
from millpond.stores.copying import DatasetRow, RecordRow
from millpond.stores.importing import Arrival, ArrivingDataset

_IDENTITY_ID: Final = re.compile(r"[\w-]+:[0-9a-f-]+")  # AWS: model, IdentityId
_DATASET_NAME: Final = re.compile(r"[a-zA-Z0-9_.:-]+")  # AWS: model, DatasetName
_COPY: Final = re.compile(  # of a dataset, by a merge: `core.dataset_moves`
    r"(.+)\.[\w-]+:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(\.\d+)?"
)
_NO_EVENT: Final = "it is no stream record of Cognito Sync"
_to_event = msgspec.json.Decoder(ReadEvent).decode


class Foreign(NamedTuple):
    """A stream record of another pool."""

    identity_pool_id: str


class Unreadable(NamedTuple):
    """What is no stream record, and why."""

    reason: str


def read_event(
    identity_pool_id: str, data: bytes | dict[str, Any]
) -> ReadEvent | Foreign | Unreadable:
    """Read a stream record of a pool, as bytes of JSON or as the object in them."""
    try:
        if isinstance(data, bytes):
            event = _to_event(data)
        else:
            event = msgspec.convert(data, ReadEvent)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Unreadable(_NO_EVENT)
    fault = _fault(event)
    if fault:
        return Unreadable(fault)
    if event.identity_pool_id != identity_pool_id:
        return Foreign(event.identity_pool_id)
    return event


def _fault(event: ReadEvent) -> str:
    if not _fits(event.identity_pool_id, _IDENTITY_ID, api_limits.ID_CHARS_MAX):
        return f"{_shown(event.identity_pool_id)} is no id of an identity pool"
    if not _fits(event.identity_id, _IDENTITY_ID, api_limits.ID_CHARS_MAX):
        return f"{_shown(event.identity_id)} is no id of an identity"
    region = event.identity_pool_id.partition(":")[0]
    if event.identity_id.partition(":")[0] != region:
        return f"{_shown(event.identity_id)} is not in the region of its pool"
    chars_max = api_limits.DATASET_NAME_CHARS_MAX
    if not _fits(event.data_set_name, _DATASET_NAME, chars_max):
        return f"{_shown(event.data_set_name)} is no name of a dataset"
    if event.operation not in ("replace", "remove"):
        return f"its operation is {_shown(event.operation)}"
    counts = [each.sync_count for each in event.kinesis_sync_records or ()]
    if not all(0 < each <= api_limits.LONG_MAX for each in (*counts, event.sync_count)):
        return "a sync count in it is no positive number"
    return ""


def _fits(text: str, pattern: re.Pattern[str], chars_max: int) -> bool:
    return len(text) <= chars_max and pattern.fullmatch(text) is not None


def _shown(text: str) -> str:
    return ascii(text[: api_limits.ID_CHARS_MAX])


def to_arrival(
    event: ReadEvent, records: Iterable[ReadRecord] | None, limits: SyncLimits
) -> Arrival:
    """
    Make what arrives of an event.

    Args:
        records: those of the event, from behind its link if it has one; None: they
            could not be had, and the dataset is put aside.
    """
    pool, identity, name = msgspec.structs.astuple(event.dataset_id)
    if event.is_deletion:
        records = ()
    reason = _excess(records or (), limits)
    if records is None:
        reason = "its records stand behind a link that does not give them any more"
    if reason:
        return Arrival(
            identity_pool_id=pool, identity_id=identity, asides={name: reason}
        )
    # Millpond and AWS name nobody in the stream; an identity's own devices wrote most.
    rows = [_row(event, each) for each in records or ()]
    copy = _COPY.fullmatch(name)
    dataset = DatasetRow(
        identity_id=identity,
        identity_pool_id=pool,
        dataset_name=name,
        sync_count=event.sync_count,
        live=not event.is_deletion,
        horizon=event.sync_count if event.is_deletion else 0,
        creation_date_ms=event.last_modified_date,
        last_modified_date_ms=event.last_modified_date,
        last_modified_by=identity,
        num_records=0,
        data_storage=0,
        root_dataset_name=copy[1] if copy else None,
    )
    arriving = ArrivingDataset(row=dataset, records=rows, whole=False)
    return Arrival(identity_pool_id=pool, identity_id=identity, datasets=(arriving,))


def _row(event: ReadEvent, record: ReadRecord) -> RecordRow:
    removed = record.op == "remove"
    return RecordRow(
        identity_id=event.identity_id,
        identity_pool_id=event.identity_pool_id,
        dataset_name=event.data_set_name,
        record_key=record.key,
        sync_count=record.sync_count,
        last_modified_date_ms=record.last_modified_date or event.last_modified_date,
        last_modified_by=event.identity_id,
        device_last_modified_date_ms=record.device_last_modified_date,
        value=None if removed else record.value,
    )


def _excess(records: Iterable[ReadRecord], limits: SyncLimits) -> str:
    """Say which record no store could keep, or is over a limit."""
    size = count = 0
    for each in records:
        key, value = each.key, each.value or ""
        if "\0" in key or "\0" in value:
            return f"record {key!a} has a NUL character, which is not kept"
        if not (_is_text(key) and _is_text(value)):
            return f"record {key!a} has half a character"
        if len(key) > limits.record_key_chars:
            return _too_long(f"the key {key[:64]!a}...", len(key), "record_key")
        if len(value) > limits.record_value_chars:
            return _too_long(f"the value of {key!a}", len(value), "record_value")
        size += utf8_bytes(key) + utf8_bytes(value)
        count += 1
    if count > limits.records_per_dataset:
        return f"it needs setting records_per_dataset_max to be {count} at least"
    if size > limits.dataset_bytes:
        return f"it needs setting dataset_bytes_max to be {size} at least"
    return ""


def _too_long(what: str, chars: int, setting: str) -> str:
    return f"{what} needs setting {setting}_chars_max to be {chars} at least"


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
