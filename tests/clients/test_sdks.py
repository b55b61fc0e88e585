"""The clients of the AWS SDKs for JavaScript and Go work with a user's credentials."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from acceptance.users import User
from clients.command_process import CommandProcess
from clients.sdks import SDKS, StartSdk
from millpond.testing.server import RunningServer


class SdkError(Exception):
    """
    An error as the SDK told it.

    Attributes:
        facts: the code, the status, and whether it has the type of its own that an app
            would catch.
        message: what it says.
    """

    def __init__(self, code: str, message: str, status: int, typed: bool) -> None:
        super().__init__(f"{code}: {message}")
        self.facts = (code, status, typed)
        self.message = message


@dataclass(frozen=True)
class Sdk:
    """
    The clients of an SDK, without credentials to begin with.

    Args:
        process: the program that calls.
        config: of a client: endpoint, region, credentials.
        ids: what names the user's pool and identity in a request of Cognito Sync.
    """

    process: CommandProcess
    config: dict[str, Any]
    ids: dict[str, str]

    def identity(self, operation: str, **input: Any) -> Any:
        """Call an operation of Cognito Identity."""
        return self._send("identity", operation, input)

    def sync(self, operation: str, **input: Any) -> Any:
        """Call an operation of Cognito Sync for the user."""
        return self._send("sync", operation, {**self.ids, **input})

    def get_credentials(self, pool: str, user: User | None = None) -> Any:
        """Get credentials, as a new guest or as a user."""
        if user is None:
            identity = self.identity("GetId", IdentityPoolId=pool)
            return self.identity("GetCredentialsForIdentity", **identity)
        return self.identity(
            "GetCredentialsForIdentity", IdentityId=user.identity_id, Logins=user.logins
        )

    def signed_in(self, pool: str, user: User | None = None) -> Sdk:
        """Give the SDK with credentials, of a new guest or of a user."""
        answer = self.get_credentials(pool, user)
        credentials = {
            "accessKeyId": answer["Credentials"]["AccessKeyId"],
            "secretAccessKey": answer["Credentials"]["SecretKey"],
            "sessionToken": answer["Credentials"]["SessionToken"],
        }
        return replace(
            self,
            config={**self.config, "credentials": credentials},
            ids={"IdentityPoolId": pool, "IdentityId": answer["IdentityId"]},
        )

    def _send(self, api: str, operation: str, input: dict[str, Any]) -> Any:
        command = {"api": api, "operation": operation, "input": input}
        answer = self.process.call({**command, "config": self.config})
        if "error" in answer:
            raise SdkError(**answer["error"])
        return answer["result"]


@pytest.fixture(scope="session", params=SDKS)
def process(
    request: pytest.FixtureRequest, start_sdk: StartSdk
) -> Iterator[CommandProcess]:
    """An SDK in a process of its own."""
    process = start_sdk(request.param)
    yield process
    process.close()


@pytest.fixture
def sdk(process: CommandProcess, server: RunningServer) -> Sdk:
    """The SDK without credentials."""
    return Sdk(process, {"endpoint": server.endpoint, "region": server.region}, {})


@pytest.fixture
def guest(sdk: Sdk, pool: str) -> Sdk:
    """The SDK with the credentials of a guest."""
    return sdk.signed_in(pool)


def push(sdk: Sdk, *patches: dict[str, Any], dataset: str = "prefs") -> Any:
    """Update records of a dataset in a new sync session."""
    listed = sdk.sync("ListRecords", DatasetName=dataset)
    return sdk.sync(
        "UpdateRecords",
        DatasetName=dataset,
        SyncSessionToken=listed["SyncSessionToken"],
        RecordPatches=list(patches),
    )


def patch(key: str, value: str | None, sync_count: int = 0) -> dict[str, Any]:
    """Write a record patch."""
    if value is None:
        return {"Op": "remove", "Key": key, "SyncCount": sync_count}
    return {"Op": "replace", "Key": key, "Value": value, "SyncCount": sync_count}


class TestIdentities:
    """Credentials through Cognito Identity, without any to begin with."""

    def test_guest(self, sdk, pool):
        """A guest gets an identity of the pool's region and credentials for an hour."""
        answer = sdk.get_credentials(pool)

        credentials = answer["Credentials"]
        expiration = datetime.datetime.fromisoformat(credentials["Expiration"])
        left = expiration - datetime.datetime.now(datetime.UTC)
        assert answer["IdentityId"].startswith("us-east-1:")
        assert credentials["AccessKeyId"].startswith("ASIA")
        assert abs(left - datetime.timedelta(hours=1)) < datetime.timedelta(minutes=1)

    def test_user(self, sdk, backend, pool):
        """A user of the developer's backend gets the identity that it named."""
        user = backend.sign_in()

        signed_in = sdk.signed_in(pool, user)

        assert signed_in.ids["IdentityId"] == user.identity_id
        assert signed_in.sync("ListDatasets")["Datasets"] == []

    def test_somebody_elses_identity(self, sdk, backend):
        """An identity that has a login is not given to who does not prove it."""
        user = backend.sign_in()

        with pytest.raises(SdkError) as refusal:
            sdk.identity("GetCredentialsForIdentity", IdentityId=user.identity_id)

        expected = ("NotAuthorizedException", 400, True)
        assert refusal.value.facts == expected
        # .NET looks at how this message begins.
        assert refusal.value.message.startswith("Access to Identity")

    def test_unknown_pool(self, sdk):
        """There is no identity in a pool that does not exist."""
        with pytest.raises(SdkError) as refusal:
            sdk.identity(
                "GetId", IdentityPoolId="us-east-1:00000000-0000-0000-0000-000000000000"
            )

        assert refusal.value.facts == ("ResourceNotFoundException", 400, True)


class TestRecords:
    """Listing and updating."""

    def test_round_trip(self, guest):
        """Records are listed, updated with the listing's token, and listed again."""
        updated = push(guest, patch("a", "1"), patch("ä 𝄞", ""))

        listed = guest.sync("ListRecords", DatasetName="prefs", LastSyncCount=0)

        assert {(r["Key"], r["Value"]) for r in updated["Records"]} == {
            ("a", "1"),
            ("ä 𝄞", ""),
        }
        assert sorted(listed["Records"], key=lambda r: r["Key"]) == sorted(
            updated["Records"], key=lambda r: r["Key"]
        )
        assert (listed["DatasetExists"], listed["DatasetSyncCount"]) == (True, 1)
        assert "NextToken" not in listed

    def test_who_and_when(self, guest):
        """A record says who changed it and when, on the device and on the server."""
        now = datetime.datetime.now(datetime.UTC)

        push(guest, patch("a", "1"))

        (record,) = guest.sync("ListRecords", DatasetName="prefs")["Records"]
        changed = datetime.datetime.fromisoformat(record["LastModifiedDate"])
        assert abs(changed - now) < datetime.timedelta(minutes=1)
        assert record["LastModifiedBy"] == guest.ids["IdentityId"]

    def test_removed(self, guest):
        """A removed record is listed without a value."""
        push(guest, patch("a", "1"))

        (updated,) = push(guest, patch("a", None, 1))["Records"]

        (listed,) = guest.sync("ListRecords", DatasetName="prefs")["Records"]
        assert listed == updated
        assert (listed["SyncCount"], "Value" in listed) == (2, False)

    def test_pages(self, guest):
        """A listing in pages has every record once."""
        push(guest, *(patch(f"key-{number}", "1") for number in range(25)))
        found: list[str] = []

        page = {"NextToken": None}
        while "NextToken" in page:
            page = guest.sync(
                "ListRecords",
                DatasetName="prefs",
                MaxResults=10,
                NextToken=page["NextToken"],
            )
            found += [record["Key"] for record in page["Records"]]

        assert sorted(found) == sorted(f"key-{number}" for number in range(25))


class TestDatasets:
    """Listing, describing and deleting datasets."""

    def test_list_and_describe(self, guest):
        """Datasets are listed by name, and each is described as it is listed."""
        for name in ("saves", "a.b:c-d_e"):
            push(guest, patch("ä", "12"), dataset=name)

        listed = guest.sync("ListDatasets")
        described = guest.sync("DescribeDataset", DatasetName="a.b:c-d_e")["Dataset"]

        assert [each["DatasetName"] for each in listed["Datasets"]] == [
            "a.b:c-d_e",
            "saves",
        ]
        assert listed["Datasets"][0] == described
        assert (described["NumRecords"], described["DataStorage"]) == (1, 4)

    def test_delete(self, guest):
        """A deleted dataset is gone, and a listing of its records says so."""
        push(guest, patch("a", "1"))

        deleted = guest.sync("DeleteDataset", DatasetName="prefs")["Dataset"]

        assert deleted["DatasetName"] == "prefs"
        assert guest.sync("ListDatasets")["Datasets"] == []
        listed = guest.sync("ListRecords", DatasetName="prefs", LastSyncCount=1)
        assert listed["DatasetExists"] is False
        assert listed["DatasetDeletedAfterRequestedSyncCount"] is True


class TestErrors:
    """Refusals have the class that an app catches, and the status of the model."""

    def test_conflict(self, guest):
        """A stale sync count is a ResourceConflictException that says which record."""
        push(guest, patch("a", "1"))

        with pytest.raises(SdkError) as refusal:
            push(guest, patch("a", "2"))

        assert refusal.value.facts == ("ResourceConflictException", 409, True)
        assert refusal.value.message == "Current SyncCount for: a is: 1 not: 0"

    def test_not_authorized(self, guest, sdk, pool):
        """The data of another identity is refused with a NotAuthorizedException."""
        other = sdk.signed_in(pool)

        with pytest.raises(SdkError) as refusal:
            replace(guest, ids=other.ids).sync("ListDatasets")

        assert refusal.value.facts == ("NotAuthorizedException", 403, True)

    def test_for_developers_only(self, guest, pool):
        """A user may not publish the pool."""
        with pytest.raises(SdkError) as refusal:
            replace(guest, ids={}).sync("BulkPublish", IdentityPoolId=pool)

        assert refusal.value.facts == ("NotAuthorizedException", 403, True)

    def test_invalid_parameter(self, guest):
        """A token of another dataset's session is an InvalidParameterException."""
        listed = guest.sync("ListRecords", DatasetName="other")

        with pytest.raises(SdkError) as refusal:
            guest.sync(
                "UpdateRecords",
                DatasetName="prefs",
                SyncSessionToken=listed["SyncSessionToken"],
                RecordPatches=[patch("a", "1")],
            )

        assert refusal.value.facts == ("InvalidParameterException", 400, True)
        assert refusal.value.message == "SyncSessionToken not valid for these inputs"

    def test_not_found(self, guest):
        """What is not there cannot be described: ResourceNotFoundException."""
        with pytest.raises(SdkError) as refusal:
            guest.sync("DescribeDataset", DatasetName="prefs")

        assert refusal.value.facts == ("ResourceNotFoundException", 404, True)

    def test_altered_session_token(self, guest):
        """Credentials whose session token was altered open nothing."""
        credentials = guest.config["credentials"]
        token = credentials["sessionToken"]
        altered = token[:-8] + token[-8:].swapcase()
        config = {
            **guest.config,
            "credentials": {**credentials, "sessionToken": altered},
        }

        with pytest.raises(SdkError) as refusal:
            replace(guest, config=config).sync("ListDatasets")

        assert refusal.value.facts == ("UnrecognizedClientException", 403, False)
