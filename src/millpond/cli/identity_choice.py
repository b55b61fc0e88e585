"""Which pool and which identity a command line means."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from millpond.settings import Settings

if TYPE_CHECKING:
    from millpond.service.looking.identities import IdentityPlace
    from millpond.stores.base import Store


async def chosen_pool(
    store: Store, settings: Settings, options: argparse.Namespace
) -> str | None:
    """Find the pool that the option names; None when it names none."""
    from millpond.service.looking.pools import resolve_pool

    if options.identity_pool_id is None:
        return None
    return await resolve_pool(store, options.identity_pool_id, region=settings.region)


async def chosen_identity(
    store: Store, settings: Settings, options: argparse.Namespace
) -> IdentityPlace:
    """Find the identity that the command line names."""
    from millpond.service.looking.identities import resolve_identity

    pool = await chosen_pool(store, settings, options)
    return await resolve_identity(
        store, pool, options.identity_id, region=settings.region
    )
