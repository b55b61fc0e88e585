"""boto3 and the AWS CLI work with the temporary credentials of a user."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from acceptance.command_line import AWS, CommandLine, Printed
from acceptance.sync_client import Dataset, refused, replace
from acceptance.users import UserCredentials, client_of, get_credentials


@pytest.fixture
def user(anonymous, backend):
    """A signed-in user's credentials."""
    return get_credentials(anonymous, backend.pool, backend.sign_in())


@pytest.fixture
def dataset(server, user, pool):
    """A dataset of the user, who calls with credentials of their own."""
    client = client_of(server, user)
    yield Dataset(client, pool, user.identity_id)
    client.close()


class TestBoto3:
    """boto3 with `aws_session_token`."""

    def test_round_trip(self, dataset):
        """A user's records are updated and listed."""
        updated = dataset.update(replace("a", "1"), replace("ä 𝄞", ""))

        assert {r["Key"]: r["SyncCount"] for r in updated["Records"]} == {
            "a": 1,
            "ä 𝄞": 1,
        }
        assert dataset.values() == {"a": "1", "ä 𝄞": ""}

    def test_same_data(self, dataset, sync, user):
        """The developer sees what the user wrote, and who it was."""
        dataset.put(a="1")

        (record,) = Dataset(sync, dataset.pool, user.identity_id).list()["Records"]

        assert (record["Value"], record["LastModifiedBy"]) == ("1", user.identity_id)

    def test_device_id(self, dataset):
        """A device that names itself is who changed the record."""
        dataset.update(replace("a", "1"), DeviceId="phone")

        assert dataset.list()["Records"][0]["LastModifiedBy"] == "phone"

    def test_usage(self, dataset, user):
        """A user may ask how much their identity stores."""
        dataset.put(key="value")

        usage = dataset.client.describe_identity_usage(
            IdentityPoolId=dataset.pool, IdentityId=user.identity_id
        )["IdentityUsage"]

        assert (usage["DatasetCount"], usage["DataStorage"]) == (1, 8)

    @pytest.mark.parametrize("mode", ["legacy", "standard"])
    def test_a_full_dataset(self, server, user, pool, mode):
        """However often the SDK sends it, nothing is kept and the session goes on."""
        config = Config(retries={"mode": mode})
        client = client_of(server, user, config=config)
        dataset = Dataset(client, pool, user.identity_id)
        token = dataset.token()
        too_many = [replace(str(number), "") for number in range(1025)]

        with refused(400, "LimitExceededException"):
            dataset.update(*too_many, token=token)
        dataset.update(*too_many[1:], token=token)

        assert dataset.list()["DatasetSyncCount"] == 1

    def test_another_identity(self, dataset, anonymous):
        """A user reaches no other identity of the pool, to read or to write."""
        other = get_credentials(anonymous, dataset.pool)
        token = dataset.token()
        dataset.identity = other.identity_id

        with refused(403, "NotAuthorizedException"):
            dataset.list()
        with refused(403, "NotAuthorizedException"):
            dataset.update(replace("a", "1"), token=token)
        with refused(403, "NotAuthorizedException"):
            dataset.delete()

    def test_another_pool(self, dataset, identities):
        """A user reaches nothing in another pool, under the same identity id."""
        dataset.pool = identities.create_identity_pool(
            IdentityPoolName="other", AllowUnauthenticatedIdentities=True
        )["IdentityPoolId"]

        with refused(403, "NotAuthorizedException"):
            dataset.list()

    @pytest.mark.parametrize(
        "operation",
        [
            "bulk_publish",
            "get_bulk_publish_details",
            "get_cognito_events",
            "get_identity_pool_configuration",
            "describe_identity_pool_usage",
        ],
    )
    def test_for_developers_only(self, dataset, operation):
        """What concerns the pool as a whole is the developer's business."""
        with refused(403, "NotAuthorizedException"):
            getattr(dataset.client, operation)(IdentityPoolId=dataset.pool)

    def test_without_the_session_token(self, server, user, pool):
        """The key of a user is worth nothing without its session token."""
        client = client_of(server, user, aws_session_token=None)

        with refused(403, "UnrecognizedClientException"):
            Dataset(client, pool, user.identity_id).list()
        client.close()

    def test_wrong_secret(self, server, user, pool):
        """A signature made with another secret is refused."""
        client = client_of(server, user, aws_secret_access_key="another")

        with refused(403, "InvalidSignatureException"):
            Dataset(client, pool, user.identity_id).list()
        client.close()

    def test_new_credentials(self, server, anonymous, backend):
        """New credentials of the same user open the same data."""
        user = backend.sign_in()
        first, second = (
            get_credentials(anonymous, backend.pool, user) for _ in range(2)
        )
        one, other = client_of(server, first), client_of(server, second)
        Dataset(one, backend.pool, user.identity_id).put(a="1")

        values = Dataset(other, backend.pool, user.identity_id).values()

        assert first != second
        assert values == {"a": "1"}
        one.close()
        other.close()


class TestAwsCli:
    """The real AWS CLI with a user's credentials in a profile."""

    @pytest.fixture
    def aws(self, server, tmp_path, user) -> Callable[..., Printed]:
        """Run the AWS CLI as the user."""
        if not AWS.exists():
            pytest.skip(f"there is no AWS CLI beside {sys.executable}: install awscli")
        write_profile(tmp_path / ".aws", user)
        cli = CommandLine([str(AWS)], server, tmp_path)
        return lambda *words: cli.run("--profile", "user", "cognito-sync", *words)

    def test_round_trip(self, aws, dataset):
        """A user's records are updated, and listed as the update left them."""
        ids = options(dataset)
        patches = [{"Op": "replace", "Key": "ä 𝄞", "Value": "1", "SyncCount": 0}]

        listed = json.loads(aws("list-records", *ids).out)
        updated = aws(
            *("update-records", *ids, "--record-patches", json.dumps(patches)),
            *("--sync-session-token", listed["SyncSessionToken"]),
        )
        again = json.loads(aws("list-records", *ids).out)

        assert (updated.code, updated.err) == (0, b"")
        assert json.loads(updated.out)["Records"] == again["Records"]
        assert [(r["Key"], r["Value"]) for r in again["Records"]] == [("ä 𝄞", "1")]

    def test_refusal(self, aws, dataset):
        """A user who asks for what is the developer's is told so."""
        printed = aws("bulk-publish", "--identity-pool-id", dataset.pool)

        assert printed.code != 0
        assert b"(NotAuthorizedException)" in printed.err


def write_profile(folder, user: UserCredentials) -> None:
    """Write the credentials of a user where the AWS CLI looks for profiles."""
    folder.mkdir()
    lines = [f"{name} = {value}" for name, value in user.options().items()]
    (folder / "credentials").write_text("\n".join(["[user]", *lines, ""]))


def options(dataset: Dataset) -> list[str]:
    """Name a dataset on the command line."""
    return [
        *("--identity-pool-id", dataset.pool),
        *("--identity-id", dataset.identity),
        *("--dataset-name", dataset.name),
    ]


def test_altered_login(anonymous, backend, pool):
    """A token that was altered opens no identity."""
    user = backend.sign_in()
    header, claims, signature = user.token.split(".")
    altered = ".".join([header, claims, signature[:-8] + signature[-8:].swapcase()])

    with pytest.raises(ClientError) as refusal:
        anonymous.get_credentials_for_identity(
            IdentityId=user.identity_id,
            Logins={"cognito-identity.amazonaws.com": altered},
        )

    assert refusal.value.response["Error"]["Code"] == "NotAuthorizedException"
