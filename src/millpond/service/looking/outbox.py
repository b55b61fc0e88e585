"""
The outbox: what waits for the streams of pools, and what they have refused.

Counts go no further than `COUNT_MAX`: an outbox that nobody empties grows without end,
and what matters of it is since when.
"""

from __future__ import annotations

from typing import Final

import msgspec

from millpond.core.identity_pools import IdentityPool, StreamConfiguration
from millpond.core.stream_consumer import read_dataset_name
from millpond.errors import NotFoundError
from millpond.service.looking.pages import Page, cut
from millpond.stores.base import OutboxNote, OutboxUsage, ParkedEntry, Store

COUNT_MAX: Final = 1000
ID_MAX: Final = 2**63 - 1


class BoundedCount(msgspec.Struct, frozen=True):
    """A count, or that there are more."""

    number: int
    more: bool  # than the number


class PoolOutbox(msgspec.Struct, frozen=True):
    """What of a pool waits or is parked."""

    pool: IdentityPool
    waiting: BoundedCount
    parked: BoundedCount
    oldest_ms: int | None  # when the oldest entry came that waits

    @property
    def stream(self) -> StreamConfiguration:
        """The stream that all of it is for."""
        return self.pool.stream or StreamConfiguration()


class EntryLook(msgspec.Struct, frozen=True):
    """An entry, and whose dataset it is about."""

    note: OutboxNote
    dataset_name: str | None  # None: it is no event that we know


async def list_outboxes(
    store: Store, *, after: str | None, limit: int
) -> Page[PoolOutbox, str]:
    """List the pools, by id, of which anything waits or is parked."""
    usages = await store.list_outbox_usage(
        after=after, limit=limit + 1, count_max=COUNT_MAX + 1
    )
    page = cut(usages, limit, lambda each: each.identity_pool_id)
    found = []
    for each in page.items:
        pool = await store.find_identity_pool(each.identity_pool_id)
        if pool is not None:  # it was not deleted just now
            found.append(_of_pool(pool, each.usage))
    return Page(found, page.next_position)


async def describe_outbox(store: Store, identity_pool_id: str) -> PoolOutbox:
    """
    Tell what of a pool waits or is parked.

    Raises:
        NotFoundError: there is no such pool.
    """
    pool = await find_pool(store, identity_pool_id)
    usage = await store.measure_outbox(identity_pool_id, count_max=COUNT_MAX + 1)
    return _of_pool(pool, usage)


async def list_entries(
    store: Store, identity_pool_id: str, *, parked: bool, after: int, limit: int
) -> Page[EntryLook, int]:
    """List what waits of a pool, or is parked, the oldest first."""
    notes = await store.list_outbox_notes(
        identity_pool_id, parked=parked, after=after, limit=limit + 1
    )
    looks = [EntryLook(each, read_dataset_name(each.head)) for each in notes]
    return cut(looks, limit, lambda each: each.note.outbox_id)


async def find_parked(
    store: Store, identity_pool_id: str, outbox_id: int
) -> ParkedEntry:
    """
    Find a parked entry with all that is in it.

    Raises:
        NotFoundError: it is not parked, or not any more.
    """
    await check_parked(store, identity_pool_id, outbox_id)
    found = await store.list_parked_outbox(
        identity_pool_id, after=outbox_id - 1, limit=1
    )
    if not found or found[0].entry.outbox_id != outbox_id:
        raise NotFoundError(f"{outbox_id} is not parked.")
    return found[0]


async def check_parked(store: Store, identity_pool_id: str, outbox_id: int) -> None:
    """
    Make sure that an entry is parked, without reading it.

    Raises:
        NotFoundError: it is not.
    """
    if 0 < outbox_id <= ID_MAX:
        notes = await store.list_outbox_notes(
            identity_pool_id, parked=True, after=outbox_id - 1, limit=1
        )
        if notes and notes[0].outbox_id == outbox_id:
            return
    raise NotFoundError(f"{outbox_id} is not parked.")


async def find_pool(store: Store, identity_pool_id: str) -> IdentityPool:
    """
    Find a pool.

    Raises:
        NotFoundError: there is no such pool.
    """
    pool = await store.find_identity_pool(identity_pool_id)
    if pool is None:
        raise NotFoundError(f"there is no identity pool '{identity_pool_id}'.")
    return pool


def bounded(count: int) -> BoundedCount:
    """Make the count of what was counted to `COUNT_MAX` and one more."""
    return BoundedCount(min(count, COUNT_MAX), count > COUNT_MAX)


def _of_pool(pool: IdentityPool, usage: OutboxUsage) -> PoolOutbox:
    return PoolOutbox(
        pool, bounded(usage.entries), bounded(usage.parked), usage.oldest_ms
    )
