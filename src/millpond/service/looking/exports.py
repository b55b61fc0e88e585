"""
Everything that is kept of an identity, as one JSON document: a person's right to it.

The document is given in pieces, dataset by dataset and some records at a time, so that
one of any size passes through little memory. It is no picture of one moment: a record
that is changed meanwhile may stand in it twice, and then the later one counts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from millpond.core.identities import Identity
from millpond.core.sync import DatasetId, DatasetState, StoredRecord
from millpond.errors import NotFoundError
from millpond.service.looking.datasets import RecordPosition, describe_dataset
from millpond.service.looking.identities import IdentityPlace
from millpond.service.times import iso_date
from millpond.stores.base import RegisteredDevice, Store

FORMAT: Final = "millpond-identity-1"
THINGS_AT_ONCE: Final = 100  # datasets, devices
RECORDS_AT_ONCE: Final = (16, 256)  # at first, and when they turn out to be small
PIECE_BYTES: Final = (262_144, 1_048_576)  # below the first they are small

_encode = msgspec.json.Encoder().encode


async def export_identity(
    store: Store, place: IdentityPlace, *, now_ms: int
) -> AsyncIterator[bytes]:
    """
    Give the pieces of the document; docs/personal-data.md has its form.

    Raises:
        NotFoundError: the pool, or a dataset, has gone meanwhile.
    """
    identity = await store.find_identity(place.identity_id)
    head = {
        "Format": FORMAT,
        "ExportDate": iso_date(now_ms),
        "IdentityPoolId": place.identity_pool_id,
        "IdentityId": place.identity_id,
        **({} if identity is None else _of_identity(identity)),
    }
    yield _encode(head)[:-1]
    yield b',"Devices":['
    between = b""
    async for device in _devices(store, place):
        yield between + _encode(_of_device(device))
        between = b","
    yield b'],"Datasets":['
    between = b""
    async for name in _dataset_names(store, place):
        yield between
        dataset_id = DatasetId(place.identity_pool_id, place.identity_id, name)
        async for piece in _dataset(store, dataset_id):
            yield piece
        between = b","
    yield b"]}"


def _of_identity(identity: Identity) -> dict[str, Any]:
    return {
        "Kind": identity.kind.name,
        "MergedInto": identity.merged_into,
        "CreationDate": iso_date(identity.creation_date_ms),
        "LastModifiedDate": iso_date(identity.last_modified_date_ms),
        "Logins": [
            {"ProviderName": each.provider_name, "Subject": each.subject}
            for each in identity.logins
        ],
    }


async def _devices(
    store: Store, place: IdentityPlace
) -> AsyncIterator[RegisteredDevice]:
    names = (place.identity_pool_id, place.identity_id)
    after = None
    while page := await store.list_devices(*names, after=after, limit=THINGS_AT_ONCE):
        for each in page:
            yield each
        after = page[-1].device.device_id


def _of_device(registered: RegisteredDevice) -> dict[str, Any]:
    device, push = registered.device, registered.last_push
    return {
        "DeviceId": device.device_id,
        "Platform": device.platform,
        "Token": device.token,
        "RegistrationDate": iso_date(device.registration_date_ms),
        "Disabled": device.disabled,
        "DatasetNames": registered.dataset_names,
        "LastPush": push and {"Date": iso_date(push.date_ms), "Error": push.error},
    }


async def _dataset_names(store: Store, place: IdentityPlace) -> AsyncIterator[str]:
    """List the datasets, deleted ones too: that there was one is data as well."""
    names = (place.identity_pool_id, place.identity_id)
    after = None
    while page := await store.list_datasets(
        *names, after=after, limit=THINGS_AT_ONCE, deleted=True
    ):
        for each in page:
            yield each.dataset_name
        after = page[-1].dataset_name


async def _dataset(store: Store, dataset_id: DatasetId) -> AsyncIterator[bytes]:
    limit, most = RECORDS_AT_ONCE
    after: RecordPosition | None = None
    begun = False
    while True:
        try:
            details = await describe_dataset(
                store, dataset_id, after=after, limit=limit
            )
        except NotFoundError:
            if not begun:  # its identity was merged or deleted just now
                raise
            break
        if not begun:
            head = _of_dataset(dataset_id.dataset_name, details.state)
            yield _encode(head)[:-1] + b',"Records":['
        piece = b",".join(_encode(_of_record(each)) for each in details.records.items)
        yield b"," + piece if begun and piece else piece
        begun = True
        after = details.records.next_position
        if after is None:
            break
        limit = _next_limit(limit, len(piece), most)
    yield b"]}"


def _next_limit(limit: int, piece_bytes: int, most: int) -> int:
    """Say how many records to read next, going by the size of the last ones."""
    small, large = PIECE_BYTES
    if piece_bytes < small:
        return min(2 * limit, most)
    return max(1, limit // 4) if piece_bytes > large else limit


def _of_dataset(dataset_name: str, state: DatasetState) -> dict[str, Any]:
    return {
        "DatasetName": dataset_name,
        "Deleted": not state.exists,
        "SyncCount": state.sync_count,
        "NumRecords": state.num_records,
        "DataStorage": state.data_storage,
        "CreationDate": iso_date(state.creation_date_ms),
        "LastModifiedDate": iso_date(state.last_modified_date_ms),
        "LastModifiedBy": state.last_modified_by,
    }


def _of_record(record: StoredRecord) -> dict[str, Any]:
    return {
        "Key": record.key,
        "Value": record.value,
        "SyncCount": record.sync_count,
        "Op": "replace" if record.value is not None else "remove",
        "LastModifiedDate": iso_date(record.last_modified_date_ms),
        "DeviceLastModifiedDate": iso_date(record.device_last_modified_date_ms),
        "LastModifiedBy": record.last_modified_by,
    }
