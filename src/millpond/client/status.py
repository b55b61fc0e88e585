"""What an app is told of its data: what a synchronization did, and how things stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec


class Report(msgspec.Struct, frozen=True):
    """
    What a synchronization did.

    Args:
        pulled: the keys whose values changed here.
        pushed: the keys that the server took from here.
        merged: the keys that both sides had changed.
        set_aside: the code of the error by key, of what the server refuses. It stays
            here and goes out again when it is written anew.
        attempts: how many rounds it took; more than one where others wrote meanwhile.
    """

    pulled: tuple[str, ...] = ()
    pushed: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    set_aside: Mapping[str, str] = {}
    attempts: int = 1


class DatasetStatus(msgspec.Struct, frozen=True):
    """
    How a dataset stands.

    Args:
        unsent: the keys that the server does not have as they are here.
        deleting: the dataset was deleted here, and the server does not know.
        set_aside: the code of the error by key, of what the server refuses.
        last_sync_ms: when it was synchronized last, by the clock of the device; `None`:
            never.
        last_error: why the last attempt came to nothing, an error code.
        syncing: a synchronization is under way in this process.
    """

    unsent: tuple[str, ...] = ()
    deleting: bool = False
    set_aside: Mapping[str, str] = {}
    last_sync_ms: int | None = None
    last_error: str | None = None
    syncing: bool = False


class Status(msgspec.Struct, frozen=True):
    """
    How everything stands.

    Args:
        identity_id: whose data it is; `None` before the first contact of a new guest.
        datasets: all that are here, opened or not, by name.
        next_upload_s: in how many seconds what failed goes out again; `None`: nothing
            waits.
    """

    identity_id: str | None
    datasets: Mapping[str, DatasetStatus]
    next_upload_s: float | None = None

    @property
    def unsent(self) -> int:
        """How many records the server does not have as they are here."""
        return sum(len(each.unsent) for each in self.datasets.values())


def dataset_status(
    stored: Any, *, syncing: bool, following: Iterable[str] = ()
) -> DatasetStatus:
    """
    Say how a dataset stands that is stored like that (`storage.Stored`).

    Args:
        following: keys that a guest wrote, and that will follow into it.
    """
    copy = stored.copy
    return DatasetStatus(
        tuple(dict.fromkeys((*copy.unsent, *following))),
        copy.deleting,
        {key: each.refused for key, each in copy.records.items() if each.refused},
        stored.last_sync_ms or None,
        stored.last_error,
        syncing,
    )
