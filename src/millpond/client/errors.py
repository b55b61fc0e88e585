"""
What can go wrong in `millpond.client`, for programs.

    SyncError
    |-- CallError        what can become of a call (`failures`)
    |-- ConflictError    others wrote the same records, and no listing settles it
    |-- QuotaError       a write would pass a limit, and was not queued
    |-- CodecError       a value cannot be written as a text, or not be read (`codecs`)
    |-- UnsentError      something would be lost by signing out
    |-- StorageError     the file cannot be read or written
    `-- ClosedError      it was closed, or signed out, meanwhile

Rule: no value of a record is in a text; datasets, keys and counts are.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from millpond.client.status import Report
    from millpond.core.client_sync.quota import Excess


class SyncError(Exception):
    """
    The base of all errors of `millpond.client`.

    Attributes:
        dataset_name: the dataset that it is about, where it is about one.
        report: what a synchronization had done before it ended with this.
    """

    dataset_name: str | None = None
    report: Report | None = None


class ConflictError(SyncError):
    """
    The server goes on refusing, though nothing that it lists is new here.

    Attributes:
        code: the API's code of the error.
        counts: the sync count that this device knows, by key.
    """

    code = "ResourceConflictException"

    def __init__(self, dataset_name: str, counts: Mapping[str, int]) -> None:
        known = ", ".join(f"'{key}' at {counts[key]}" for key in counts)
        super().__init__(
            f"Dataset '{dataset_name}': the server says that records changed, and "
            f"lists nothing new. Known here: {known or 'no record'}."
        )
        self.dataset_name = dataset_name
        self.counts = counts


class QuotaError(SyncError):
    """
    A write would pass a limit of the server, so it was not queued.

    Attributes:
        key: of the record; `None` where it is about the dataset.
        limit: its name, of `core.client_sync.quota.Limits`.
        number: what there would be.
        most: the limit.
    """

    def __init__(self, dataset_name: str, key: str | None, excess: Excess) -> None:
        of_record = "" if key is None else f", key '{key[:128]}'"
        super().__init__(
            f"Dataset '{dataset_name}'{of_record}: {excess.limit} would be "
            f"{excess.number}; the limit is {excess.most}."
        )
        self.dataset_name = dataset_name
        self.key = key
        self.limit = excess.limit
        self.number = excess.number
        self.most = excess.most


class UnsentError(SyncError):
    """
    The server does not have everything yet.

    Attributes:
        unsent: the keys of each dataset; none where the dataset was deleted here.
    """

    def __init__(self, unsent: Mapping[str, Sequence[str]]) -> None:
        told = "; ".join(f"'{name}': {_told(unsent[name])}" for name in unsent)
        super().__init__(
            f"Not sent yet: {told}. Synchronize first, or sign out with discard=True."
        )
        self.unsent = unsent


class StorageError(SyncError):
    """
    What the device keeps cannot be read or written.

    Attributes:
        kind: "full", "busy" (another process holds the file for too long), "damaged",
            "foreign" (it is no file of ours), "newer" (of a later release), "readonly",
            "missing" (it cannot be opened) or "failed".
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class ClosedError(SyncError):
    """It was closed, or the user signed out, while this was under way."""


def _told(keys: Iterable[str]) -> str:
    found = [*keys]
    if not found:
        return "its deletion"
    shown = ", ".join(found[:5])
    return f"{len(found)} records ({shown}{', ...' if len(found) > 5 else ''})"
