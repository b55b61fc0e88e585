"""
Kinesis in CBOR, as the SDKs for Java speak it.

They begin every map and list without a length, end it with a break, send data as byte
strings and times with tag 1 in milliseconds (SdkCborGenerator). The bytes are made, and
read, with another implementation than the server's.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import cbor2
import pytest

from acceptance.kinds import embedded_does
from acceptance.raw_http import Answer, RawClient, Request
from acceptance.streams import read_shard
from millpond.testing.server import RunningServer

pytestmark = embedded_does("another form of test_kinesis, which runs on both")

CBOR = "application/x-amz-cbor-1.1"
SHARD = "shardId-000000000000"


def keep_time(value: Any, immutable: bool) -> Any:
    """Keep a time as it is tagged; the other implementation takes it for seconds."""
    return cbor2.CBORTag(1, value)


def read_body(answer: Answer) -> Any:
    """Read the body of an answer; b"" is none."""
    assert answer.headers["content-type"] == CBOR
    if not answer.body:
        return None
    return cbor2.loads(answer.body, semantic_decoders={1: keep_time})


class Java:
    """A client that sends what the SDKs for Java send."""

    def __init__(self, server: RunningServer) -> None:
        self._raw = RawClient(server)

    def post(self, operation: str, body: bytes, content_type: str = CBOR) -> Answer:
        """Send a body as it is."""
        headers = (
            ("x-amz-target", f"Kinesis_20131202.{operation}"),
            ("content-type", content_type),
        )
        return self._raw.call("POST", "/", body, headers, "kinesis")

    def call(self, operation: str, **members: Any) -> Any:
        """Call an operation that succeeds."""
        answer = self.post(operation, cbor2.dumps(members, indefinite_containers=True))
        assert answer.status == 200, answer.body
        return read_body(answer)

    def refused(self, operation: str, body: bytes | dict[str, Any]) -> tuple[str, str]:
        """Call an operation that is refused: give type and message."""
        if isinstance(body, dict):
            body = cbor2.dumps(body, indefinite_containers=True)
        answer = self.post(operation, body)
        error = read_body(answer)
        assert answer.status == 400
        assert answer.error == error["__type"]
        return error["__type"], error["message"]


@pytest.fixture
def java(server: RunningServer) -> Java:
    """The SDK for Java."""
    return Java(server)


@pytest.fixture
def stream_name(java: Java) -> str:
    """A fresh stream with one shard."""
    name = f"cbor-{uuid.uuid4()}"
    assert java.call("CreateStream", StreamName=name, ShardCount=1) is None
    return name


def now_ms() -> int:
    """The time in epoch milliseconds."""
    return round(datetime.now(UTC).timestamp() * 1000)


class TestOperations:
    """All that a consumer and a producer call."""

    @pytest.mark.parametrize("body", [b"", b"\xa0", b"\xbf\xff"])
    def test_no_members(self, java, stream_name, body):
        """A request without members is an empty map of either kind, or no body."""
        answer = java.post("ListStreams", body)

        assert answer.status == 200
        assert "StreamNames" in read_body(answer)

    @pytest.mark.parametrize(
        "content_type", [CBOR.upper(), f"{CBOR}; charset=utf-8", f" {CBOR} ;x"]
    )
    def test_content_type(self, java, content_type):
        """The content type may have parameters, and letters of any case."""
        answer = java.post("ListStreams", b"\xa0", content_type)

        assert (answer.status, answer.headers["content-type"]) == (200, CBOR)

    def test_describe(self, java, kinesis, stream_name):
        """A stream is described as it is in JSON, its time in milliseconds."""
        found = java.call("DescribeStream", StreamName=stream_name)
        summary = java.call("DescribeStreamSummary", StreamName=stream_name)
        listed = java.call("ListStreams", ExclusiveStartStreamName=stream_name[:-1])

        theirs = kinesis.describe_stream(StreamName=stream_name)["StreamDescription"]
        ms = round(theirs["StreamCreationTimestamp"].timestamp() * 1000)
        ours = found["StreamDescription"]
        assert ours == {**theirs, "StreamCreationTimestamp": cbor2.CBORTag(1, ms)}
        assert abs(ms - now_ms()) < 60_000
        for each in (
            summary["StreamDescriptionSummary"],
            *(s for s in listed["StreamSummaries"] if s["StreamName"] == stream_name),
        ):
            assert each["StreamCreationTimestamp"] == cbor2.CBORTag(1, ms)

    def test_round_trip(self, java, kinesis, stream_name):
        """Data of any bytes is put, and read in both spellings as it was put."""
        data = [b"", b"\0", bytes(range(256)) * 5, *(b"%d" % n for n in range(30))]
        put = java.call(
            "PutRecords",
            StreamName=stream_name,
            Records=[{"Data": each, "PartitionKey": "ä"} for each in data],
        )
        one = java.call(
            "PutRecord", StreamName=stream_name, Data=b"last", PartitionKey="k"
        )

        (shard,) = java.call("ListShards", StreamName=stream_name)["Shards"]
        iterator = java.call(
            "GetShardIterator",
            StreamName=stream_name,
            ShardId=shard["ShardId"],
            ShardIteratorType="TRIM_HORIZON",
        )["ShardIterator"]
        page = java.call("GetRecords", ShardIterator=iterator, Limit=1000)

        assert put["FailedRecordCount"] == 0
        assert [each["Data"] for each in page["Records"]] == [*data, b"last"]
        assert [each["SequenceNumber"] for each in page["Records"]] == [
            *(each["SequenceNumber"] for each in put["Records"]),
            one["SequenceNumber"],
        ]
        assert page["MillisBehindLatest"] == 0
        assert java.call("GetRecords", ShardIterator=page["NextShardIterator"])
        for ours, theirs in zip(
            page["Records"], read_shard(kinesis, iterator), strict=True
        ):
            arrival = round(theirs["ApproximateArrivalTimestamp"].timestamp() * 1000)
            tagged = cbor2.CBORTag(1, arrival)
            assert ours == {**theirs, "ApproximateArrivalTimestamp": tagged}

    def test_begin_at_a_time(self, java, stream_name):
        """A reader begins at a time in milliseconds, to the millisecond."""
        for data in (b"first", b"second", b"third"):
            java.call("PutRecord", StreamName=stream_name, Data=data, PartitionKey="k")
        where = {"StreamName": stream_name, "ShardId": SHARD}

        def read(**position: Any) -> list[Any]:
            iterator = java.call("GetShardIterator", **where, **position)
            return java.call("GetRecords", **iterator)["Records"]

        records = read(ShardIteratorType="TRIM_HORIZON")
        for arrival in {r["ApproximateArrivalTimestamp"].value for r in records}:
            found = read(
                ShardIteratorType="AT_TIMESTAMP", Timestamp=cbor2.CBORTag(1, arrival)
            )
            assert found == [
                record
                for record in records
                if record["ApproximateArrivalTimestamp"].value >= arrival
            ]

    def test_delete(self, java, kinesis, stream_name):
        """An operation without an answer has an empty body."""
        assert java.call("DeleteStream", StreamName=stream_name) is None

        assert stream_name not in kinesis.list_streams()["StreamNames"]


class TestRefusals:
    """Errors are in CBOR too, with the words that they have in JSON."""

    @pytest.mark.parametrize(
        ("operation", "body"),
        [
            ("DescribeStream", {"StreamName": "no-such-stream"}),
            ("DescribeStream", {"StreamName": "a b"}),
            ("DescribeStream", {}),
            ("GetRecords", {"ShardIterator": "x"}),
            ("GetRecords", {}),
            ("CreateStream", {"StreamName": "s", "ShardCount": 0}),
            ("ListStreams", {"Limit": 0}),
            ("ListStreams", {"Limit": "1"}),
            ("ListShards", {"NextToken": "x"}),
            ("PutRecords", {"Records": []}),
        ],
    )
    def test_same_words(self, java, raw, operation, body):
        """Type and message are those of the same request in JSON."""
        in_json = raw.call_json(("kinesis", "Kinesis_20131202"), operation, body)

        assert java.refused(operation, body) == (in_json.error, in_json.message)

    @pytest.mark.parametrize(
        "body",
        [
            *(b"\xbf", b"\xa1", b"\xa1\x61", b"\xa1\x61a", b"\xff", b"\x00", b"\x80"),
            *(b"\xf6", b"{}", b'{"Limit": 1}', b"\xa0\x00", b"\xa1\x01\x02"),
            b"\xa2\x61a\x01\x61a\x01",
            b"\xa1\x61a\xc2\x41\x01",  # a tag
            b"\xa1\x61a" + b"\x81" * 1_000_000 + b"\x01",
            b"\xbf\x61a" + b"\x9f" * 1_000_000,
            b"\xa1\x61a\x9f" + b"\x80" * 4_000_000 + b"\xff",
            b"\xa1\x61a\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xa1\x61a\x9b\x00\x00\x00\x00\x00\xff\xff\xff",
            b"\xbb\x7f\xff\xff\xff\xff\xff\xff\xff",
        ],
        ids=lambda each: each[:8].hex(),
    )
    def test_bodies(self, java, body):
        """What is no CBOR, or means nothing here, is refused; the server lives on."""
        kind, _ = java.refused("ListStreams", body)

        assert kind == "SerializationException"
        assert java.call("ListStreams", Limit=1)

    def test_nothing_is_written(self, java, stream_name):
        """Of records with one that is wrong, none is stored."""
        entry = {"Data": b"x", "PartitionKey": "k"}
        for wrong in ({"Data": "x", "PartitionKey": "k"}, {"Data": b"x"}, b"x", None):
            java.refused(
                "PutRecords", {"StreamName": stream_name, "Records": [entry, wrong]}
            )

        iterator = java.call(
            "GetShardIterator",
            StreamName=stream_name,
            ShardId=SHARD,
            ShardIteratorType="TRIM_HORIZON",
        )
        assert java.call("GetRecords", **iterator)["Records"] == []

    def test_not_signed(self, server):
        """Who has not signed is told so in CBOR."""
        raw = RawClient(server)
        headers = (
            ("x-amz-target", "Kinesis_20131202.ListStreams"),
            ("content-type", CBOR),
        )

        answer = raw.send(Request(method="POST", headers=headers, body=b"\xa0"))

        assert answer.status == 400
        assert read_body(answer)["__type"] == "MissingAuthenticationTokenException"

    def test_too_large(self, java):
        """A body over the limit is told so in CBOR."""
        answer = java.post("ListStreams", b"\xa1\x61a\x5a" + b"\0" * 9_000_000)

        assert answer.status == 413
        assert read_body(answer)["__type"] == "RequestEntityTooLargeException"

    def test_another_api(self, raw):
        """An API that has no CBOR says so in its own form."""
        headers = (
            ("x-amz-target", "AWSCognitoIdentityService.ListIdentityPools"),
            ("content-type", CBOR),
        )

        answer = raw.call("POST", "/", b"\xa0", headers, "cognito-identity")

        assert (answer.status, answer.error) == (400, "SerializationException")
        assert answer.headers["content-type"] == "application/x-amz-json-1.1"
