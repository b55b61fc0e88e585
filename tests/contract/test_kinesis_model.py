"""The part of Kinesis that we have is the published one, but for what is listed."""

from __future__ import annotations

import datetime
import json
import re

import msgspec
import pytest
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

import published
from millpond import limits
from millpond.contract import kinesis as contract
from millpond.contract.kinesis import API
from millpond.contract.shapes import Callers, members
from millpond.errors import SerializationException, ValidationException
from millpond.wire.decoding import RequestDecoder

STREAM_ID = "The API reserves it and has no use for it."
RECORD_SIZE = "A stream's default; the API can raise it, stream by stream."
PARTITION_KEY = "Only streams that place records on their own can do without."
COUNT = "The model's shape begins at 1, and the usual answer is 0."

WITHOUT_STREAM_ID = {
    "CreateStream",
    "DescribeAccountSettings",
    "DescribeLimits",
    "ListStreams",
    "UpdateAccountSettings",
}
DIFFERENCES = {
    **{
        f"{name}.StreamId: left out": STREAM_ID
        for name in API.by_name
        if name not in WITHOUT_STREAM_ID
    },
    "GetRecords.Records[member].Data: max 1048576 in place of 10485760": RECORD_SIZE,
    "SubscribeToShard.EventStream.SubscribeToShardEvent.Records[member].Data: "
    "max 1048576 in place of 10485760": RECORD_SIZE,
    "PutRecord.Data: max 1048576 in place of 10485760": RECORD_SIZE,
    "PutRecords.Records[member].Data: max 1048576 in place of 10485760": RECORD_SIZE,
    "PutRecord.PartitionKey: required or not": PARTITION_KEY,
    "PutRecords.Records[member].PartitionKey: required or not": PARTITION_KEY,
    "PutRecords.FailedRecordCount: FailedRecordCount in place of "
    "PositiveIntegerObject": COUNT,
    "PutRecords.FailedRecordCount: min 0 in place of 1": COUNT,
}


def test_the_operations_of_embedded_streams_are_there():
    """The table has every operation of the API, but for channels and queues."""
    of_others = re.compile("Channel|Queue")
    names = published.load("kinesis")["operations"]

    published.check(
        {each for each in names if not of_others.search(each)} ^ set(API.by_name)
    )
    assert list(API.by_name) == sorted(API.by_name)
    assert {each.callers for each in API.operations} == {Callers.DEVELOPER}


def test_operations_and_shapes_differ_from_the_published_model_as_listed(compared):
    """Names, order, constraints and required members: no more and no less differs."""
    comparison = compared(API)

    published.check(set(comparison.operations()) ^ set(DIFFERENCES))
    published.check(comparison.added_errors())


def test_requests_are_addressed_as_the_published_model_says(compared):
    """Target prefix, protocol and names in the metadata are the published ones."""
    comparison = compared(API)
    ours, theirs = comparison.ours["metadata"], comparison.theirs["metadata"]
    published.check(
        published.differences(ours, {k: v for k, v in theirs.items() if k in ours})
    )


def test_data_is_not_repeated_in_errors():
    """The bytes of a record are marked, wherever a client sends them."""
    shapes = (contract.PutRecordRequest, contract.PutRecordsRequestEntry)
    marked = [m.name for shape in shapes for m in members(shape) if m.sensitive]

    assert marked == ["Data", "Data"]


def decode(operation, given):
    """Decode a request as the server does."""
    row = API.by_name[operation]
    return RequestDecoder(API, row).decode(json.dumps(given).encode())


@pytest.mark.parametrize(
    ("operation", "given", "complaint"),
    [
        ("CreateStream", {"StreamName": "a b"}, "regular expression pattern"),
        ("CreateStream", {"StreamName": "a", "ShardCount": 0}, "'shardCount'"),
        ("DeleteStream", {"StreamARN": "arn:aws:s3:::a"}, "at 'streamARN' failed"),
        (
            "GetShardIterator",
            {"ShardId": "a", "ShardIteratorType": "NEWEST"},
            "AT_SEQUENCE_NUMBER, AFTER_SEQUENCE_NUMBER, TRIM_HORIZON, LATEST",
        ),
        ("GetShardIterator", {"ShardIteratorType": "LATEST"}, "null at 'shardId'"),
        ("GetRecords", {"ShardIterator": "x", "Limit": 10_001}, "equal to 10000"),
        ("GetRecords", {"ShardIterator": "x" * 513}, "equal to 512"),
        ("PutRecord", {"Data": "YQ=="}, "null at 'partitionKey'"),
        (
            "PutRecord",
            {"Data": "YQ==", "PartitionKey": "a", "ExplicitHashKey": "01"},
            "at 'explicitHashKey' failed",
        ),
        (
            "PutRecord",
            {
                "Data": "AAAA" * (limits.STREAM_RECORD_BYTES_MAX // 3 + 1),
                "PartitionKey": "a",
            },
            "Value at 'data' failed to satisfy constraint: Member must have length "
            "less than or equal to 1048576",
        ),
        ("PutRecords", {"Records": []}, "greater than or equal to 1"),
        (
            "PutRecords",
            {"Records": [{"Data": "", "PartitionKey": "a"}] * 501},
            "less than or equal to 500",
        ),
        (
            "PutRecords",
            {"Records": [{"Data": "", "PartitionKey": "a" * 257}]},
            "at 'records.1.member.partitionKey' failed",
        ),
    ],
)
def test_constraints_are_checked(operation, given, complaint):
    """A request that breaks a constraint is a ValidationException that names it."""
    with pytest.raises(ValidationException) as caught:
        decode(operation, given)

    assert complaint in caught.value.message


@pytest.mark.parametrize("data", ["no base64!", 1, ["YQ=="]])
def test_data_must_be_base64(data):
    """Anything else in the place of bytes cannot be read."""
    with pytest.raises(SerializationException):
        decode("PutRecord", {"Data": data, "PartitionKey": "a"})


def operation_model(compared, name):
    """Give the published model of an operation."""
    return ServiceModel(compared(API).theirs).operation_model(name)


def test_a_request_of_botocore_is_read(compared):
    """What the official serializer sends arrives member by member, bytes included."""
    time = datetime.datetime(2026, 1, 2, 3, 4, 5, 678_000, datetime.UTC)
    serializer = create_serializer("json")
    put = serializer.serialize_to_request(
        {
            "StreamName": "changes",
            "Records": [{"Data": b"\x00\xff", "PartitionKey": "k"}],
        },
        operation_model(compared, "PutRecords"),
    )
    get = serializer.serialize_to_request(
        {
            "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/changes",
            "ShardId": "shardId-000000000000",
            "ShardIteratorType": "AT_TIMESTAMP",
            "Timestamp": time,
        },
        operation_model(compared, "GetShardIterator"),
    )
    decoder = RequestDecoder(API, API.by_name["GetShardIterator"])

    assert put["headers"]["X-Amz-Target"] == "Kinesis_20131202.PutRecords"
    assert RequestDecoder(API, API.by_name["PutRecords"]).decode(
        put["body"]
    ) == contract.PutRecordsRequest(
        stream_name="changes",
        records=[contract.PutRecordsRequestEntry(data=b"\x00\xff", partition_key="k")],
    )
    request = decoder.decode(get["body"])
    assert isinstance(request, contract.GetShardIteratorRequest)
    assert request.stream_arn is not None
    # Older releases (1.36) send whole seconds.
    assert request.timestamp in (time.timestamp(), time.timestamp() // 1)


def test_an_answer_is_read_by_botocore(compared):
    """The official parser finds bytes, times and numbers where they belong."""
    answer = contract.GetRecordsResponse(
        records=[
            contract.Record(
                sequence_number="17",
                approximate_arrival_timestamp=1_750_000_000.25,
                data=b"\x00\xff",
                partition_key="k",
            )
        ],
        next_shard_iterator="next",
        millis_behind_latest=0,
    )
    parsed = create_parser("json").parse(
        {"status_code": 200, "headers": {}, "body": msgspec.json.encode(answer)},
        operation_model(compared, "GetRecords").output_shape,
    )
    (record,) = parsed["Records"]

    assert record["Data"] == b"\x00\xff"
    assert record["ApproximateArrivalTimestamp"].timestamp() == 1_750_000_000.25
    assert (parsed["NextShardIterator"], parsed["MillisBehindLatest"]) == ("next", 0)


def test_events_are_marked_as_in_the_published_model(compared):
    """What is a stream of events, and what an event, is what clients look at."""
    comparison = compared(API)
    marks = [
        {
            name: {k for k in ("eventstream", "event") if shapes[name].get(k)}
            for name in ("SubscribeToShardEventStream", "SubscribeToShardEvent")
        }
        for shapes in (comparison.ours["shapes"], comparison.theirs["shapes"])
    ]

    assert marks[0] == marks[1]


def test_zeros_and_empty_lists_are_sent():
    """What clients rely on is in an answer also when it is nothing."""
    answers = (
        contract.PutRecordsResponse(failed_record_count=0, records=[]),
        contract.GetRecordsResponse(
            records=[], next_shard_iterator="x", millis_behind_latest=0
        ),
        contract.ListStreamsResponse(stream_names=[], has_more_streams=False),
        contract.EnhancedMetrics(shard_level_metrics=[]),
    )

    assert [list(msgspec.to_builtins(each)) for each in answers] == [
        ["FailedRecordCount", "Records"],
        ["Records", "NextShardIterator", "MillisBehindLatest"],
        ["StreamNames", "HasMoreStreams"],
        ["ShardLevelMetrics"],
    ]
