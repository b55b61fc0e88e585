"""Which pool and which identity a command line means."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from millpond.settings import Settings

if TYPE_CHECKING:
    from millpond.service.looking.identities import IdentityPlace
    from millpond.stores.base import Store


async def named_pool(store: Store, settings: Settings, text: str) -> str:
    """
    Find the pool that is meant, by its id or the beginning of it.

    Raises:
        NotFoundError, AmbiguousError: no pool is, or several may be.
    """
    from millpond.service.looking.pools import resolve_pool

    return await resolve_pool(store, text, region=settings.region)


async def chosen_pool(
    store: Store, settings: Settings, options: argparse.Namespace
) -> str | None:
    """Find the pool that the option names; None when it names none."""
    if options.identity_pool_id is None:
        return None
    return await named_pool(store, settings, options.identity_pool_id)


async def chosen_identity(
    store: Store, settings: Settings, options: argparse.Namespace
) -> IdentityPlace:
    """Find the identity that the command line names."""
    from millpond.service.looking.identities import resolve_identity

    pool = await chosen_pool(store, settings, options)
    return await resolve_identity(
        store, pool, options.identity_id, region=settings.region
    )


async def meant_pool(store: Store, settings: Settings, text: str) -> str:
    """
    Give the id of the pool that is meant; it may be gone, and known by its id alone.

    Raises:
        AmbiguousError: several may be.
    """
    from millpond.errors import NotFoundError
    from millpond.service.looking import ids

    try:
        return await named_pool(store, settings, text)
    except NotFoundError:
        return ids.typed(text, region=settings.region)


async def meant_identity(
    store: Store, settings: Settings, pool: str | None, text: str
) -> str:
    """Give the id of the identity that is meant, in the same way."""
    from millpond.errors import NotFoundError
    from millpond.service.looking import ids
    from millpond.service.looking.identities import (
        list_pools_with_data,
        resolve_identity,
    )

    whole = ids.typed(text, region=settings.region)
    for exact in dict.fromkeys((text, whole)):
        # In several pools there may be data of one; it is the same identity.
        if await list_pools_with_data(store, exact, pool):
            return exact
    try:
        place = await resolve_identity(store, pool, text, region=settings.region)
    except NotFoundError:
        return whole
    return place.identity_id
