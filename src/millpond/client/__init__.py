"""
Datasets of a user on a device: offline first, in step with a server.

    from millpond.client import SQLite, guest, open_sync

    async with open_sync(endpoint, pool, storage=SQLite("app.db"),
                         credentials=guest()) as sync:
        prefs = sync.dataset("prefs")
        prefs["colour"] = "teal"        # on disk now, whatever the network does
        report = await prefs.sync()     # pulled, pushed, merged

`open_sync_blocking` is the same for code that waits. `api` makes calls of the published
APIs. Names are loaded when they are used, so that a start does not wait for them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from millpond.client.admission import Limits as Limits
    from millpond.client.codecs import CodecError as CodecError
    from millpond.client.codecs import DecryptionError as DecryptionError
    from millpond.client.codecs import NewerVersionError as NewerVersionError
    from millpond.client.codecs import json as json
    from millpond.client.codecs import text as text
    from millpond.client.credentials import botocore_session as botocore_session
    from millpond.client.credentials import developer_token as developer_token
    from millpond.client.credentials import fixed as fixed
    from millpond.client.credentials import guest as guest
    from millpond.client.credentials import openid as openid
    from millpond.client.dataset import AsyncDataset as AsyncDataset
    from millpond.client.dataset import Dataset as Dataset
    from millpond.client.encryption import encrypted as encrypted
    from millpond.client.errors import ClosedError as ClosedError
    from millpond.client.errors import ConflictError as ConflictError
    from millpond.client.errors import QuotaError as QuotaError
    from millpond.client.errors import StorageError as StorageError
    from millpond.client.errors import SyncError as SyncError
    from millpond.client.errors import UnsentError as UnsentError
    from millpond.client.failures import CallError as CallError
    from millpond.client.failures import NotAllowed as NotAllowed
    from millpond.client.failures import Rejected as Rejected
    from millpond.client.failures import ServerTrouble as ServerTrouble
    from millpond.client.failures import Throttled as Throttled
    from millpond.client.failures import Unanswered as Unanswered
    from millpond.client.merging import mine as mine
    from millpond.client.merging import newest as newest
    from millpond.client.merging import theirs as theirs
    from millpond.client.sqlite_storage import Memory as Memory
    from millpond.client.sqlite_storage import SQLite as SQLite
    from millpond.client.status import DatasetStatus as DatasetStatus
    from millpond.client.status import Report as Report
    from millpond.client.status import Status as Status
    from millpond.client.sync import AsyncSync as AsyncSync
    from millpond.client.sync import Sync as Sync
    from millpond.client.sync import open_sync as open_sync
    from millpond.client.sync import open_sync_blocking as open_sync_blocking

_HOMES = {
    "AsyncDataset": "dataset",
    "AsyncSync": "sync",
    "CallError": "failures",
    "ClosedError": "errors",
    "CodecError": "codecs",
    "ConflictError": "errors",
    "Dataset": "dataset",
    "DatasetStatus": "status",
    "DecryptionError": "codecs",
    "Limits": "admission",
    "Memory": "sqlite_storage",
    "NewerVersionError": "codecs",
    "NotAllowed": "failures",
    "QuotaError": "errors",
    "Rejected": "failures",
    "Report": "status",
    "SQLite": "sqlite_storage",
    "ServerTrouble": "failures",
    "Status": "status",
    "StorageError": "errors",
    "Sync": "sync",
    "SyncError": "errors",
    "Throttled": "failures",
    "Unanswered": "failures",
    "UnsentError": "errors",
    "botocore_session": "credentials",
    "developer_token": "credentials",
    "encrypted": "encryption",
    "fixed": "credentials",
    "guest": "credentials",
    "json": "codecs",
    "mine": "merging",
    "newest": "merging",
    "open_sync": "sync",
    "open_sync_blocking": "sync",
    "openid": "credentials",
    "text": "codecs",
    "theirs": "merging",
}
"""In which module each public name is; the same names are imported above, for types."""

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
