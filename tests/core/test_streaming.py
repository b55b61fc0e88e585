"""What a consumer of a pool's stream reads."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.core import streaming
from millpond.core.streaming import (
    EncodedRecord,
    KinesisSyncRecord,
    StreamEvent,
    StreamRecord,
)
from millpond.core.sync import DatasetId, StoredRecord

PREFS = DatasetId("us-east-1:aa", "us-east-1:bb", "prefs")
IN_ORDER = [
    "identityPoolId",
    "identityId",
    "dataSetName",
    "operation",
    "kinesisSyncRecords",
    "lastModifiedDate",
    "kinesisSyncRecordsURL",
    "payloadType",
    "syncCount",
]
RECORDS = [
    StoredRecord("a", 'quoted "\u2603"', 7, 1000, "me", 900),
    StoredRecord("b", None, 7, 1000, "me", None),
    StoredRecord("c", "", 7, 1000, "me", 0),
]


def test_an_update_is_told_as_documented() -> None:
    """Fields, their order, dates in milliseconds, removed records as `remove`."""
    data = streaming.update_event(
        PREFS, RECORDS, sync_count=7, last_modified_date_ms=1000
    )
    event = json.loads(data)

    assert list(event) == IN_ORDER
    assert event == {
        "identityPoolId": "us-east-1:aa",
        "identityId": "us-east-1:bb",
        "dataSetName": "prefs",
        "operation": "replace",
        "kinesisSyncRecords": [
            {
                "key": "a",
                "value": 'quoted "\u2603"',
                "syncCount": 7,
                "lastModifiedDate": 1000,
                "deviceLastModifiedDate": 900,
                "op": "replace",
            },
            {
                "key": "b",
                "value": None,
                "syncCount": 7,
                "lastModifiedDate": 1000,
                "deviceLastModifiedDate": 1000,
                "op": "remove",
            },
            {
                "key": "c",
                "value": "",
                "syncCount": 7,
                "lastModifiedDate": 1000,
                "deviceLastModifiedDate": 0,
                "op": "replace",
            },
        ],
        "lastModifiedDate": 1000,
        "kinesisSyncRecordsURL": None,
        "payloadType": "Inline",
        "syncCount": 7,
    }


def test_a_snapshot_holds_the_records_it_was_given() -> None:
    """A bulk publish sends the whole dataset with `replace` and the dataset's count."""
    records = b'[{"key":"a","value":"1"}]'
    event = json.loads(
        streaming.snapshot_event(
            PREFS, records, sync_count=9, last_modified_date_ms=1000
        )
    )

    assert list(event) == IN_ORDER
    assert event["operation"] == "replace"
    assert event["kinesisSyncRecords"] == json.loads(records)
    assert (event["syncCount"], event["payloadType"]) == (9, "Inline")


def test_a_snapshot_of_whatever_name_is_whole() -> None:
    """Ids that look like a part of the event change nothing about it."""
    odd = '"kinesisSyncRecords":null, "kinesisSyncRecords":'
    event = json.loads(
        streaming.snapshot_event(
            DatasetId(odd, f"{odd}[]", odd),
            b"[]",
            sync_count=1,
            last_modified_date_ms=1,
        )
    )

    assert list(event) == IN_ORDER
    assert (event["identityPoolId"], event["identityId"]) == (odd, f"{odd}[]")
    assert event["kinesisSyncRecords"] == []


@given(st.text(), st.text(), st.text(), st.integers(0, 2**62), st.integers(0, 2**62))
def test_a_snapshot_is_what_its_event_is(
    pool: str, identity: str, name: str, count: int, date: int
) -> None:
    """Put together from pieces or encoded as a whole: the same bytes."""
    record = KinesisSyncRecord("k", pool, count, date, date, "replace")
    whole = StreamEvent(
        identity_pool_id=pool,
        identity_id=identity,
        data_set_name=name,
        operation="replace",
        kinesis_sync_records=[record],
        last_modified_date=date,
        sync_count=count,
    )

    pieces = streaming.snapshot_event(
        DatasetId(pool, identity, name),
        msgspec.json.encode([record]),
        sync_count=count,
        last_modified_date_ms=date,
    )

    assert pieces == msgspec.json.encode(whole)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (b"plain", EncodedRecord),
        ("\u2603\U0001f9c0".encode(), EncodedRecord),
        (b"\xed\xa0\x80", StreamRecord),
        (b"\xff", StreamRecord),
        (b"\xe2\x98", StreamRecord),
    ],
)
def test_only_text_is_called_encoded(value: bytes, kind: type[StreamRecord]) -> None:
    """What other programs wrote into a store may be no UTF-8: it is not trusted."""
    record = streaming.snapshot_record(
        PREFS,
        b'[{"value":"%b"}]' % value,
        sync_count=1,
        last_modified_date_ms=1,
        message_id="m",
    )

    assert type(record) is kind
    assert value in record.data
    assert (record.partition_key, record.message_id) == (PREFS.identity_id, "m")


def test_a_deletion_has_no_records() -> None:
    """The deletion of a dataset is `remove` without records and without a link."""
    data = streaming.deletion_event(PREFS, sync_count=10, last_modified_date_ms=2000)
    event = json.loads(data)

    assert event["operation"] == "remove"
    assert event["kinesisSyncRecords"] is None
    assert event["kinesisSyncRecordsURL"] is None
    assert (event["syncCount"], event["lastModifiedDate"]) == (10, 2000)


def test_records_can_be_moved_out() -> None:
    """A link takes their place; what is behind it is the array that was inside."""
    data = streaming.update_event(
        PREFS, RECORDS, sync_count=7, last_modified_date_ms=1000
    )
    moved = json.loads(streaming.move_records_out(data, "https://example.test/1"))

    assert list(moved) == IN_ORDER
    assert moved["kinesisSyncRecords"] is None
    assert moved["kinesisSyncRecordsURL"] == "https://example.test/1"
    assert moved["payloadType"] == "S3Url"
    rest = json.loads(data) | {
        "kinesisSyncRecords": None,
        "kinesisSyncRecordsURL": "https://example.test/1",
        "payloadType": "S3Url",
    }
    assert moved == rest
    behind = streaming.records_of(data)
    assert json.loads(behind) == json.loads(data)["kinesisSyncRecords"]
    decoded = msgspec.json.decode(behind, type=list[KinesisSyncRecord])
    assert [each.key for each in decoded] == ["a", "b", "c"]
