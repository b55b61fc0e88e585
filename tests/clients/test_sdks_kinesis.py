"""
The stock Kinesis clients of the AWS SDKs for JavaScript and Go read a bulk publish.

Nothing is set but endpoint, region and credentials. That for JavaScript speaks HTTP/2,
those for Go do so over TLS, each by itself.
"""

from __future__ import annotations

import base64
import contextlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acceptance.sync_client import Dataset, new_identity
from certificates import make_certificate
from clients.command_process import CommandProcess
from clients.sdks import SDKS, StartSdk
from millpond.testing.server import RunningServer, wait_until

IDENTITIES = 40


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate and its key."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module", params=["http", "https"])
def server(
    request: pytest.FixtureRequest,
    certificate: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningServer]:
    """A server without TLS, and one with it."""
    files = dict(
        zip(("tls_certificate", "tls_key"), map(str, certificate), strict=True)
    )
    settings = files if request.param == "https" else {}
    data = tmp_path_factory.mktemp("kinesis") / "data"
    with RunningServer(data, settings=settings) as running:
        yield running


@pytest.fixture(scope="module", params=SDKS)
def kinesis(
    request: pytest.FixtureRequest,
    start_sdk: StartSdk,
    server: RunningServer,
    certificate: tuple[Path, Path],
) -> Iterator[Kinesis]:
    """The client, which trusts the server's certificate."""
    # Each of the three looks at another one.
    names = ("NODE_EXTRA_CA_CERTS", "AWS_CA_BUNDLE", "SSL_CERT_FILE")
    process = start_sdk(request.param, dict.fromkeys(names, str(certificate[0])))
    yield Kinesis(process, server)
    process.close()


class Kinesis:
    """The SDK's client."""

    def __init__(self, process: CommandProcess, server: RunningServer) -> None:
        self._process = process
        self._config = {
            "endpoint": server.endpoint,
            "region": server.region,
            "credentials": {
                "accessKeyId": server.access_key_id,
                "secretAccessKey": server.secret_access_key,
            },
        }

    def send(self, operation: str, **input: Any) -> Any:
        """Call an operation; give its result, or what was thrown."""
        command = {"api": "kinesis", "operation": operation, "input": input}
        answer = self._process.call({**command, "config": self._config})
        return answer.get("result", answer.get("error"))

    def read_to_the_end(self, stream: str) -> list[Any]:
        """Read all shards of a stream to their ends."""
        found: list[Any] = []
        for shard in self.send("ListShards", StreamName=stream)["Shards"]:
            iterator = self.send(
                "GetShardIterator",
                StreamName=stream,
                ShardId=shard["ShardId"],
                ShardIteratorType="TRIM_HORIZON",
            )["ShardIterator"]
            page: dict[str, Any] = {"MillisBehindLatest": 1}
            while page["MillisBehindLatest"]:
                page = self.send("GetRecords", ShardIterator=iterator, Limit=7)
                iterator = page["NextShardIterator"]
                found += page["Records"]
        return found


def test_bulk_publish(kinesis, server, certificate):
    """Every dataset that was published in bulk is read, in several pages."""
    stream = f"published-{uuid.uuid4()}"
    kinesis.send("CreateStream", StreamName=stream, ShardCount=3)
    trust = {"verify": str(certificate[0])}
    with (
        contextlib.closing(server.client("cognito-sync", **trust)) as sync,
        contextlib.closing(server.client("cognito-identity", **trust)) as identities,
    ):
        pool = identities.create_identity_pool(
            IdentityPoolName="published", AllowUnauthenticatedIdentities=True
        )["IdentityPoolId"]
        people = [new_identity() for _ in range(IDENTITIES)]
        for number, each in enumerate(people):
            Dataset(sync, pool, each).put(number=str(number), text="ä" * 500)
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

    records = kinesis.read_to_the_end(stream)

    events = [json.loads(base64.b64decode(each["Data"])) for each in records]
    numbers = {
        event["identityId"]: record["value"]
        for event in events
        for record in event["kinesisSyncRecords"]
        if record["key"] == "number"
    }
    assert numbers == {each: str(number) for number, each in enumerate(people)}
    assert len({each["SequenceNumber"] for each in records}) == len(records)


def test_subscriptions(kinesis, server, certificate):
    """Two consumers read each shard to its end; a second place is refused at first."""
    stream = f"subscribed-{uuid.uuid4()}"
    kinesis.send("CreateStream", StreamName=stream, ShardCount=2)
    records = [{"Data": b"%d" % n, "PartitionKey": f"key {n}"} for n in range(200)]
    with contextlib.closing(
        server.client("kinesis", verify=str(certificate[0]))
    ) as boto:
        put = boto.put_records(StreamName=stream, Records=records)["Records"]
    wanted = {each["SequenceNumber"] for each in put}
    summary = kinesis.send("DescribeStreamSummary", StreamName=stream)
    consumers = [
        kinesis.send(
            "RegisterStreamConsumer",
            StreamARN=summary["StreamDescriptionSummary"]["StreamARN"],
            ConsumerName=name,
        )["Consumer"]["ConsumerARN"]
        for name in ("one", "two")
    ]

    def subscribe(consumer: str, shard: str) -> Any:
        return kinesis.send(
            "SubscribeToShard",
            ConsumerARN=consumer,
            ShardId=shard,
            StartingPosition={"Type": "TRIM_HORIZON"},
        )

    for consumer in consumers:
        found = []
        for shard in ("shardId-000000000000", "shardId-000000000001"):
            for event in subscribe(consumer, shard)["EventStream"]:
                found += [each["SequenceNumber"] for each in event["Records"]]
        assert len(found) == len(set(found))
        assert set(found) == wanted
    refusal = subscribe(consumers[0], "shardId-000000000001")
    assert refusal["code"] == "ResourceInUseException"
    assert refusal["typed"]


def test_refusals(kinesis):
    """An error has the class that an app catches, and says what is wrong."""
    missing = kinesis.send("DescribeStream", StreamName="no-such-stream")
    broken = kinesis.send("DescribeStream", StreamName="a b")

    assert (missing["code"], missing["status"]) == ("ResourceNotFoundException", 400)
    assert missing["typed"]
    assert "no-such-stream" in missing["message"]
    assert broken["code"] == "ValidationException"
    assert "'streamName'" in broken["message"]
