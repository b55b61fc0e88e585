"""Datasets that are larger than a stream record: they arrive as a link to them."""

from __future__ import annotations

import json
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.error import HTTPError

import pytest

from acceptance.kinds import embedded_does
from acceptance.streams import read_stream
from acceptance.sync_client import Dataset, create_pool, new_identity
from millpond.testing.server import RunningServer, wait_until
from sinks.faulty_kinesis import CREDENTIALS, FaultyKinesis
from sinks.moto_server import Moto

pytestmark = embedded_does("where payloads are kept, which no store sees")

Start = Callable[..., RunningServer]
# Each of these characters takes two bytes as a value, and six in JSON.
LARGE = {f"key-{n}": "\x01" * 40_000 for n in range(5)}
AS_CALLER = ("env", *(f"{name}={value}" for name, value in CREDENTIALS.items()))


@pytest.fixture
def moto() -> Iterator[Moto]:
    """An S3 with a bucket."""
    running = Moto()
    client = running.client("s3")
    client.create_bucket(Bucket="large-records")
    client.close()
    yield running
    running.close()


def stream_of(server: RunningServer, pool: str, name: str) -> None:
    """Switch the stream of a pool on."""
    sync = server.client("cognito-sync")
    sync.set_identity_pool_configuration(
        IdentityPoolId=pool,
        CognitoStreams={"StreamName": name, "StreamingStatus": "ENABLED"},
    )
    sync.close()


def write_large(server: RunningServer, pool: str) -> Dataset:
    """Write a dataset whose event is larger than 1 MiB."""
    sync = server.client("cognito-sync")
    dataset = Dataset(sync, pool, new_identity())
    dataset.put(**LARGE)
    sync.close()
    return dataset


def fetch(url: str) -> Any:
    """Get what a link leads to, with nothing but the link."""
    with urllib.request.urlopen(url) as answer:
        assert answer.headers["Content-Type"] == "application/json"
        return json.load(answer)


def check(event: Any, dataset: Dataset) -> str:
    """Check an event and what its link leads to; give the link."""
    url: str = event["kinesisSyncRecordsURL"]

    assert event["identityId"] == dataset.identity
    assert event["payloadType"] == "S3Url"
    assert event["kinesisSyncRecords"] is None
    assert {each["key"]: each["value"] for each in fetch(url)} == LARGE
    return url


def test_a_large_dataset_arrives_in_a_bucket(start_server: Start, moto: Moto) -> None:
    """Live and in bulk: a presigned link in Kinesis, the records in the bucket."""
    with FaultyKinesis() as kinesis:
        server = start_server(
            command_prefix=AS_CALLER,
            settings={
                "streams": json.dumps({"far": kinesis.sink_url}),
                "stream_payload_store": (
                    f"s3://large-records/stream?region=us-east-1&endpoint={moto.url}"
                ),
            },
        )
        pool = create_pool(server)
        stream_of(server, pool, "far")
        dataset = write_large(server, pool)
        wait_until(kinesis.records)
        sync = server.client("cognito-sync")
        sync.bulk_publish(IdentityPoolId=pool)
        wait_until(lambda: len(kinesis.records()) == 2, timeout_s=30)
        sync.close()
        links = [check(json.loads(each.data), dataset) for each in kinesis.records()]

    assert len(set(links)) == 2
    for link in links:
        assert link.startswith(f"{moto.url}/large-records/stream/")
        assert "X-Amz-Expires=86700&" in link


def test_a_bucket_that_is_missing_holds_the_stream_up_and_no_more(
    start_server: Start, moto: Moto
) -> None:
    """Streaming stays on, writes go on, and all arrives when the bucket is there."""
    bucket = f"later-{uuid.uuid4()}"  # there must be none from an earlier run
    url = f"s3://{bucket}/stream?region=us-east-1&endpoint={moto.url}"
    server = start_server(
        command_prefix=AS_CALLER, settings={"stream_payload_store": url}
    )
    kinesis = server.client("kinesis")
    kinesis.create_stream(StreamName="near", ShardCount=1)
    pool = create_pool(server)
    stream_of(server, pool, "near")
    dataset = write_large(server, pool)
    wait_until(lambda: any("NoSuchBucket" in line for line in server.log), timeout_s=60)
    s3 = moto.client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.close()

    # The relay may be in the longest of its pauses.
    (record,) = wait_until(lambda: read_stream(kinesis, "near"), timeout_s=60)
    check(record.event, dataset)
    kinesis.close()


def test_an_embedded_link_opens_one_payload(
    server: RunningServer, kinesis: Any, streaming_pool: str, stream: str
) -> None:
    """The link works unsigned; what only looks like one leads nowhere."""
    dataset = write_large(server, streaming_pool)
    (record,) = wait_until(lambda: read_stream(kinesis, stream))
    url = check(record.event, dataset)
    folder, _, payload_id = url.rpartition("/")

    for other in (
        f"{folder}/{uuid.uuid4().hex}",
        f"{folder}/{payload_id[:-1]}",
        f"{folder}/",
        f"{folder}/{payload_id[:-1]}%25",
    ):
        with pytest.raises(HTTPError) as caught:
            urllib.request.urlopen(other)
        caught.value.close()

        assert caught.value.code == 404


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("/a/folder", "'stream_payload_store' must begin with s3://"),
        ("s3://A", "'stream_payload_store': The URL of a bucket is"),
    ],
)
def test_a_payload_store_that_cannot_be_is_refused_at_the_start(
    start_server: Start, value: str, complaint: str
) -> None:
    """The server does not start, and says which setting is wrong."""
    with pytest.raises(RuntimeError, match=complaint):
        start_server(settings={"stream_payload_store": value})
