"""Shards read by subscriptions, as boto3 reads them with enhanced fan-out."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import cbor2
import pytest
from botocore.config import Config
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import EventStreamError
from urllib3.exceptions import ProtocolError

from acceptance.raw_http import RawClient, Request
from acceptance.streams import read_stream, subscribe_when_free
from acceptance.sync_client import Dataset, new_identity, refused
from millpond.testing.deadlines import seconds
from millpond.testing.server import wait_until
from processes import resident_bytes

SHARD = "shardId-000000000000"


def register(kinesis, stream, name=None):
    """Register a consumer and give its ARN, by the steps of a consumer library."""
    found = kinesis.describe_stream_summary(StreamName=stream)
    stream_arn = found["StreamDescriptionSummary"]["StreamARN"]
    consumer = kinesis.register_stream_consumer(
        StreamARN=stream_arn, ConsumerName=name or f"app-{uuid.uuid4().hex[:8]}"
    )["Consumer"]
    described = kinesis.describe_stream_consumer(ConsumerARN=consumer["ConsumerARN"])
    assert described["ConsumerDescription"]["ConsumerStatus"] == "ACTIVE"
    return consumer["ConsumerARN"]


@pytest.fixture
def subscribe():
    """Subscribes to shards; what is still open in the end is closed."""
    opened = []

    def begin(kinesis, consumer, shard=SHARD, kind="TRIM_HORIZON", **position):
        answer = kinesis.subscribe_to_shard(
            ConsumerARN=consumer,
            ShardId=shard,
            StartingPosition={"Type": kind, **position},
        )
        opened.append(answer["EventStream"])
        return iter(answer["EventStream"])

    yield begin
    for each in opened:
        each.close()


def read_to_the_end(subscribe, kinesis, consumer, shard):
    """Read a shard from its beginning until an event says that nothing is left."""
    found = []
    for each in subscribe(kinesis, consumer, shard):
        event = each["SubscribeToShardEvent"]
        found += event["Records"]
        if not event["MillisBehindLatest"]:
            return found
    raise AssertionError("the subscription ended before the shard did")


@pytest.fixture
def one_shard(kinesis):
    """A fresh stream with one shard."""
    name = f"one-{uuid.uuid4()}"
    kinesis.create_stream(StreamName=name, ShardCount=1)
    return name


def test_two_consumers_read_a_bulk_publish_to_its_end(
    server, sync, kinesis, pool, stream, subscribe
):
    """Each reads every shard whole and in order, while the other one reads it too."""
    for _ in range(30):
        dataset = Dataset(sync, pool, new_identity())
        dataset.put(**{f"k{n}": "v" * 100 for n in range(20)})
    sync.set_identity_pool_configuration(
        IdentityPoolId=pool,
        CognitoStreams={"StreamName": stream, "StreamingStatus": "ENABLED"},
    )
    consumers = [register(kinesis, stream) for _ in range(2)]
    shards = [
        each["ShardId"] for each in kinesis.list_shards(StreamName=stream)["Shards"]
    ]
    sync.bulk_publish(IdentityPoolId=pool)
    wait_until(
        lambda: (
            sync.get_bulk_publish_details(IdentityPoolId=pool)["BulkPublishStatus"]
            == "SUCCEEDED"
        )
    )
    readers = [(consumer, shard) for consumer in consumers for shard in shards]

    with ThreadPoolExecutor(len(readers)) as threads:
        read = list(
            threads.map(lambda r: read_to_the_end(subscribe, kinesis, *r), readers)
        )

    wanted = [
        (each.sequence_number, each.partition_key, each.data)
        for each in read_stream(kinesis, stream)
    ]
    found = [
        [(r["SequenceNumber"], r["PartitionKey"], r["Data"]) for r in records]
        for records in read
    ]
    half = len(shards)
    for of_one in (found[:half], found[half:]):
        assert list(itertools.chain(*of_one)) == wanted
    assert len({json.loads(data)["identityId"] for _, _, data in wanted}) == 30


def test_records_come_as_they_are_put(kinesis, one_shard, subscribe):
    """Without asking again; each event says where to go on."""
    consumer = register(kinesis, one_shard)
    events = subscribe(kinesis, consumer, kind="LATEST")
    first = next(events)["SubscribeToShardEvent"]
    put = [
        kinesis.put_record(StreamName=one_shard, Data=b"%d" % n, PartitionKey="k")
        for n in range(3)
    ]
    found = []
    for each in events:
        event = each["SubscribeToShardEvent"]
        found += event["Records"]
        if len(found) == 3:
            break

    assert first["Records"] == []
    assert [each["Data"] for each in found] == [b"0", b"1", b"2"]
    assert event["ContinuationSequenceNumber"] == put[-1]["SequenceNumber"]


def test_a_second_subscription_takes_over(kinesis, one_shard, subscribe):
    """Not within five seconds; then the first one is told."""
    consumer = register(kinesis, one_shard)
    first = subscribe(kinesis, consumer)
    next(first)
    with refused(400, "ResourceInUseException"):
        subscribe(kinesis, consumer)
    second_stream = subscribe_when_free(kinesis, consumer, SHARD, Type="TRIM_HORIZON")
    second = iter(second_stream)
    next(second)

    with pytest.raises(EventStreamError) as caught:
        for _ in first:
            pass
    assert caught.value.response["Error"]["Code"] == "ResourceInUseException"
    kinesis.put_record(StreamName=one_shard, Data=b"x", PartitionKey="k")
    event = next(second)["SubscribeToShardEvent"]
    assert [each["Data"] for each in event["Records"]] == [b"x"]
    second_stream.close()


def test_a_consumer_that_is_gone_is_told(kinesis, one_shard, subscribe):
    """Its subscription ends with an exception that names it."""
    consumer = register(kinesis, one_shard)
    events = subscribe(kinesis, consumer)
    next(events)
    kinesis.deregister_stream_consumer(ConsumerARN=consumer)

    with pytest.raises(EventStreamError) as caught:
        for _ in events:
            pass
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_what_cannot_be_subscribed_is_refused_before_any_event(
    kinesis, one_shard, subscribe
):
    """Before any event: unknown consumers and shards, positions without a number."""
    consumer = register(kinesis, one_shard)
    other = consumer.replace(":000000000000:", ":111111111111:")
    for arn in (f"{consumer}9", other):
        with refused(400, "ResourceNotFoundException"):
            subscribe(kinesis, arn)
    with refused(400, "ResourceNotFoundException"):
        subscribe(kinesis, consumer, "shardId-000000000001")
    with refused(400, "InvalidArgumentException"):
        subscribe(kinesis, consumer, kind="AT_SEQUENCE_NUMBER")
    with refused(400, "ValidationException"):
        subscribe(kinesis, "arn:aws:kinesis:us-east-1:000000000000:stream/x")


def test_cbor_has_its_events_in_cbor(server, kinesis, one_shard):
    """As the SDK for Java 2 asks: bytes as bytes, times in milliseconds with tag 1."""
    consumer = register(kinesis, one_shard)
    put = kinesis.put_record(StreamName=one_shard, Data=b"\x00\xff", PartitionKey="k")
    raw = RawClient(server)
    body = cbor2.dumps(
        {
            "ConsumerARN": consumer,
            "ShardId": SHARD,
            "StartingPosition": {"Type": "TRIM_HORIZON"},
        }
    )
    headers = (
        ("x-amz-target", "Kinesis_20131202.SubscribeToShard"),
        ("content-type", "application/x-amz-cbor-1.1"),
    )
    request = raw.signed(
        Request(method="POST", target=b"/", headers=headers, body=body),
        replace(raw.scope, service="kinesis"),
    )
    connection = http.client.HTTPConnection(*raw.address, timeout=seconds(20))
    connection.request("POST", "/", body, dict(request.headers))
    answer = connection.getresponse()
    buffer = EventStreamBuffer()
    frames: list[Any] = []
    while len(frames) < 2:
        buffer.add_data(answer.read1())
        frames += list(buffer)
    connection.close()

    assert answer.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert [each.headers[":event-type"] for each in frames] == [
        "initial-response",
        "SubscribeToShardEvent",
    ]
    form = "application/x-amz-cbor-1.1"
    assert {each.headers[":content-type"] for each in frames} == {form}
    event = cbor2.loads(frames[1].payload, semantic_decoders={1: keep_time})
    (record,) = event["Records"]
    assert record["Data"] == b"\x00\xff"
    assert record["SequenceNumber"] == put["SequenceNumber"]
    assert record["ApproximateArrivalTimestamp"].tag == 1
    arrival_ms = record["ApproximateArrivalTimestamp"].value
    assert abs(arrival_ms - time.time() * 1000) < 60_000


def keep_time(value, immutable):
    """Keep a time as it is tagged; the library takes it for seconds."""
    return cbor2.CBORTag(1, value)


def test_a_reader_that_does_not_read_costs_no_memory(start_server, subscribe):
    """What it has not read waits in the store and nowhere else."""
    server = start_server()
    kinesis = server.client("kinesis")
    kinesis.create_stream(StreamName="changes", ShardCount=1)
    consumers = [register(kinesis, "changes") for _ in range(10)]
    chunk = [{"Data": b"x" * 500_000, "PartitionKey": "k"}] * 8
    for _ in range(20):  # 80 MB
        kinesis.put_records(StreamName="changes", Records=chunk)
    before = resident_bytes(server.pid)
    streams = [subscribe(kinesis, each) for each in consumers]
    for each in streams:
        first_count = len(next(each)["SubscribeToShardEvent"]["Records"])
    # Others are served meanwhile, for as long as nobody reads on.
    for _ in range(20):
        kinesis.put_records(StreamName="changes", Records=chunk[:1])
    grown = resident_bytes(server.pid) - before

    # One event of each is on its way, in a few copies; the 800 MB of all are not.
    assert grown < 200 * 1_048_576
    count = first_count
    while count < 180:
        count += len(next(streams[0])["SubscribeToShardEvent"]["Records"])
    assert count == 180


def test_a_server_that_stops_ends_its_subscriptions(start_server, subscribe):
    """The reader sees an end and no error, and goes on after the start."""
    server = start_server()
    kinesis = server.client("kinesis")
    kinesis.create_stream(StreamName="changes", ShardCount=1)
    consumer = register(kinesis, "changes")
    kinesis.put_record(StreamName="changes", Data=b"1", PartitionKey="k")
    events = subscribe(kinesis, consumer)
    event = next(events)["SubscribeToShardEvent"]
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    for each in events:
        event = each["SubscribeToShardEvent"]
    stopping.join()

    server.start()
    kinesis = server.client("kinesis")
    kinesis.put_record(StreamName="changes", Data=b"2", PartitionKey="k")
    at = event["ContinuationSequenceNumber"]
    following = subscribe(
        kinesis, consumer, kind="AFTER_SEQUENCE_NUMBER", SequenceNumber=at
    )
    event = next(following)["SubscribeToShardEvent"]
    assert [each["Data"] for each in event["Records"]] == [b"2"]


def test_a_server_that_is_killed_loses_no_record(start_server, subscribe):
    """A reader goes on behind the last event that it got."""
    server = start_server()
    kinesis = server.client("kinesis", config=Config(read_timeout=seconds(20)))
    kinesis.create_stream(StreamName="changes", ShardCount=1)
    consumer = register(kinesis, "changes")
    put = [b"%d" % n for n in range(50)]
    records = [{"Data": each, "PartitionKey": "k"} for each in put]
    kinesis.put_records(StreamName="changes", Records=records)
    events = subscribe(kinesis, consumer)
    event = next(events)["SubscribeToShardEvent"]
    kinesis.put_record(StreamName="changes", Data=b"last", PartitionKey="k")
    server.kill()
    found = [each["Data"] for each in event["Records"]]
    try:
        for each in events:
            event = each["SubscribeToShardEvent"]
            found += [record["Data"] for record in event["Records"]]
    except ProtocolError:  # of urllib3; botocore lets it through
        pass

    server.start()
    kinesis = server.client("kinesis")
    at = event["ContinuationSequenceNumber"]
    following = subscribe(
        kinesis, consumer, kind="AFTER_SEQUENCE_NUMBER", SequenceNumber=at
    )
    event = next(following)["SubscribeToShardEvent"]
    found += [each["Data"] for each in event["Records"]]
    assert found == [*put, b"last"]
