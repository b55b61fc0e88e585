"""The real AWS CLI does its work on Millpond as it does on AWS."""

from __future__ import annotations

import json
import re

import pytest

from acceptance.kinds import embedded_does
from acceptance.streams import read_stream
from acceptance.sync_client import Dataset, new_identity
from millpond.testing.server import wait_until

pytestmark = embedded_does("what a client sends; the answers are those of test_sync")

MEMBERS_OF_A_DATASET = [
    "IdentityId",
    "DatasetName",
    "CreationDate",
    "LastModifiedDate",
    "LastModifiedBy",
    "DataStorage",
    "NumRecords",
]


@pytest.fixture
def cli(aws, pool):
    """Run an operation of cognito-sync on the pool."""

    def run(operation, *words):
        return aws.json("cognito-sync", operation, "--identity-pool-id", pool, *words)

    return run


@pytest.fixture
def of_identity(identity):
    """The option that names the identity."""
    return ("--identity-id", identity)


@pytest.fixture
def of_dataset(of_identity):
    """The options that name the dataset."""
    return (*of_identity, "--dataset-name", "prefs")


class TestSync:
    """Records and datasets."""

    def test_list_and_update_records(self, cli, of_dataset):
        """Records are listed, updated with the listing's token, and listed again."""
        listed = cli("list-records", *of_dataset)
        assert listed["Records"] == []
        assert listed["DatasetExists"] is False
        patches = [
            {"Op": "replace", "Key": "ä", "Value": "1", "SyncCount": 0},
            {"Op": "replace", "Key": "b", "Value": "", "SyncCount": 0},
        ]

        updated = cli(
            "update-records",
            *of_dataset,
            *("--sync-session-token", listed["SyncSessionToken"]),
            *("--record-patches", json.dumps(patches), "--device-id", "laptop"),
        )
        again = cli("list-records", *of_dataset, "--last-sync-count", "0")

        assert len(updated["Records"]) == 2
        assert all(record in updated["Records"] for record in again["Records"])
        assert [(r["Key"], r["Value"], r["SyncCount"]) for r in again["Records"]] == [
            ("b", "", 1),
            ("ä", "1", 1),
        ]
        assert again["LastModifiedBy"] == "laptop"

    def test_datasets(self, cli, dataset, of_identity, of_dataset):
        """Datasets are listed, described and deleted."""
        dataset.put(a="1")

        (listed,) = cli("list-datasets", *of_identity)["Datasets"]
        described = cli("describe-dataset", *of_dataset)["Dataset"]
        deleted = cli("delete-dataset", *of_dataset)["Dataset"]

        assert listed == described == deleted
        assert list(described) == MEMBERS_OF_A_DATASET
        assert not dataset.list()["DatasetExists"]

    def test_usage(self, cli, aws, dataset, of_identity):
        """Usage is told for an identity, for a pool and for all pools."""
        dataset.put(a="12345")

        usage = cli("describe-identity-usage", *of_identity)["IdentityUsage"]
        pool_usage = cli("describe-identity-pool-usage")["IdentityPoolUsage"]
        listed = aws.json("cognito-sync", "list-identity-pool-usage")

        assert (usage["DatasetCount"], usage["DataStorage"]) == (1, 6)
        assert pool_usage["DataStorage"] == 6
        assert listed["Count"] == len(listed["IdentityPoolUsages"]) > 0

    def test_configuration(self, cli):
        """Streams are configured and read back."""
        streams = {"StreamName": "changes", "StreamingStatus": "ENABLED"}

        answered = cli(
            "set-identity-pool-configuration",
            *("--cognito-streams", "StreamName=changes,StreamingStatus=ENABLED"),
        )

        assert answered["CognitoStreams"] == streams
        assert cli("get-identity-pool-configuration") == answered

    def test_errors(self, aws, pool, of_dataset):
        """A refusal is told in one line, with the exit status of a client error."""
        printed = aws.run(
            *("cognito-sync", "describe-dataset", "--identity-pool-id", pool),
            *of_dataset,
        )

        assert printed.out == b""
        assert printed.code not in (0, 2)
        assert re.search(
            rb"An error occurred \(ResourceNotFoundException\) when calling the "
            rb"DescribeDataset operation: .*prefs",
            printed.err,
        )


class TestBulkPublish:
    """bulk-publish and get-bulk-publish-details."""

    def test_details_as_the_reference_has_them(
        self, aws, cli, sync, kinesis, pool, stream
    ):
        """The output has the documented members for each status, in their order."""
        words = ("cognito-sync", "get-bulk-publish-details", "--identity-pool-id", pool)

        def printed(**members):
            text = json.dumps({"IdentityPoolId": pool, **members}, indent=4)
            return f"{text}\n".encode()

        assert aws.run(*words).out == printed(BulkPublishStatus="NOT_STARTED")

        Dataset(sync, pool, new_identity()).put(a="1")
        cli(
            "set-identity-pool-configuration",
            *("--cognito-streams", f"StreamName={stream},StreamingStatus=ENABLED"),
        )
        assert cli("bulk-publish") == {"IdentityPoolId": pool}

        def ended():
            found = sync.get_bulk_publish_details(IdentityPoolId=pool)
            return found if found["BulkPublishStatus"] != "IN_PROGRESS" else None

        times = wait_until(ended)
        assert aws.run(*words).out == printed(
            BulkPublishStartTime=times["BulkPublishStartTime"].timestamp(),
            BulkPublishCompleteTime=times["BulkPublishCompleteTime"].timestamp(),
            BulkPublishStatus="SUCCEEDED",
        )
        assert len(read_stream(kinesis, stream)) == 1

    def test_details_of_a_failure(self, aws, cli, sync, pool):
        """A failure is told with its message, and without a time of completion."""
        Dataset(sync, pool, new_identity()).put(a="1")
        cli(
            "set-identity-pool-configuration",
            *("--cognito-streams", "StreamName=gone,StreamingStatus=ENABLED"),
        )
        cli("bulk-publish")
        wait_until(
            lambda: (
                sync.get_bulk_publish_details(IdentityPoolId=pool)["BulkPublishStatus"]
                == "FAILED"
            )
        )

        found = cli("get-bulk-publish-details")

        assert list(found) == [
            "IdentityPoolId",
            "BulkPublishStartTime",
            "BulkPublishStatus",
            "FailureMessage",
        ]
        assert found["BulkPublishStatus"] == "FAILED"
        assert "gone" in found["FailureMessage"]

    def test_refusal(self, aws, pool):
        """A bulk publish without a stream is refused in the CLI's words."""
        printed = aws.run("cognito-sync", "bulk-publish", "--identity-pool-id", pool)

        assert printed.code not in (0, 2)
        assert re.search(
            rb"An error occurred \(InvalidParameterException\) when calling the "
            rb"BulkPublish operation: .*stream",
            printed.err,
        )


def test_identity_pools(aws):
    """Identity pools are created, described, updated, listed and deleted."""

    def run(operation, *words):
        return aws.json("cognito-identity", operation, *words)

    created = run(
        "create-identity-pool",
        *("--identity-pool-name", "from the CLI"),
        "--allow-unauthenticated-identities",
    )
    one = ("--identity-pool-id", created["IdentityPoolId"])

    assert run("describe-identity-pool", *one) == created
    updated = run(
        "update-identity-pool",
        *(*one, "--identity-pool-name", "renamed"),
        "--no-allow-unauthenticated-identities",
    )
    assert updated["IdentityPoolName"] == "renamed"
    listed = run("list-identity-pools", "--max-results", "60")["IdentityPools"]
    names = {each["IdentityPoolId"]: each["IdentityPoolName"] for each in listed}
    assert names[created["IdentityPoolId"]] == "renamed"
    run("delete-identity-pool", *one)
    assert aws.run("cognito-identity", "describe-identity-pool", *one).code != 0
