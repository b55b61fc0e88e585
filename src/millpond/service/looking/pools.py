"""Identity pools: a list of them with what they hold, and one of them in detail."""

from __future__ import annotations

import msgspec

from millpond.core.bulk_publish import BulkPublishRun
from millpond.core.identity_pools import IdentityPool
from millpond.errors import NotFoundError
from millpond.service.looking import ids
from millpond.service.looking.pages import Page, cut
from millpond.stores.base import IdentityPoolUsage, OutboxUsage, Store
from millpond.stores.importing import ImportState, ImportStore


class PoolLook(msgspec.Struct, frozen=True):
    """A pool and what it holds."""

    pool: IdentityPool
    usage: IdentityPoolUsage


class PoolDetails(msgspec.Struct, frozen=True):
    """A pool, what it holds, and what is on its way to its stream."""

    pool: IdentityPool
    usage: IdentityPoolUsage
    outbox: OutboxUsage
    run: BulkPublishRun  # the last bulk publish
    moving: ImportState | None = None  # how it moves in; None: it does not


async def list_pools(
    store: Store, *, after: str | None, limit: int
) -> Page[PoolLook, str]:
    """List pools by id, those behind `after`."""
    listed = await store.list_identity_pool_usage(after=after, limit=limit + 1)
    usages = {each.identity_pool_id: each for each in listed}
    pools = await store.list_identity_pools(after=after, limit=limit + 1)
    looks = [
        PoolLook(each, usages.get(each.identity_pool_id) or _nothing(each))
        for each in pools
    ]
    return cut(looks, limit, lambda look: look.pool.identity_pool_id)


def _nothing(pool: IdentityPool) -> IdentityPoolUsage:
    """The usage of a pool that was made between two looks."""
    return IdentityPoolUsage(pool.identity_pool_id, 0, 0, None)


async def resolve_pool(store: Store, text: str, *, region: str) -> str:
    """
    Find the id of the pool that is meant.

    Raises:
        NotFoundError, AmbiguousError: no pool is, or several may be.
    """
    whole = ids.typed(text, region=region)
    for exact in dict.fromkeys((text, whole)):
        if await store.find_identity_pool(exact) is not None:
            return exact
    pools = await store.list_identity_pools(after=whole, limit=ids.SHOWN_MAX + 1)
    found = [each.identity_pool_id for each in pools] if whole else []
    matching = [each for each in found if each.startswith(whole)]
    return ids.the_one("identity pool", text, matching)


async def the_only_pool(store: Store) -> str | None:
    """Give the id of the pool when there is one alone."""
    pools = await store.list_identity_pools(after=None, limit=2)
    return pools[0].identity_pool_id if len(pools) == 1 else None


async def describe_pool(
    store: Store, identity_pool_id: str, *, outbox_count_max: int | None = None
) -> PoolDetails:
    """
    Tell all of a pool.

    Args:
        outbox_count_max: what waits is counted no further; None: to the end.
    Raises:
        NotFoundError: there is no such pool.
    """
    pool = await store.find_identity_pool(identity_pool_id)
    usage = await store.find_identity_pool_usage(identity_pool_id)
    run = await store.find_bulk_publish(identity_pool_id)
    if pool is None or usage is None or run is None:
        raise NotFoundError(f"there is no identity pool '{identity_pool_id}'.")
    outbox = await store.measure_outbox(identity_pool_id, count_max=outbox_count_max)
    moving = None
    if isinstance(store, ImportStore):
        moving = await store.find_import(identity_pool_id)
    return PoolDetails(pool, usage, outbox, run, moving)
