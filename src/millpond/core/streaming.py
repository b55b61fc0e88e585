"""
Stream records: what a consumer of a pool's stream reads.

One stream record is one change of one dataset (a live update, a deletion) or one whole
dataset (a bulk publish). Dates are epoch milliseconds here, unlike in the API. The
partition key is the identity id, so the changes of an identity stay in order.

A consumer removes repeats by (identityId, dataSetName, key, syncCount): at least once
is what a stream promises.

Source: ruling 19; the field names and their order are those of the developer guide,
`dataSetName` with its capital S included.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from millpond.core.sync import DatasetId, StoredRecord

_encode = msgspec.json.Encoder().encode


class StreamRecord(msgspec.Struct, frozen=True, gc=False):
    """What is put into a stream."""

    partition_key: str  # the identity id
    data: bytes  # JSON, UTF-8
    message_id: str = ""  # the same when it is sent again; empty: it has none


class EncodedRecord(StreamRecord, frozen=True, gc=False):
    """
    A stream record whose data was encoded here: UTF-8, JSON, and all on one line.

    Whoever needs to know that about its data, as a file of lines does, need not look.
    """


class KinesisSyncRecord(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One record inside a stream record."""

    key: str
    value: str | None
    sync_count: int
    last_modified_date: int  # epoch milliseconds
    device_last_modified_date: int  # epoch milliseconds
    op: str


class StreamEvent(msgspec.Struct, frozen=True, rename="camel", gc=False, kw_only=True):
    """The JSON of a stream record, in the documented order."""

    identity_pool_id: str
    identity_id: str
    data_set_name: str
    operation: str
    kinesis_sync_records: list[KinesisSyncRecord] | None
    last_modified_date: int  # epoch milliseconds
    kinesis_sync_records_url: str | None = msgspec.field(
        name="kinesisSyncRecordsURL", default=None
    )
    payload_type: str = "Inline"
    sync_count: int


def _around() -> list[bytes]:
    """Cut what all snapshots have alike out of one: what stands around their values."""
    empty = DatasetId("", "", "")
    values = rb'""|(?<=:)0|(?<="kinesisSyncRecords":)null'
    return re.split(values, _event(empty, None, 0, 0))


def update_event(
    dataset_id: DatasetId,
    records: Iterable[StoredRecord],
    *,
    sync_count: int,
    last_modified_date_ms: int,
) -> bytes:
    """Encode a live update: the records it touched, removed ones with `remove`."""
    return _event(
        dataset_id,
        [_sync_record(record) for record in records],
        sync_count,
        last_modified_date_ms,
    )


def snapshot_event(
    dataset_id: DatasetId,
    records_json: bytes,
    *,
    sync_count: int,
    last_modified_date_ms: int,
) -> bytes:
    """
    Encode a whole dataset for a bulk publish.

    Args:
        records_json: the live records as a JSON array of `KinesisSyncRecord`, which
            the store builds itself because that is several times as fast.
    """
    # The records are most of the event, so they are put in as they are.
    pool, identity, name, records, date, count, end = _AROUND
    return b"".join(
        (
            pool,
            _encode(dataset_id.identity_pool_id),
            identity,
            _encode(dataset_id.identity_id),
            name,
            _encode(dataset_id.dataset_name),
            records,
            records_json,
            date,
            _encode(last_modified_date_ms),
            count,
            _encode(sync_count),
            end,
        )
    )


def snapshot_record(
    dataset_id: DatasetId,
    records_json: bytes,
    *,
    sync_count: int,
    last_modified_date_ms: int,
    message_id: str,
) -> StreamRecord:
    """Make the stream record of a whole dataset, as `snapshot_event` encodes it."""
    data = snapshot_event(
        dataset_id,
        records_json,
        sync_count=sync_count,
        last_modified_date_ms=last_modified_date_ms,
    )
    kind = EncodedRecord if _is_text(data) else StreamRecord
    return kind(dataset_id.identity_id, data, message_id)


def _is_text(data: bytes) -> bool:
    """Say whether it is UTF-8; what other programs wrote into a store may not be."""
    try:
        return data.isascii() or bool(data.decode())
    except UnicodeDecodeError:
        return False


def deletion_event(
    dataset_id: DatasetId, *, sync_count: int, last_modified_date_ms: int
) -> bytes:
    """Encode the deletion of a dataset: no records and no link."""
    return _event(
        dataset_id, None, sync_count, last_modified_date_ms, operation="remove"
    )


def move_records_out(data: bytes, url: str) -> bytes:
    """Encode an event again with a link in place of its records."""
    members = _members(data)
    members["kinesisSyncRecords"] = msgspec.Raw(b"null")
    members["kinesisSyncRecordsURL"] = msgspec.Raw(_encode(url))
    members["payloadType"] = msgspec.Raw(b'"S3Url"')
    return _encode(members)


def records_of(data: bytes) -> bytes:
    """Take the JSON array of records out of an encoded event."""
    records = bytes(_members(data)["kinesisSyncRecords"])
    return b"[]" if records == b"null" else records


def _members(data: bytes) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(data, type=dict[str, msgspec.Raw])


def _event(
    dataset_id: DatasetId,
    records: list[KinesisSyncRecord] | None,
    sync_count: int,
    last_modified_date_ms: int,
    operation: str = "replace",
) -> bytes:
    return _encode(
        StreamEvent(
            identity_pool_id=dataset_id.identity_pool_id,
            identity_id=dataset_id.identity_id,
            data_set_name=dataset_id.dataset_name,
            operation=operation,
            kinesis_sync_records=records,
            last_modified_date=last_modified_date_ms,
            sync_count=sync_count,
        )
    )


def _sync_record(record: StoredRecord) -> KinesisSyncRecord:
    device_date = record.device_last_modified_date_ms
    return KinesisSyncRecord(
        key=record.key,
        value=record.value,
        sync_count=record.sync_count,
        last_modified_date=record.last_modified_date_ms,
        device_last_modified_date=(
            record.last_modified_date_ms if device_date is None else device_date
        ),
        op="replace" if record.value is not None else "remove",
    )


_AROUND: Final = _around()
