"""Bulk publish: its states, what it refuses, and that every dataset arrives."""

from __future__ import annotations

import contextlib
import json
import re
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from acceptance.kinds import postgres_does
from acceptance.seeding import Seed, fill, identities
from acceptance.streams import read_stream
from acceptance.sync_client import (
    Dataset,
    create_pool,
    new_identity,
    refused,
    remove,
    replace,
)
from millpond.testing.server import wait_until

UNKNOWN_POOL = "us-east-1:00000000-0000-0000-0000-000000000000"
EVENT_MEMBERS = [
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
RECORD_MEMBERS = [
    "key",
    "value",
    "syncCount",
    "lastModifiedDate",
    "deviceLastModifiedDate",
    "op",
]


def details(sync, pool):
    """Get the details of a pool's last bulk publish, and nothing else."""
    answer = sync.get_bulk_publish_details(IdentityPoolId=pool)
    del answer["ResponseMetadata"]
    return answer


def wait_for_end(sync, pool):
    """Wait until the run has ended, and give its details."""

    def ended():
        found = details(sync, pool)
        return found if found["BulkPublishStatus"] != "IN_PROGRESS" else None

    return wait_until(ended, timeout_s=60)


def publish(sync, pool):
    """Run a bulk publish to its end."""
    answer = sync.bulk_publish(IdentityPoolId=pool)
    assert pool == answer["IdentityPoolId"]
    return wait_for_end(sync, pool)


def use_stream(sync, pool, name, status="ENABLED"):
    """Configure the stream of a pool."""
    sync.set_identity_pool_configuration(
        IdentityPoolId=pool,
        CognitoStreams={"StreamName": name, "StreamingStatus": status},
    )


def status_of_streaming(sync, pool):
    """Get the StreamingStatus of a pool."""
    answer = sync.get_identity_pool_configuration(IdentityPoolId=pool)
    return answer["CognitoStreams"]["StreamingStatus"]


def arrived(kinesis, stream, count):
    """Wait until a stream holds at least so many records, and give them."""

    def read():
        found = read_stream(kinesis, stream)
        return found if len(found) >= count else None

    return wait_until(read)


class TestStates:
    """GetBulkPublishDetails tells what belongs to the status, and nothing else."""

    def test_not_started(self, sync, pool):
        """A pool that was never published has an id and a status."""
        assert {
            "IdentityPoolId": pool,
            "BulkPublishStatus": "NOT_STARTED",
        } == details(sync, pool)

    def test_succeeded(self, sync, streaming_pool):
        """A run that succeeded has the times of its start and its end."""
        before = time.time()
        found = publish(sync, streaming_pool)

        start = found.pop("BulkPublishStartTime").timestamp()
        end = found.pop("BulkPublishCompleteTime").timestamp()
        assert {
            "IdentityPoolId": streaming_pool,
            "BulkPublishStatus": "SUCCEEDED",
        } == found
        assert before - 1 < start <= end < time.time() + 1

    def test_failed(self, sync, pool, identity):
        """A run that failed has a message that names the stream, and no end."""
        use_stream(sync, pool, "no-such-stream", "DISABLED")
        Dataset(sync, pool, identity).put(a="1")
        use_stream(sync, pool, "no-such-stream")

        found = publish(sync, pool)

        assert "no-such-stream" in found.pop("FailureMessage")
        assert abs(found.pop("BulkPublishStartTime").timestamp() - time.time()) < 60
        assert {"IdentityPoolId": pool, "BulkPublishStatus": "FAILED"} == found

    def test_dates_are_numbers_of_seconds(self, sync, raw, streaming_pool):
        """Dates on the wire are epoch seconds."""
        publish(sync, streaming_pool)
        path = f"/identitypools/{streaming_pool}/getBulkPublishDetails"

        found = raw.call("POST", path).json

        assert abs(found["BulkPublishStartTime"] - time.time()) < 60
        assert abs(found["BulkPublishCompleteTime"] - time.time()) < 60

    @pytest.mark.parametrize("body", [b"", b"{}"])
    def test_body_may_be_empty_or_an_object(self, raw, streaming_pool, body):
        """Some SDKs send nothing, others an empty object."""
        path = f"/identitypools/{streaming_pool}"

        assert raw.call("POST", f"{path}/getBulkPublishDetails", body).status == 200
        assert raw.call("POST", f"{path}/bulkpublish", body).status == 200


class TestRefusals:
    """BulkPublish refuses at once what cannot start, and leaves the last run alone."""

    def test_second_run_within_a_day(self, sync, streaming_pool):
        """After a success the next run has to wait."""
        first = publish(sync, streaming_pool)

        with refused(400, "AlreadyStreamedException") as refusal:
            sync.bulk_publish(IdentityPoolId=streaming_pool)

        assert "24 hours" in refusal.message
        assert "bulk_publish_pause_s" in refusal.message
        assert streaming_pool in refusal.message
        assert first == details(sync, streaming_pool)

    def test_no_stream(self, sync, pool):
        """Without a configured stream there is nothing to publish to."""
        with refused(400, "InvalidParameterException") as refusal:
            sync.bulk_publish(IdentityPoolId=pool)

        assert "stream" in refusal.message
        assert details(sync, pool)["BulkPublishStatus"] == "NOT_STARTED"

    def test_disabled_stream(self, sync, streaming_pool, stream):
        """A stream that is switched off takes no bulk publish; the details stay."""
        first = publish(sync, streaming_pool)
        use_stream(sync, streaming_pool, stream, "DISABLED")

        with refused(400, "InvalidParameterException") as refusal:
            sync.bulk_publish(IdentityPoolId=streaming_pool)

        assert stream in refusal.message
        assert first == details(sync, streaming_pool)

    def test_one_of_several_starts_wins(self, sync, streaming_pool):
        """Of starts at the same time exactly one starts a run."""

        def start(_):
            try:
                sync.bulk_publish(IdentityPoolId=streaming_pool)
            except (
                sync.exceptions.DuplicateRequestException,
                sync.exceptions.AlreadyStreamedException,
            ):
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            started = list(threads.map(start, range(8)))

        assert sum(started) == 1
        assert wait_for_end(sync, streaming_pool)["BulkPublishStatus"] == "SUCCEEDED"

    def test_unknown_pool(self, sync):
        """Both operations refuse a pool that does not exist."""
        for call in (sync.bulk_publish, sync.get_bulk_publish_details):
            with refused(404, "ResourceNotFoundException") as refusal:
                call(IdentityPoolId=UNKNOWN_POOL)
            assert f"IdentityPool '{UNKNOWN_POOL}' not found" == refusal.message

    def test_get_is_not_the_method(self, raw, pool):
        """GetBulkPublishDetails is a POST, and its path is case-sensitive."""
        path = f"/identitypools/{pool}"

        assert raw.call("GET", f"{path}/getBulkPublishDetails").status == 404
        assert raw.call("POST", f"{path}/getbulkpublishdetails").status == 404
        assert raw.call("POST", f"{path}/bulkPublish").status == 404


class TestFailure:
    """A run that failed can be started again at once, and publishes everything."""

    def test_deleted_stream(self, sync, kinesis, streaming_pool, stream, identity):
        """Without its stream a run fails; with a new one it succeeds at once."""
        dataset = Dataset(sync, streaming_pool, identity)
        dataset.put(a="1")
        arrived(kinesis, stream, 1)
        kinesis.delete_stream(StreamName=stream)

        failed = publish(sync, streaming_pool)

        assert failed["BulkPublishStatus"] == "FAILED"
        assert stream in failed["FailureMessage"]
        assert "BulkPublishCompleteTime" not in failed
        # A refused start leaves what is known about the failure.
        use_stream(sync, streaming_pool, stream, "DISABLED")
        with refused(400, "InvalidParameterException"):
            sync.bulk_publish(IdentityPoolId=streaming_pool)
        assert failed == details(sync, streaming_pool)

        kinesis.create_stream(StreamName=stream, ShardCount=1)
        use_stream(sync, streaming_pool, stream)
        succeeded = publish(sync, streaming_pool)

        assert succeeded["BulkPublishStatus"] == "SUCCEEDED"
        assert "FailureMessage" not in succeeded
        assert failed["BulkPublishStartTime"] < succeeded["BulkPublishStartTime"]
        (record,) = read_stream(kinesis, stream)
        assert (identity, dataset.name) == record.dataset


class TestWhatArrives:
    """The records of a bulk publish."""

    def test_every_live_record_arrives(self, sync, kinesis, pool, stream):
        """All datasets arrive with their live records, and nothing else does."""
        expected = {}
        for identity in identities(7):
            for name in ("prefs", "state:x"):
                dataset = Dataset(sync, pool, identity, name)
                dataset.put(a="1", b="ä 😀", gone="x")
                dataset.put(a="")
                dataset.update(remove("gone", 1))
                expected[identity, name] = {"a": ("", 2), "b": ("ä 😀", 1)}
        deleted = Dataset(sync, pool, new_identity())
        deleted.put(a="1")
        deleted.delete()
        use_stream(sync, pool, stream)

        publish(sync, pool)

        found = read_stream(kinesis, stream)
        assert Counter(expected.keys()) == Counter(each.dataset for each in found)
        for each in found:
            records = each.event["kinesisSyncRecords"]
            assert expected[each.dataset] == {
                r["key"]: (r["value"], r["syncCount"]) for r in records
            }

    def test_form_of_a_record(self, sync, kinesis, pool, stream, identity):
        """A stream record has the documented members, in the documented order."""
        dataset = Dataset(sync, pool, identity)
        dataset.update(
            replace("b", "2", DeviceLastModifiedDate=1_424_801_824), replace("a", "1")
        )
        dataset.update(replace("a", "3", 1))
        listed = {r["Key"]: r for r in dataset.list()["Records"]}
        use_stream(sync, pool, stream)

        publish(sync, pool)

        (record,) = read_stream(kinesis, stream)
        event = record.event
        assert identity == record.partition_key
        assert list(event) == EVENT_MEMBERS
        assert (pool, identity, "prefs") == tuple(event.values())[:3]
        assert (
            event["operation"],
            event["payloadType"],
            event["syncCount"],
        ) == ("replace", "Inline", 2)
        assert event["kinesisSyncRecordsURL"] is None
        modified = dataset.describe()["LastModifiedDate"]
        assert round(modified.timestamp() * 1000) == event["lastModifiedDate"]
        assert {"a", "b"} == {r["key"] for r in event["kinesisSyncRecords"]}
        for each in event["kinesisSyncRecords"]:
            assert list(each) == RECORD_MEMBERS
            same = listed[each["key"]]
            assert (same["Value"], same["SyncCount"], "replace") == (
                each["value"],
                each["syncCount"],
                each["op"],
            )
            modified_ms = round(same["LastModifiedDate"].timestamp() * 1000)
            assert modified_ms == each["lastModifiedDate"]
            assert type(each["lastModifiedDate"]) is int
            assert type(each["deviceLastModifiedDate"]) is int
        device_dates = {
            r["key"]: r["deviceLastModifiedDate"] for r in event["kinesisSyncRecords"]
        }
        assert device_dates["b"] == 1_424_801_824_000

    def test_other_pools_are_left_out(
        self, sync, kinesis, identity_pools, pool, stream, identity
    ):
        """A bulk publish is of one pool."""
        other = identity_pools.create_identity_pool(
            IdentityPoolName="other", AllowUnauthenticatedIdentities=True
        )["IdentityPoolId"]
        Dataset(sync, other, identity).put(a="1")
        Dataset(sync, pool, identity).put(a="1")
        use_stream(sync, pool, stream)

        publish(sync, pool)

        (record,) = read_stream(kinesis, stream)
        assert pool == record.event["identityPoolId"]

    def test_empty_dataset_arrives_without_records(
        self, sync, kinesis, pool, stream, identity
    ):
        """A dataset whose records were all removed is an existing dataset."""
        dataset = Dataset(sync, pool, identity)
        dataset.put(a="1")
        dataset.update(remove("a", 1))
        use_stream(sync, pool, stream)

        publish(sync, pool)

        (record,) = read_stream(kinesis, stream)
        assert (
            record.event["kinesisSyncRecords"],
            record.event["operation"],
            record.event["syncCount"],
        ) == ([], "replace", 2)

    def test_large_dataset_becomes_a_link(self, sync, kinesis, pool, stream, identity):
        """What does not fit into a stream record is fetched through the link in it."""
        values = {f"key-{n}": f"{n} é\n" * 115 for n in range(1024)}
        large = Dataset(sync, pool, identity)
        large.update(*(replace(k, v) for k, v in values.items()))
        Dataset(sync, pool, identity, "small").put(a="1")
        use_stream(sync, pool, stream)

        publish(sync, pool)

        events = {r.dataset[1]: r.event for r in read_stream(kinesis, stream)}
        assert events["small"]["payloadType"] == "Inline"
        event = events[large.name]
        assert list(event) == EVENT_MEMBERS
        assert (event["payloadType"], event["kinesisSyncRecords"]) == ("S3Url", None)
        with urllib.request.urlopen(event["kinesisSyncRecordsURL"]) as response:
            assert "application/json" in response.headers["content-type"]
            records = json.loads(response.read())
        assert values == {r["key"]: r["value"] for r in records}
        assert all(list(r) == RECORD_MEMBERS for r in records)
        assert {("replace", 1)} == {(r["op"], r["syncCount"]) for r in records}

    def test_link_opens_nothing_else(self, raw):
        """Links cannot be guessed, and need no signature."""
        answer = raw.call("GET", f"/stream-payloads/{'0' * 32}")

        assert answer.status == 404


class TestLiveUpdates:
    """Changes of datasets reach the stream by themselves."""

    def test_update_arrives(self, sync, kinesis, streaming_pool, stream, identity):
        """An update arrives with the records that it touched, and only those."""
        dataset = Dataset(sync, streaming_pool, identity)
        dataset.put(a="1", b="1")
        dataset.update(replace("a", "2", 1), remove("b", 1), replace("c", ""))

        first, second = arrived(kinesis, stream, 2)

        assert {identity} == {first.partition_key, second.partition_key}
        assert list(second.event) == EVENT_MEMBERS
        assert (first.event["syncCount"], second.event["syncCount"]) == (1, 2)
        assert second.event["operation"] == "replace"
        assert all(
            list(r) == RECORD_MEMBERS for r in second.event["kinesisSyncRecords"]
        )
        assert sorted(
            (r["key"], r["value"], r["syncCount"], r["op"])
            for r in second.event["kinesisSyncRecords"]
        ) == [
            ("a", "2", 2, "replace"),
            ("b", None, 2, "remove"),
            ("c", "", 2, "replace"),
        ]

    def test_deletion_arrives(self, sync, kinesis, streaming_pool, stream, identity):
        """The deletion of a dataset arrives without records and without a link."""
        dataset = Dataset(sync, streaming_pool, identity)
        dataset.put(a="1")
        dataset.delete()

        _, deletion = arrived(kinesis, stream, 2)

        event = deletion.event
        assert identity == deletion.partition_key
        assert event["operation"] == "remove"
        assert (
            event["kinesisSyncRecords"],
            event["kinesisSyncRecordsURL"],
        ) == (None, None)
        assert event["syncCount"] > 1

    def test_large_update_becomes_a_link(
        self, sync, kinesis, streaming_pool, stream, identity
    ):
        """A value that does not fit into a stream record is fetched through a link."""
        value = "\n" * 600_000  # JSON writes each with two characters
        Dataset(sync, streaming_pool, identity).put(k=value)

        (record,) = arrived(kinesis, stream, 1)

        assert record.event["payloadType"] == "S3Url"
        with urllib.request.urlopen(record.event["kinesisSyncRecordsURL"]) as response:
            (found,) = json.loads(response.read())
        assert ("k", value) == (found["key"], found["value"])

    def test_refused_updates_do_not_arrive(
        self, sync, kinesis, streaming_pool, stream, identity
    ):
        """Only what was written is told; neither refusals nor repeats are."""
        dataset = Dataset(sync, streaming_pool, identity)
        token = dataset.token()
        dataset.update(replace("a", "1"), token=token)
        with refused(409, "ResourceConflictException"):
            dataset.update(replace("a", "x", 5))
        dataset.update(replace("a", "1"), token=token)  # the answer was lost
        dataset.update()
        dataset.put(a="2")

        found = arrived(kinesis, stream, 2)

        assert [
            r["value"] for each in found for r in each.event["kinesisSyncRecords"]
        ] == ["1", "2"]

    def test_order_of_an_identity_is_kept(self, sync, kinesis, streaming_pool, stream):
        """The changes of each identity arrive in order, on one shard."""
        people = identities(6)
        for number in range(1, 16):
            for identity in people:
                name = "even" if number % 2 == 0 else "odd"
                Dataset(sync, streaming_pool, identity, name).put(n=str(number))

        found = arrived(kinesis, stream, 90)

        for identity in people:
            own = [each for each in found if each.partition_key == identity]
            assert len({each.shard_id for each in own}) == 1
            assert [str(n) for n in range(1, 16)] == [
                each.event["kinesisSyncRecords"][0]["value"] for each in own
            ]
        assert len({each.shard_id for each in found}) == 2

    def test_disabled_stream_gets_nothing(
        self, sync, kinesis, streaming_pool, stream, identity
    ):
        """What is written while streaming is switched off is not told later."""
        dataset = Dataset(sync, streaming_pool, identity)
        use_stream(sync, streaming_pool, stream, "DISABLED")
        dataset.put(a="hidden")
        use_stream(sync, streaming_pool, stream)
        dataset.put(a="shown")

        found = arrived(kinesis, stream, 1)

        (record,) = found[0].event["kinesisSyncRecords"]
        assert record["value"] == "shown"

    def test_deleted_stream_switches_streaming_off(
        self, sync, kinesis, streaming_pool, stream, identity
    ):
        """Updates go on without their stream, and the pool says that it is DISABLED."""
        dataset = Dataset(sync, streaming_pool, identity)
        dataset.put(n="0")
        kinesis.delete_stream(StreamName=stream)

        written = 0

        def write_until_disabled():
            nonlocal written
            written += 1
            dataset.put(n=str(written))
            return status_of_streaming(sync, streaming_pool) == "DISABLED"

        wait_until(write_until_disabled)

        assert {"n": str(written)} == dataset.values()
        with refused(400, "InvalidParameterException"):
            sync.bulk_publish(IdentityPoolId=streaming_pool)
        # With a new stream, and switched on again, changes arrive as before.
        kinesis.create_stream(StreamName=stream, ShardCount=1)
        use_stream(sync, streaming_pool, stream)
        dataset.put(n="last")

        def last_value():
            found = read_stream(kinesis, stream)
            if not found:
                return False
            (record,) = found[-1].event["kinesisSyncRecords"]
            return record["value"] == "last"

        wait_until(last_value)


@pytest.fixture
def prepared(start_server):
    """A server with a pool, a stream and many small slices, stopped again."""
    server = start_server(
        # Small slices, one after the other: a run has a middle to be disturbed in.
        settings={"bulk_publish_slices": "256", "bulk_publish_workers": "1"}
    )
    pool = create_pool(server)
    kinesis, sync = server.client("kinesis"), server.client("cognito-sync")
    kinesis.create_stream(StreamName="changes", ShardCount=2)
    use_stream(sync, pool, "changes", "DISABLED")
    kinesis.close()
    sync.close()
    server.stop()
    return server, pool


@postgres_does("changes in the middle are in the contract of stores")
class TestDisturbances:
    """What happens to a run when the world changes under it."""

    @pytest.fixture
    def running(self, prepared):
        """A pool of 1,200 datasets whose run is in its middle."""
        server, pool = prepared
        people = identities(1200)
        fill(server, pool, (Seed(i, "a", {"k": i}) for i in people))
        server.start()
        sync, kinesis = server.client("cognito-sync"), server.client("kinesis")
        use_stream(sync, pool, "changes")
        sync.bulk_publish(IdentityPoolId=pool)
        arrived(kinesis, "changes", 50)
        yield server, sync, kinesis, pool, people
        sync.close()
        kinesis.close()

    def test_stream_is_deleted(self, running):
        """The run fails, tells how far it got, and the next one publishes all."""
        _, sync, kinesis, pool, people = running
        kinesis.delete_stream(StreamName="changes")

        failed = wait_for_end(sync, pool)

        assert failed["BulkPublishStatus"] == "FAILED"
        message = failed["FailureMessage"]
        assert "changes" in message
        assert any(50 <= int(n) < 1200 for n in re.findall(r"\d+", message)), message
        assert "1200" in message.replace(",", "")
        kinesis.create_stream(StreamName="changes", ShardCount=2)
        use_stream(sync, pool, "changes")
        assert publish(sync, pool)["BulkPublishStatus"] == "SUCCEEDED"
        found = Counter(each.dataset for each in read_stream(kinesis, "changes"))
        assert found == Counter((i, "a") for i in people)

    def test_pool_is_deleted(self, running):
        """The run ends with its pool, and the server goes on without a fault."""
        server, sync, kinesis, pool, _ = running
        with contextlib.closing(server.client("cognito-identity")) as pools:
            pools.delete_identity_pool(IdentityPoolId=pool)
        other = create_pool(server)
        Dataset(sync, other, new_identity(), "other").put(a="1")
        use_stream(sync, other, "changes")

        assert publish(sync, other)["BulkPublishStatus"] == "SUCCEEDED"

        assert "other" in {each.dataset[1] for each in read_stream(kinesis, "changes")}
        assert not [line for line in server.log if '"worker.failed"' in line]

    def test_data_changes(self, running):
        """A consumer that keeps the highest count per key ends with what is stored."""
        _, sync, kinesis, pool, people = running
        changed = people[::40]
        for identity in changed:
            dataset = Dataset(sync, pool, identity, "a")
            dataset.put(k="new", more="new")
            dataset.update(remove("k", 2))
        deleted = people[1::40]
        for identity in deleted:
            Dataset(sync, pool, identity, "a").delete()
        Dataset(sync, pool, new_identity(), "late").put(a="1")
        assert wait_for_end(sync, pool)["BulkPublishStatus"] == "SUCCEEDED"

        def consumed():
            records: dict[tuple[str, str, str], tuple[int, str]] = {}
            gone: dict[tuple[str, str], int] = {}
            for each in read_stream(kinesis, "changes"):
                event = each.event
                if event["operation"] == "remove":
                    gone[each.dataset] = event["syncCount"]
                for record in event["kinesisSyncRecords"] or ():
                    key = (*each.dataset, record["key"])
                    count = record["syncCount"]
                    records[key] = max(
                        records.get(key, (0, "")), (count, record["value"] or "")
                    )
            return {
                (identity, name, key): value
                for (identity, name, key), (count, value) in records.items()
                if count > gone.get((identity, name), 0)
            }

        expected = {(i, "a", "k"): i for i in people if i not in deleted}
        for identity in changed:
            expected[identity, "a", "k"] = ""  # removed
            expected[identity, "a", "more"] = "new"

        def converged():
            found = consumed()
            late = [key for key in found if key[1] == "late"]
            return len(late) == 1 and expected == {
                key: value for key, value in found.items() if key[1] != "late"
            }

        wait_until(converged)


class TestCrashes:
    """A server that is killed loses nothing that it was to publish."""

    def test_killed_in_the_middle_of_a_run(self, prepared):
        """The run goes on after a restart, ends SUCCEEDED, and nothing is missing."""
        server, pool = prepared
        people = identities(2000)
        fill(
            server,
            pool,
            (Seed(i, name, {"k": i}) for i in people for name in ("a", "b")),
        )
        server.start()
        sync, kinesis = server.client("cognito-sync"), server.client("kinesis")
        use_stream(sync, pool, "changes")
        sync.bulk_publish(IdentityPoolId=pool)
        before = arrived(kinesis, "changes", 100)
        running = details(sync, pool)
        with refused(400, "DuplicateRequestException") as refusal:
            sync.bulk_publish(IdentityPoolId=pool)
        assert pool in refusal.message

        server.kill()
        sync.close()
        kinesis.close()
        server.start()
        sync, kinesis = server.client("cognito-sync"), server.client("kinesis")

        start = running.pop("BulkPublishStartTime")
        assert {"IdentityPoolId": pool, "BulkPublishStatus": "IN_PROGRESS"} == running
        resumed = details(sync, pool)
        assert resumed["BulkPublishStatus"] in ("IN_PROGRESS", "SUCCEEDED")
        ended = wait_for_end(sync, pool)
        assert ended["BulkPublishStatus"] == "SUCCEEDED"
        assert start == ended["BulkPublishStartTime"]
        assert ended["BulkPublishCompleteTime"] > start
        delivered = Counter(r.dataset for r in read_stream(kinesis, "changes"))
        assert {(i, name) for i in people for name in ("a", "b")} == set(delivered)
        # It went on from where it was: what had arrived was not all sent again.
        assert delivered.total() - len(delivered) < len(before)
        sync.close()
        kinesis.close()

    def test_stopped_in_the_middle_of_a_run(self, prepared):
        """A restart is no failure either: the run goes on by itself."""
        server, pool = prepared
        people = identities(1500)
        fill(server, pool, (Seed(i, "a", {"k": i}) for i in people))
        server.start()
        sync, kinesis = server.client("cognito-sync"), server.client("kinesis")
        use_stream(sync, pool, "changes")
        sync.bulk_publish(IdentityPoolId=pool)
        arrived(kinesis, "changes", 100)

        server.stop()
        sync.close()
        kinesis.close()
        server.start()
        sync, kinesis = server.client("cognito-sync"), server.client("kinesis")

        assert wait_for_end(sync, pool)["BulkPublishStatus"] == "SUCCEEDED"
        delivered = {r.dataset for r in read_stream(kinesis, "changes")}
        assert {(i, "a") for i in people} == delivered
        sync.close()
        kinesis.close()

    def test_killed_with_changes_in_the_outbox(self, prepared):
        """Changes that were acknowledged and not sent yet are sent after a restart."""
        server, pool = prepared
        server.start()
        sync = server.client("cognito-sync")
        use_stream(sync, pool, "changes")
        sync.close()
        server.kill()
        people = identities(300)
        fill(server, pool, (Seed(i, "a", {"k": i}) for i in people))

        server.start()
        kinesis = server.client("kinesis")

        found = arrived(kinesis, "changes", 300)
        assert {(i, "a") for i in people} == {each.dataset for each in found}
        kinesis.close()

    def test_killed_while_changes_flow(self, prepared):
        """Every change that was acknowledged before the crash reaches the stream."""
        server, pool = prepared
        server.start()
        sync = server.client("cognito-sync")
        use_stream(sync, pool, "changes")
        dataset = Dataset(sync, pool, new_identity())
        acknowledged = 0
        for number in range(1, 61):
            dataset.update(replace("n", str(number), number - 1))
            acknowledged = number
        server.kill()
        sync.close()
        server.start()
        kinesis = server.client("kinesis")

        found = arrived(kinesis, "changes", acknowledged)

        counts = [each.event["syncCount"] for each in found]
        once = list(dict.fromkeys(counts))  # at least once: repeats are allowed
        assert list(range(1, acknowledged + 1)) == once
        kinesis.close()
