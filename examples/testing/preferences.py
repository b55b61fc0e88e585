"""
A part of an app: the preferences of a user, kept in step by Amazon Cognito Sync.

What it needs is a client of `cognito-sync` that signs as the user, and the user's ids.
It knows nothing of Millpond: where the client calls is the business of who makes it.
"""

from __future__ import annotations

from typing import Any

TRIES = 5


class Preferences:
    """The preferences of one user, as of the last synchronization."""

    def __init__(self, client: Any, identity_pool_id: str, identity_id: str) -> None:
        self._client = client
        self._names = {
            "IdentityPoolId": identity_pool_id,
            "IdentityId": identity_id,
            "DatasetName": "preferences",
        }
        self._records: dict[str, tuple[str, int]] = {}  # value and sync count
        self._sync_count = 0

    def get(self, name: str) -> str | None:
        """Give a preference; None: there is none."""
        value, _ = self._records.get(name, (None, 0))
        return value

    def pull(self) -> str:
        """Learn what other devices have changed; give the token for a write."""
        answer = self._client.list_records(
            **self._names, LastSyncCount=self._sync_count
        )
        for record in answer["Records"]:
            if "Value" in record:
                self._records[record["Key"]] = (record["Value"], record["SyncCount"])
            else:
                self._records.pop(record["Key"], None)
        self._sync_count = answer["DatasetSyncCount"]
        return answer["SyncSessionToken"]

    def set(self, name: str, value: str) -> None:
        """Set a preference here and for all devices; the last one to do so wins."""
        for _ in range(TRIES):
            token = self.pull()
            _, known = self._records.get(name, (None, 0))
            patch = {"Op": "replace", "Key": name, "Value": value, "SyncCount": known}
            try:
                answer = self._client.update_records(
                    **self._names, SyncSessionToken=token, RecordPatches=[patch]
                )
            except self._client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] != "ResourceConflictException":
                    raise
                continue  # another device was faster: pull what it wrote, and again
            for record in answer["Records"]:
                self._records[record["Key"]] = (value, record["SyncCount"])
            return
        raise TimeoutError(f"Others go on setting '{name}'.")
