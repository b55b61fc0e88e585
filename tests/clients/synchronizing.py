"""
How the SDKs for Android, .NET and iOS synchronize a dataset, step by step.

An answer is right when the client that reads it ends up right. These are the clients'
own steps, with what they trip over: a member that Android unboxes and that is null, a
listing that iOS reads only one page of, a count that moves by more than one. The names
are ours; so is everything that is not decided by an answer of the server.

Source: `DefaultDataset.java` and `CognitoSyncStorage.java` (aws-sdk-android at
f514a35e7573), `AWSCognitoDataset.m` (aws-sdk-ios 2.8.4), `Dataset.cs` (aws-sdk-net).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from acceptance.raw_http import Answer
from clients.request_forms import Patch, SyncApi

T = TypeVar("T")

DELETED: Final = -1  # the last sync count of a dataset that is to be deleted
PAGE_RECORDS: Final = 1024
PAGES_MAX: Final = 20  # more than any dataset has: the client would go on for ever
NOW_MS: Final = 1_500_000_000_123


class SyncFailure(Exception):
    """The client gave up, and told the app so: the type of an error, or a reason."""


@dataclass
class LocalRecord:
    """A record on the device; a value of None is a removed one."""

    value: str | None
    sync_count: int = 0
    modified: bool = False


@dataclass
class Listing:
    """What a client made of a listing."""

    records: list[dict[str, Any]]
    sync_count: int
    token: str
    exists: bool
    deleted: bool
    merged: list[str]


class LocalDataset(ABC):
    """A dataset on one device."""

    passes_max: int

    def __init__(self, api: SyncApi, name: str = "prefs") -> None:
        self.api = api
        self.name = name
        self.records: dict[str, LocalRecord] = {}
        self.last_sync_count = 0
        self.conflicts: list[str] = []  # keys, as the app is told of them
        self.told_deleted = 0  # times the app was told that the dataset was deleted
        self.pulled: list[str] = []  # keys of the last synchronization
        self.resolve_with_local = False
        # Where somebody else may be quicker.
        self.before_push: Callable[[], object] = lambda: None

    def put(self, key: str, value: str | None) -> None:
        """Change a record on the device; None removes it."""
        record = self.records.setdefault(key, LocalRecord(None))
        record.value = value
        record.modified = True

    def values(self) -> dict[str, str]:
        """What the app sees."""
        return {k: r.value for k, r in self.records.items() if r.value is not None}

    def synchronize(self) -> int:
        """
        Synchronize, and return how many passes it took.

        Raises:
            SyncFailure: the client gave up.
        """
        self.pulled = []
        for number in range(1, self.passes_max + 1):
            if self._pass():
                return number
        raise SyncFailure("exceeded the maximum retries")

    @abstractmethod
    def _pass(self) -> bool:
        """Go through once; False begins anew."""

    @abstractmethod
    def _is_conflict(self, local: LocalRecord, remote: dict[str, Any]) -> bool:
        """Tell whether a record was changed on both sides."""

    def _store(self, remote_records: Iterable[dict[str, Any]]) -> None:
        """Take over what was listed, as far as the app has nothing against it."""
        for remote in remote_records:
            key = remote["Key"]
            self.pulled.append(key)
            local = self.records.get(key)
            if local and self._is_conflict(local, remote):
                self.conflicts.append(key)
                if self.resolve_with_local:
                    local.sync_count = remote["SyncCount"]
                    continue
            self.records[key] = LocalRecord(remote.get("Value"), remote["SyncCount"])

    def _patches(self) -> list[Patch]:
        return [
            Patch(key, record.value, record.sync_count)
            for key, record in self.records.items()
            if record.modified
        ]

    def _push(self, token: str, patches: list[Patch]) -> list[dict[str, Any]] | None:
        """Push, and give the records of the answer; None upon a conflict."""
        self.before_push()
        answer = self.api.update_records(self.name, token, patches, now_ms=NOW_MS)
        if answer.status == 200:
            records: list[dict[str, Any]] = answer.json["Records"]
            for each in records:
                self.records[each["Key"]] = LocalRecord(
                    each.get("Value"), each["SyncCount"]
                )
            return records
        if self._error(answer) != "ResourceConflictException":
            raise SyncFailure(self._error(answer))
        return None

    def _error(self, answer: Answer) -> str:
        return self.api.form.read_error(answer).type


class AndroidDataset(LocalDataset):
    """As the Android SDK does it."""

    passes_max = 4

    def __init__(self, api: SyncApi, name: str = "prefs") -> None:
        super().__init__(api, name)
        self.after_page: Callable[[], object] = lambda: None

    def _pass(self) -> bool:
        if self.last_sync_count == DELETED:
            self._delete()
            return True
        listing = self._list()
        if listing.merged:
            raise SyncFailure(f"merged: {' '.join(listing.merged)}")
        if (self.last_sync_count != 0 and not listing.exists) or listing.deleted:
            self.told_deleted += 1
            self._purge()
            return True
        self._store(listing.records)
        if listing.records:
            self.last_sync_count = listing.sync_count
        patches = self._patches()
        if not patches:
            return True
        records = self._push(listing.token, patches)
        if records is None:
            # From here the server has to tell what the conflict is about.
            newest = max(patch.sync_count for patch in patches)
            if listing.sync_count > newest:
                self.last_sync_count = newest
            return False
        if max(unbox(each["SyncCount"], int) for each in records) == (
            listing.sync_count + 1
        ):
            self.last_sync_count = listing.sync_count + 1
        return True

    def _list(self) -> Listing:
        """List all pages; records and merges add up, the rest is of the last page."""
        listing = Listing([], 0, "", False, False, [])
        next_token: str | None = None
        for _ in range(PAGES_MAX):
            query: dict[str, str | int] = {
                "lastSyncCount": self.last_sync_count,
                "maxResults": PAGE_RECORDS,
            }
            if next_token is not None:
                query["nextToken"] = next_token
            answer = self.api.list_records(self.name, **query)
            if answer.status != 200:
                raise SyncFailure(self._error(answer))
            page = answer.json
            listing.records += unbox(page["Records"], list)
            listing.merged += page.get("MergedDatasetNames") or []
            listing.sync_count = unbox(page["DatasetSyncCount"], int)
            listing.exists = unbox(page["DatasetExists"], bool)
            listing.deleted = unbox(page["DatasetDeletedAfterRequestedSyncCount"], bool)
            listing.token = unbox(page["SyncSessionToken"], str)
            next_token = page.get("NextToken")
            if next_token is None:  # an empty one would begin again
                return listing
            self.after_page()
        raise SyncFailure("the pages have no end")

    def _delete(self) -> None:
        answer = self.api.delete_dataset(self.name)
        if (
            answer.status != 200
            and self._error(answer) != "ResourceNotFoundException"  # known here alone
        ):
            raise SyncFailure(self._error(answer))
        self._purge()

    def _purge(self) -> None:
        self.records.clear()
        self.last_sync_count = 0

    def _is_conflict(self, local: LocalRecord, remote: dict[str, Any]) -> bool:
        return (
            local.modified
            and local.sync_count != remote["SyncCount"]
            and local.value != remote.get("Value")
        )


class DotNetDataset(AndroidDataset):
    """As the SDKs for .NET and Unity do it: Android's way but for a few steps."""

    passes_max = 3

    def _delete(self) -> None:
        super()._delete()
        # It goes on where it should stop, and lists from the mark of its deletion.
        self.last_sync_count = DELETED
        try:
            self._list()
        finally:
            self.last_sync_count = 0

    def _is_conflict(self, local: LocalRecord, remote: dict[str, Any]) -> bool:
        return local.modified and local.value != remote.get("Value")


class IosDataset(LocalDataset):
    """As the iOS SDK does it: one page, and one token for all passes."""

    passes_max = 5

    def __init__(self, api: SyncApi, name: str = "prefs") -> None:
        super().__init__(api, name)
        self.wipes_deleted = False  # whether the app gives up what was deleted
        self._token: str | None = None

    def synchronize(self) -> int:
        """Synchronize in a session of its own."""
        self._token = None
        return super().synchronize()

    def _pass(self) -> bool:
        if self.last_sync_count == DELETED:
            self._delete()
            return True
        page = self._list()
        if page is None:
            return False
        self._token = page["SyncSessionToken"]
        if not page["DatasetExists"] or page["DatasetDeletedAfterRequestedSyncCount"]:
            # It means to ask whether it ever synchronized, and asks nothing; so a new
            # dataset comes here too. It then goes on with the very same page.
            self.told_deleted += 1
            if self.wipes_deleted:
                self.records.clear()
            for record in self.records.values():
                record.sync_count, record.modified = 0, True
        self._store(page["Records"])
        self.last_sync_count = page["DatasetSyncCount"]  # of one page, the only one
        patches = self._patches()
        if not patches:
            return True
        records = self._push(self._token, patches)
        if records is None:
            newest = max(patch.sync_count for patch in patches)
            self.last_sync_count = min(self.last_sync_count, newest)
            return False
        if all(each["SyncCount"] <= self.last_sync_count + 1 for each in records):
            self.last_sync_count += 1
        return True

    def _list(self) -> dict[str, Any] | None:
        """List once, without maxResults; None when the count was too high."""
        query: dict[str, str | int] = {"lastSyncCount": self.last_sync_count}
        if self._token is not None:
            query["syncSessionToken"] = self._token
        answer = self.api.list_records(self.name, **query)
        if answer.status == 200:
            page: dict[str, Any] = answer.json
            return page
        error = self.api.form.read_error(answer)
        if error.message.startswith("No such SyncCount:"):
            self.last_sync_count -= 1
            return None
        raise SyncFailure(error.type)

    def _delete(self) -> None:
        answer = self.api.delete_dataset(self.name)
        if answer.status != 200 and self._error(answer) != "ResourceNotFoundException":
            raise SyncFailure(self._error(answer))
        self.records.clear()
        self.last_sync_count = 0

    def _is_conflict(self, local: LocalRecord, remote: dict[str, Any]) -> bool:
        return local.modified and local.value != remote.get("Value")


def unbox(value: Any, kind: type[T]) -> T:
    """Read what must not be null, as Java does."""
    assert type(value) is kind, f"{value!r} is unboxed as {kind.__name__}"
    return value
