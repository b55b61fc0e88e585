"""What goes when an identity is deleted, to be said before it is done."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from millpond import limits
from millpond.core.identities import Identity
from millpond.service.looking.identities import list_pools_with_data
from millpond.stores.base import Store


class ErasedPart(msgspec.Struct, frozen=True):
    """
    What goes in one pool.

    Args:
        dataset_count: live ones.
        stream_name: of the stream that is told of their deletion; None: none is.
    """

    identity_pool_id: str
    dataset_count: int
    data_storage: int
    device_count: int
    stream_name: str | None


class Erasure(msgspec.Struct, frozen=True):
    """
    What goes with an identity.

    Args:
        identity: None when there is data under its id and nothing else.
        parts: of its pool; without an identity, of each pool with data under its id.
    """

    identity_id: str
    identity: Identity | None
    parts: Sequence[ErasedPart]


async def plan_erasure(store: Store, identity_id: str) -> Erasure | None:
    """Say what `Store.delete_identity` would delete; None: there is nothing."""
    identity = await store.find_identity(identity_id)
    if identity is not None:
        pools: Sequence[str] = [identity.identity_pool_id]
    else:
        pools = await list_pools_with_data(store, identity_id)
    parts = [await _part(store, each, identity_id) for each in pools]
    return Erasure(identity_id, identity, parts) if parts else None


async def _part(store: Store, identity_pool_id: str, identity_id: str) -> ErasedPart:
    names = (identity_pool_id, identity_id)
    pool = await store.find_identity_pool(identity_pool_id)
    usage = await store.find_identity_usage(*names)
    devices = await store.list_devices(
        *names, after=None, limit=limits.DEVICES_PER_IDENTITY_MAX
    )
    stream = None if pool is None else pool.stream
    return ErasedPart(
        identity_pool_id,
        dataset_count=0 if usage is None else usage.dataset_count,
        data_storage=0 if usage is None else usage.data_storage,
        device_count=len(devices or ()),
        stream_name=stream.stream_name if stream and stream.streaming else None,
    )
