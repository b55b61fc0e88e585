"""Cognito Sync through boto3, as its clients use it, with fewer words."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from millpond.testing.server import RunningServer


class Dataset:
    """One dataset of one identity."""

    def __init__(
        self, client: Any, pool: str, identity: str, name: str = "prefs"
    ) -> None:
        self.client = client
        self.pool = pool
        self.identity = identity
        self.name = name

    @property
    def ids(self) -> dict[str, str]:
        """The three names, as the API takes them."""
        return {
            "IdentityPoolId": self.pool,
            "IdentityId": self.identity,
            "DatasetName": self.name,
        }

    @property
    def path(self) -> str:
        """The path of the dataset."""
        return (
            f"/identitypools/{self.pool}/identities/{self.identity}"
            f"/datasets/{self.name}"
        )

    def list(self, last_sync_count: int | None = None, **options: Any) -> Any:
        """List records after a sync count."""
        if last_sync_count is not None:
            options["LastSyncCount"] = last_sync_count
        return self.client.list_records(**self.ids, **options)

    def token(self) -> str:
        """Begin a sync session."""
        token: str = self.list()["SyncSessionToken"]
        return token

    def update(self, *patches: Any, token: str | None = None, **options: Any) -> Any:
        """Update records, in a new sync session unless one is given."""
        return self.client.update_records(
            **self.ids,
            RecordPatches=list(patches),
            SyncSessionToken=self.token() if token is None else token,
            **options,
        )

    def put(self, **values: str) -> Any:
        """Set records, whatever their sync counts are."""
        counts = self.counts()
        return self.update(
            *(replace(k, v, counts.get(k, 0)) for k, v in values.items())
        )

    def churn(self, number: int) -> None:
        """Add so many records and remove them: as many tombstones, with one count."""
        keys = [f"{uuid.uuid4()}" for _ in range(number)]
        self.update(*(replace(key, "v") for key in keys))
        count = self.list()["DatasetSyncCount"]
        self.update(*(remove(key, count) for key in keys))

    def delete(self) -> Any:
        """Delete the dataset."""
        return self.client.delete_dataset(**self.ids)["Dataset"]

    def describe(self) -> Any:
        """Describe the dataset."""
        return self.client.describe_dataset(**self.ids)["Dataset"]

    def values(self) -> dict[str, str | None]:
        """Everything in the dataset, by key; None for a removed record."""
        return {r["Key"]: r.get("Value") for r in self.list()["Records"]}

    def counts(self) -> dict[str, int]:
        """The sync counts of the records, removed ones too, by key."""
        return {r["Key"]: r["SyncCount"] for r in self.list()["Records"]}

    def pages(self, size: int, **options: Any) -> Iterator[Any]:
        """List page by page."""
        page = self.list(MaxResults=size, **options)
        yield page
        while "NextToken" in page:
            page = self.list(MaxResults=size, NextToken=page["NextToken"], **options)
            yield page


def replace(
    key: str, value: str | None, sync_count: int = 0, **others: Any
) -> dict[str, Any]:
    """Write a patch that sets a record."""
    patch = {"Op": "replace", "Key": key, "SyncCount": sync_count, **others}
    return patch if value is None else {**patch, "Value": value}


def remove(key: str, sync_count: int = 0, **others: Any) -> dict[str, Any]:
    """Write a patch that removes a record."""
    return {"Op": "remove", "Key": key, "SyncCount": sync_count, **others}


@dataclass
class Refusal:
    """What a refused call was answered, once it was."""

    message: str = ""


@contextlib.contextmanager
def refused(status: int, code: str) -> Iterator[Refusal]:
    """Expect that the call inside is refused, with this status and code."""
    refusal = Refusal()
    try:
        yield refusal
    except ClientError as error:
        answer: Any = error.response
        refusal.message = answer["Error"]["Message"]
        found = (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"])
        assert found == (status, code), refusal.message
    else:
        pytest.fail(f"It was not refused; {status} {code} was expected.")


def new_identity() -> str:
    """Make up the id of an identity."""
    return f"us-east-1:{uuid.uuid4()}"


def create_pool(server: RunningServer) -> str:
    """Create an identity pool on a server of one's own."""
    with contextlib.closing(server.client("cognito-identity")) as client:
        pool: str = client.create_identity_pool(
            IdentityPoolName="test", AllowUnauthenticatedIdentities=True
        )["IdentityPoolId"]
    return pool
