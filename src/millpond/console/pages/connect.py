"""Connect: starter code for the clients that there are, with a pool's id filled in."""

from __future__ import annotations

from typing import Final

from millpond.console import looking
from millpond.console.base import Ask, Console, Shown, Viewer, page
from millpond.console.starting import STARTERS, write
from millpond.service.looking.pages import cut

POOLS_AT_ONCE: Final = 50


async def choose_pool(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show which pools an app could be connected to."""
    after = ask.query.text("after") or None
    if viewer.pool is not None:
        found = [await looking.get_pool(console, viewer.pool)]
    else:
        found = list(
            await console.context.store.list_identity_pools(
                after=after, limit=POOLS_AT_ONCE + 1
            )
        )
    listed = cut(found, POOLS_AT_ONCE, lambda each: each.identity_pool_id)
    return Shown(
        title="Connect an app",
        data={
            "pools": [
                {
                    "identity_pool_id": each.identity_pool_id,
                    "identity_pool_name": each.identity_pool_name,
                }
                for each in listed.items
            ],
            "next": listed.next_position,
            "is_first": after is None,
        },
    )


async def show_starters(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show what an app needs to sync with a pool."""
    pool = await looking.get_pool(console, ask.path["pool"])
    public_url = console.context.settings.public_url
    return Shown(
        title=f"Connect an app to {looking.name_of(pool)}",
        crumbs=looking.crumbs_of(pool),
        data={
            "identity_pool_id": pool.identity_pool_id,
            "endpoint": public_url,
            "region": pool.identity_pool_id.partition(":")[0],
            "allow_unauthenticated_identities": pool.allow_unauthenticated_identities,
            "developer_provider_name": pool.developer_provider_name,
            "starters": [
                {
                    "id": each.id,
                    "title": each.title,
                    "needs": each.needs,
                    "is_tried": each.is_tried,
                    "code": write(each, pool, public_url),
                }
                for each in STARTERS
            ],
        },
    )


ROUTES: Final = (
    page("/connect", choose_pool, "connect.html"),
    page("/pools/{pool}/connect", show_starters, "pool_connect.html"),
)
