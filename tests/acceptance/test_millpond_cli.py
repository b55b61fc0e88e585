"""From a real server our command line prints what the AWS CLI does, byte for byte."""

from __future__ import annotations

import json

import pytest

from acceptance.kinds import embedded_does
from acceptance.sync_client import Dataset, new_identity, replace
from millpond.testing.server import wait_until

pytestmark = embedded_does("two command lines at one server, whichever it has")

POOL_OPTION = "--identity-pool-id"


@pytest.fixture
def both(aws, millpond):
    """Run a command with both programs and check that they did the same."""

    def run(*words, between=lambda: None):
        theirs = aws.run("cognito-sync", *words)
        between()
        ours = millpond.run("cognito-sync", *words)
        assert ours == theirs
        return ours

    return run


@pytest.fixture
def dataset(sync, pool, identity):
    """A dataset with records, a tombstone and characters of all kinds."""
    dataset = Dataset(sync, pool, identity)
    dataset.update(
        replace("a", "1", DeviceLastModifiedDate=1_577_934_245.5),
        replace("ö 😀", 'line\n"quoted" \u2028', 0),
        replace("gone", "x"),
    )
    dataset.update({"Op": "remove", "Key": "gone", "SyncCount": 1}, DeviceId="phone")
    return dataset


@pytest.fixture
def of_identity(dataset):
    """The options that name the identity."""
    return (POOL_OPTION, dataset.pool, "--identity-id", dataset.identity)


@pytest.fixture
def of_dataset(of_identity, dataset):
    """The options that name the dataset."""
    return (*of_identity, "--dataset-name", dataset.name)


@pytest.mark.parametrize("form", ["json", "text", "table"])
def test_list_records(both, dataset, of_dataset, form):
    """Listings are the same in every form of output."""
    # With a token, both are answered the same one.
    token = ("--sync-session-token", dataset.token())

    printed = both("list-records", *of_dataset, *token, "--output", form)

    assert printed.code == 0
    assert "😀".encode() in printed.out or b"\\ud83d\\ude00" in printed.out


def test_update_records(both, dataset, of_dataset):
    """An update prints the same; the second one is a repeat of the first."""
    patches = [
        {"Op": "replace", "Key": "new", "Value": "é", "SyncCount": 0},
        {"Op": "remove", "Key": "a", "SyncCount": 1},
    ]

    printed = both(
        "update-records",
        *of_dataset,
        *("--sync-session-token", dataset.token()),
        *("--record-patches", json.dumps(patches), "--client-context", "x"),
    )

    assert len(json.loads(printed.out)["Records"]) == 2
    assert dataset.values()["new"] == "é"


def test_update_records_in_shorthand(both, dataset, of_dataset):
    """Patches may be written in the CLI's short form."""
    printed = both(
        "update-records",
        *of_dataset,
        *("--sync-session-token", dataset.token()),
        *("--record-patches", "Op=replace,Key=s,Value=x y,SyncCount=0"),
    )

    assert printed.code == 0
    assert dataset.values()["s"] == "x y"


def test_conflict(both, dataset, of_dataset):
    """A conflict has the same message and the same exit status."""
    printed = both(
        "update-records",
        *of_dataset,
        *("--sync-session-token", dataset.token()),
        *("--record-patches", "Op=replace,Key=a,Value=x,SyncCount=7"),
    )

    assert b"Current SyncCount for: a is: 1 not: 7" in printed.err


@pytest.mark.parametrize(
    "words",
    [
        ("describe-dataset", "--dataset-name", "prefs"),
        ("list-datasets",),
        ("list-datasets", "--max-results", "1", "--output", "text"),
        ("list-datasets", "--query", "Datasets[].[DatasetName,DataStorage]"),
        ("describe-identity-usage", "--output", "table"),
    ],
)
def test_reading_an_identity(both, of_identity, words):
    """What is told of an identity and its datasets is the same."""
    assert both(*words, *of_identity).code == 0


@pytest.mark.parametrize(
    "operation", ["describe-identity-pool-usage", "get-identity-pool-configuration"]
)
def test_reading_a_pool(both, dataset, operation):
    """What is told of a pool is the same."""
    assert both(operation, POOL_OPTION, dataset.pool).code == 0


@pytest.mark.usefixtures("dataset")
def test_list_identity_pool_usage(both):
    """A page of pools is the same, with the token to the next one."""
    printed = both("list-identity-pool-usage", "--max-results", "1")

    assert json.loads(printed.out)["Count"] == 1


def test_delete_dataset(both, dataset, of_dataset):
    """Deleting prints the dataset, and deleting again the same refusal."""
    described = dataset.describe()
    both("describe-dataset", *of_dataset)
    assert dataset.delete() == described

    assert b"ResourceNotFoundException" in both("delete-dataset", *of_dataset).err


def test_our_delete_dataset(millpond, dataset, of_dataset):
    """Our own command deletes."""
    deleted = millpond.json("cognito-sync", "delete-dataset", *of_dataset)["Dataset"]

    assert deleted["DatasetName"] == dataset.name
    assert not dataset.list()["DatasetExists"]


def test_set_configuration(both, dataset):
    """Setting a configuration prints what is set."""
    printed = both(
        "set-identity-pool-configuration",
        *(POOL_OPTION, dataset.pool),
        *("--cognito-streams", "StreamName=changes,StreamingStatus=ENABLED"),
    )

    assert json.loads(printed.out)["CognitoStreams"]["StreamName"] == "changes"


def test_usage_errors(aws, millpond):
    """Command lines that are wrong end alike; the text names each program itself."""
    for words in (("bulk-publish",), ("no-such-operation",)):
        theirs = aws.run("cognito-sync", *words)
        ours = millpond.run("cognito-sync", *words)

        assert (ours.code, ours.out) == (theirs.code, theirs.out)
        assert ours.code == 2
        assert b"error: " in ours.err


def test_a_group_without_a_word_lists_its_commands(millpond):
    """The AWS CLI calls that an error; we show what there is, as everywhere."""
    ours = millpond.run("cognito-sync")

    assert (ours.code, ours.err) == (0, b"")
    assert b"bulk-publish" in ours.out


class TestBulkPublish:
    """bulk-publish and get-bulk-publish-details."""

    def details(self, pool, *words):
        return ("get-bulk-publish-details", POOL_OPTION, pool, *words)

    def wait_for_end(self, sync, pool):
        """Wait until no run is in progress."""
        wait_until(
            lambda: (
                sync.get_bulk_publish_details(IdentityPoolId=pool)["BulkPublishStatus"]
                != "IN_PROGRESS"
            )
        )

    @pytest.mark.parametrize("form", ["json", "text", "table"])
    def test_details_of_a_success(self, both, sync, streaming_pool, form):
        """The details of a run that succeeded are the same in every form."""
        sync.bulk_publish(IdentityPoolId=streaming_pool)
        self.wait_for_end(sync, streaming_pool)

        printed = both(*self.details(streaming_pool, "--output", form))

        assert b"SUCCEEDED" in printed.out

    def test_not_started(self, both, pool):
        """The details of a pool that was never published are the same."""
        assert b"NOT_STARTED" in both(*self.details(pool)).out

    def test_run_that_fails(self, both, sync, pool):
        """Starting a run and the details of its failure are the same."""
        Dataset(sync, pool, new_identity()).put(a="1")
        sync.set_identity_pool_configuration(
            IdentityPoolId=pool,
            CognitoStreams={"StreamName": "gone", "StreamingStatus": "ENABLED"},
        )

        # After a failure the second program can start a run at once.
        started = both(
            *("bulk-publish", POOL_OPTION, pool),
            between=lambda: self.wait_for_end(sync, pool),
        )
        self.wait_for_end(sync, pool)

        assert json.loads(started.out) == {"IdentityPoolId": pool}
        assert b"FAILED" in both(*self.details(pool)).out

    def test_refusals(self, both, sync, pool, streaming_pool):
        """Refused starts have the same message and exit status."""
        unknown = "us-east-1:00000000-0000-0000-0000-000000000000"
        sync.bulk_publish(IdentityPoolId=streaming_pool)
        self.wait_for_end(sync, streaming_pool)

        assert b"AlreadyStreamed" in both("bulk-publish", POOL_OPTION, pool).err
        assert b"ResourceNotFound" in both("bulk-publish", POOL_OPTION, unknown).err
        assert b"ResourceNotFound" in both(*self.details(unknown)).err
        assert both(*self.details("")).code != 0
