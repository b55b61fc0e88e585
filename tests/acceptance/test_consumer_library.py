"""Workers with leases read a bulk publish to its end, whoever falls by the way."""

from __future__ import annotations

import math
import uuid

import pytest

from acceptance.consumer_library import Worker, create_table
from acceptance.kinds import embedded_does
from acceptance.streams import read_stream
from acceptance.sync_client import Dataset, new_identity
from millpond.testing.deadlines import Deadline
from millpond.testing.server import wait_until
from sinks.moto_server import Moto

pytestmark = embedded_does("how consumers read; test_kinesis runs on both")

SHARDS = 3


@pytest.fixture
def dynamodb():
    """DynamoDB, as moto plays it, with a table for leases."""
    moto = Moto()
    client = moto.client("dynamodb")
    create_table(client)
    yield client
    client.delete_table(TableName="leases")
    moto.close()


@pytest.fixture
def published(sync, kinesis, pool):
    """A stream of three shards that a pool of forty datasets was published to."""
    stream = f"published-{uuid.uuid4()}"
    kinesis.create_stream(StreamName=stream, ShardCount=SHARDS)
    for _ in range(40):
        Dataset(sync, pool, new_identity()).put(k="v" * 50)
    sync.set_identity_pool_configuration(
        IdentityPoolId=pool,
        CognitoStreams={"StreamName": stream, "StreamingStatus": "ENABLED"},
    )
    sync.bulk_publish(IdentityPoolId=pool)
    wait_until(
        lambda: (
            sync.get_bulk_publish_details(IdentityPoolId=pool)["BulkPublishStatus"]
            == "SUCCEEDED"
        )
    )
    return stream


@pytest.mark.parametrize("fans_out", [False, True], ids=["polling", "fan-out"])
def test_workers_share_a_stream_and_take_over(kinesis, dynamodb, published, fans_out):
    """
    Nothing is missed and each shard stays in order, though one worker falls silent
    half-way; what it had not noted is processed again, and nothing else.
    """
    consumer = None
    if fans_out:
        summary = kinesis.describe_stream_summary(StreamName=published)
        consumer = kinesis.register_stream_consumer(
            StreamARN=summary["StreamDescriptionSummary"]["StreamARN"],
            ConsumerName="app",
        )["Consumer"]["ConsumerARN"]
    one, two = (
        Worker(name, published, kinesis, dynamodb, consumer) for name in ("one", "two")
    )
    one.work(math.ceil(SHARDS / 2))
    two.work(math.ceil(SHARDS / 2))
    early = list(one.processed)
    wanted = {
        (each.shard_id, each.sequence_number, each.data)
        for each in read_stream(kinesis, published)
    }
    assert len(wanted) == 40
    deadline = Deadline(60)
    # The first worker is silent from here on; the other one takes all.
    while set(early) | set(two.processed) != wanted:
        assert not deadline.passed(), deadline
        two.work(SHARDS)

    for worker in (one, two):
        for shard in {shard for shard, _, _ in worker.processed}:
            numbers = [int(n) for s, n, _ in worker.processed if s == shard]
            assert numbers == sorted(set(numbers))
    assert len(early) + len(two.processed) == len(wanted)  # all was noted in time
