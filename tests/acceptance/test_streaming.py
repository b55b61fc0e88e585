"""What our own operations tell of a bulk publish and of a stream, on real servers."""

from __future__ import annotations

import time

import pytest

from acceptance.raw_http import RawClient
from acceptance.seeding import Seed, fill, identities
from acceptance.sync_client import Dataset, create_pool
from millpond.testing.server import wait_until

UNKNOWN_POOL = "us-east-1:00000000-0000-0000-0000-000000000000"
OPERATIONS = ["bulkPublishProgress", "stream"]


def ask(raw, pool, operation):
    """Ask for what is known of a pool."""
    answer = raw.call("GET", f"/identitypools/{pool}/{operation}")
    assert answer.status == 200, answer.message
    return answer.json


def progress(raw, pool):
    """Ask how far the bulk publish of a pool is."""
    return ask(raw, pool, "bulkPublishProgress")


def wait_for_end(raw, pool):
    """Wait until the run has ended; give every answer on the way."""
    answers = []

    def ended():
        answers.append(progress(raw, pool))
        return answers[-1]["BulkPublishStatus"] != "IN_PROGRESS"

    wait_until(ended, timeout_s=60)
    return answers


def use_stream(sync, pool, name, **members):
    """Configure the stream of a pool."""
    streams = {"StreamName": name, "StreamingStatus": "ENABLED", **members}
    sync.set_identity_pool_configuration(IdentityPoolId=pool, CognitoStreams=streams)


def test_before_the_first_run(raw, pool):
    """A pool that was never published has an id and a status."""
    assert progress(raw, pool) == {
        "IdentityPoolId": pool,
        "BulkPublishStatus": "NOT_STARTED",
    }


def test_a_run_that_succeeded(sync, raw, streaming_pool, stream, identity):
    """Everything is delivered, slice by slice, and the API's details agree."""
    for name in ("a", "b", "c"):
        Dataset(sync, streaming_pool, identity, name).put(one="1", two="2")
    sync.bulk_publish(IdentityPoolId=streaming_pool)

    found = wait_for_end(raw, streaming_pool)[-1]

    path = f"/identitypools/{streaming_pool}/getBulkPublishDetails"
    details = raw.call("POST", path).json
    slices = found.pop("Slices")
    size = found.pop("BytesDelivered")
    assert found == {
        **details,
        "BulkPublishStatus": "SUCCEEDED",
        "StreamName": stream,
        "DatasetsDelivered": 3,
        "RecordsDelivered": 6,
        "DatasetCount": 3,
    }
    assert size > 3 * 100
    assert [each["SliceNumber"] for each in slices] == list(range(1, 17))
    assert {each["SliceStatus"] for each in slices} == {"DONE"}
    assert sum(each["DatasetsDelivered"] for each in slices) == 3
    assert sum(each["RecordsDelivered"] for each in slices) == 6
    assert sum(each["BytesDelivered"] for each in slices) == size


def test_a_run_that_failed(sync, raw, pool, identity):
    """The message is that of the details; nothing of it goes on."""
    use_stream(sync, pool, "no-such-stream", StreamingStatus="DISABLED")
    Dataset(sync, pool, identity).put(a="1")
    use_stream(sync, pool, "no-such-stream")
    sync.bulk_publish(IdentityPoolId=pool)

    found = wait_for_end(raw, pool)[-1]

    assert found["BulkPublishStatus"] == "FAILED"
    assert "no-such-stream" in found["FailureMessage"]
    assert (found["DatasetsDelivered"], found["DatasetCount"]) == (0, 1)
    assert {each["SliceStatus"] for each in found["Slices"]} == {"STOPPED"}
    assert "RecordsPerSecond" not in found
    assert "SecondsRemaining" not in found


def test_a_run_that_is_killed_in_the_middle(start_server):
    """What is told never goes back, also when the server is killed on the way."""
    server = start_server()
    pool = create_pool(server)
    server.client("kinesis").create_stream(StreamName="changes", ShardCount=1)
    server.stop()
    people = identities(3000)
    fill(server, pool, (Seed(i, "a", {"k": i}) for i in people))
    server.start()
    sync, raw = server.client("cognito-sync"), RawClient(server)
    use_stream(sync, pool, "changes")
    sync.bulk_publish(IdentityPoolId=pool)

    def begun():
        found = progress(raw, pool)
        return found if found["DatasetsDelivered"] else None

    before = wait_until(begun)
    server.kill()
    sync.close()
    server.start()
    answers = [before, *wait_for_end(RawClient(server), pool)]

    counts = [each["DatasetsDelivered"] for each in answers]
    assert counts == sorted(counts)
    assert counts[-1] == 3000
    assert answers[-1]["BulkPublishStatus"] == "SUCCEEDED"
    assert {each["DatasetCount"] for each in answers} == {3000}
    assert {each["BulkPublishStartTime"] for each in answers} == {
        before["BulkPublishStartTime"]
    }
    for each in answers:
        assert each.get("RecordsPerSecond", 0) >= 0
        assert each.get("SecondsRemaining", 0) >= 0


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_unknown_pool(raw, operation):
    """It is refused in Cognito Sync's words."""
    answer = raw.call("GET", f"/identitypools/{UNKNOWN_POOL}/{operation}")

    assert (answer.status, answer.error) == (404, "ResourceNotFoundException")
    assert answer.message == f"IdentityPool '{UNKNOWN_POOL}' not found"


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "pool", ["x", "us-east-1%3AXYZ", "%20", "us-east-1:" + 50 * "a"]
)
def test_what_is_no_id(raw, operation, pool):
    """An id that none can be is refused."""
    answer = raw.call("GET", f"/identitypools/{pool}/{operation}")

    assert (answer.status, answer.error) == (400, "InvalidParameterException")


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods(raw, pool, operation, method):
    """They are asked for with GET alone."""
    assert raw.call(method, f"/identitypools/{pool}/{operation}").status == 404


def test_a_pool_without_a_stream(raw, pool):
    """Nothing waits, and there is nothing to wait for."""
    assert ask(raw, pool, "stream") == {
        "IdentityPoolId": pool,
        "OutboxEntryCount": 0,
        "ParkedEntryCount": 0,
    }


def test_a_stream_that_takes_everything(sync, raw, streaming_pool, stream, identity):
    """The outbox is empty once everything was sent."""
    Dataset(sync, streaming_pool, identity).put(a="1")

    def sent():
        found = ask(raw, streaming_pool, "stream")
        return found if found["OutboxEntryCount"] == 0 else None

    assert wait_until(sent) == {
        "IdentityPoolId": streaming_pool,
        "StreamName": stream,
        "StreamingStatus": "ENABLED",
        "SinkScheme": "embedded",
        "OutboxEntryCount": 0,
        "ParkedEntryCount": 0,
    }


def test_a_stream_that_is_gone(sync, kinesis, raw, streaming_pool, stream, identity):
    """What could not be sent waits, while streaming is switched off."""
    kinesis.delete_stream(StreamName=stream)
    started = time.time()
    Dataset(sync, streaming_pool, identity).put(a="1")

    def switched_off():
        found = ask(raw, streaming_pool, "stream")
        return found if found["StreamingStatus"] == "DISABLED" else None

    found = wait_until(switched_off)

    assert found["OutboxEntryCount"] == 1
    assert 0 <= found["OldestEntryAgeSeconds"] <= time.time() - started + 1
    assert stream in found["DisabledReason"]
    assert started - 1 <= found["DisabledDate"] <= time.time() + 1
    shown = sync.get_identity_pool_configuration(IdentityPoolId=streaming_pool)
    assert shown["CognitoStreams"] == {
        "StreamName": stream,
        "StreamingStatus": "DISABLED",
    }
    kinesis.create_stream(StreamName=stream, ShardCount=1)
    use_stream(sync, streaming_pool, stream)

    def sent():
        return ask(raw, streaming_pool, "stream")["OutboxEntryCount"] == 0

    wait_until(sent)
    assert "DisabledReason" not in ask(raw, streaming_pool, "stream")
