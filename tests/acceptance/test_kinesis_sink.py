"""A pool that streams to a Kinesis which has its bad moments."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from acceptance.kinds import postgres_does
from acceptance.seeding import Seed, fill, identities
from acceptance.sync_client import Dataset, create_pool, new_identity
from millpond.testing.server import RunningServer, wait_until
from sinks.faulty_kinesis import (
    CREDENTIALS,
    CutAnswer,
    CutBefore,
    FailRecords,
    FaultyKinesis,
    Garbage,
    LoseAnswer,
    Refuse,
    Trouble,
)

pytestmark = postgres_does("how a Kinesis answers; what waits is in the contract")

Start = Callable[..., RunningServer]
AS_CALLER = ("env", *(f"{name}={value}" for name, value in CREDENTIALS.items()))
TROUBLES: list[Trouble] = [
    FailRecords(0, 7, 8),
    LoseAnswer(),
    Refuse(),
    CutAnswer(),
    FailRecords(1, code="InternalFailure"),
    CutBefore(),
    Refuse("ServiceUnavailable", 503),
    Garbage(),
]


@pytest.fixture
def kinesis() -> Iterator[FaultyKinesis]:
    """A stream of two shards."""
    with FaultyKinesis(shards=2) as running:
        yield running


@pytest.fixture
def streaming(start_server: Start, kinesis: FaultyKinesis) -> RunningServer:
    """A server to which the stream is known as `far`."""
    return start_server(
        command_prefix=AS_CALLER,
        settings={"streams": json.dumps({"far": kinesis.sink_url})},
    )


@pytest.fixture
def sync(streaming: RunningServer) -> Iterator[Any]:
    """The boto3 client of Cognito Sync."""
    client = streaming.client("cognito-sync")
    yield client
    client.close()


def use_stream(sync: Any, pool: str) -> None:
    sync.set_identity_pool_configuration(
        IdentityPoolId=pool,
        CognitoStreams={"StreamName": "far", "StreamingStatus": "ENABLED"},
    )


def status_of(sync: Any, pool: str) -> str:
    answer = sync.get_identity_pool_configuration(IdentityPoolId=pool)
    status: str = answer["CognitoStreams"]["StreamingStatus"]
    return status


def published(sync: Any, pool: str) -> Any:
    """Wait for the end of a bulk publish, and give its details."""

    def ended() -> Any:
        found = sync.get_bulk_publish_details(IdentityPoolId=pool)
        return found if found["BulkPublishStatus"] != "IN_PROGRESS" else None

    return wait_until(ended, timeout_s=60)


def test_a_bulk_publish_delivers_everything(
    streaming: RunningServer, kinesis: FaultyKinesis
) -> None:
    """Whatever goes wrong on the way, SUCCEEDED means that all of it has arrived."""
    pool = create_pool(streaming)
    streaming.stop()
    seeds = [Seed(each, "prefs", {"k": each}) for each in identities(800)]
    fill(streaming, pool, seeds)
    streaming.start()
    sync = streaming.client("cognito-sync")
    use_stream(sync, pool)
    kinesis.script("PutRecords", *TROUBLES)
    sync.bulk_publish(IdentityPoolId=pool)

    assert published(sync, pool)["BulkPublishStatus"] == "SUCCEEDED"
    arrived = {each.partition_key for each in kinesis.records()}
    assert arrived == {each.identity for each in seeds}
    assert len(kinesis.requests("PutRecords")) > len(TROUBLES)
    sync.close()


def test_live_changes_arrive_in_order(
    streaming: RunningServer, sync: Any, kinesis: FaultyKinesis
) -> None:
    """The last time that each change of an identity is seen, it is in its place."""
    pool = create_pool(streaming)
    use_stream(sync, pool)
    kinesis.script("PutRecords", *TROUBLES)
    dataset = Dataset(sync, pool, new_identity())
    for number in range(30):
        dataset.put(**{f"k{number}": "v"})

    def counts() -> list[int]:
        found: dict[int, None] = {}
        for each in kinesis.records():
            count = json.loads(each.data)["syncCount"]
            found.pop(count, None)
            found[count] = None
        return list(found)

    wait_until(lambda: counts() == list(range(1, 31)))
    assert status_of(sync, pool) == "ENABLED"


def test_a_stream_that_was_deleted_switches_streaming_off(
    streaming: RunningServer, sync: Any, kinesis: FaultyKinesis
) -> None:
    """As in the real service; a bulk publish says which stream it missed."""
    pool = create_pool(streaming)
    use_stream(sync, pool)
    dataset = Dataset(sync, pool, new_identity())
    dataset.put(a="1")
    wait_until(kinesis.records)
    kinesis.exists = False
    sync.bulk_publish(IdentityPoolId=pool)
    details = published(sync, pool)
    dataset.put(b="1")

    assert details["BulkPublishStatus"] == "FAILED"
    assert "'changes' in Kinesis" in details["FailureMessage"]
    wait_until(lambda: status_of(sync, pool) == "DISABLED")
