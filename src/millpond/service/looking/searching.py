"""What people ask when they look for an identity: by its id, by a login, by kind."""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from millpond.core.identities import Identity, IdentityKind
from millpond.errors import NotFoundError
from millpond.service.looking import ids
from millpond.service.looking.identities import (
    IdentityPlace,
    find_by_developer_user,
    find_by_login,
    list_pools_with_data,
    search_identities,
)
from millpond.service.looking.pages import Page
from millpond.service.looking.pools import the_only_pool
from millpond.stores.base import Store

KINDS: Final = {
    "users": IdentityKind.USER,
    "guests": IdentityKind.GUEST,
    "merged": IdentityKind.MERGED,
}
"""What people call the kinds of identities."""


class SearchBy(enum.Enum):
    """What it is that somebody knows of an identity."""

    ID = "id"  # or the beginning of it
    LOGIN = "login"  # what a login provider calls the user
    DEVELOPER_USER = "developer-user"  # what the developer's own backend calls it


class IdentitySearch(msgspec.Struct, frozen=True, kw_only=True):
    """
    A question for identities.

    Args:
        identity_pool_id: None for all pools.
        text: as it was typed; empty, with `SearchBy.ID`, for all there are.
        provider_name: of a login; None for any that the pool has now.
        kind: of this kind alone, with `SearchBy.ID`.
    """

    identity_pool_id: str | None = None
    by: SearchBy = SearchBy.ID
    text: str = ""
    provider_name: str | None = None
    kind: IdentityKind | None = None


async def search(
    store: Store, asked: IdentitySearch, *, region: str, after: str | None, limit: int
) -> Page[Identity, str]:
    """
    Find whom a question is about, those behind `after`; there is no more than one page
    of those who have a login.

    Args:
        region: of ids that are given without one.
    Raises:
        NotFoundError: there is no such pool, or several, of which one has to be named
            for a kind.
    """
    if asked.by is SearchBy.LOGIN:
        return Page(
            await find_by_login(
                store,
                asked.identity_pool_id,
                asked.text,
                provider_name=asked.provider_name,
            )
        )
    if asked.by is SearchBy.DEVELOPER_USER:
        return Page(
            await find_by_developer_user(store, asked.identity_pool_id, asked.text)
        )
    pool = asked.identity_pool_id
    if asked.kind is not None and pool is None:
        pool = await the_only_pool(store)
        if pool is None:
            raise NotFoundError("a kind is looked for in one identity pool; name it.")
    return await search_identities(
        store,
        pool,
        prefix=ids.typed(asked.text, region=region),
        kind=asked.kind,
        after=after,
        limit=limit,
    )


async def find_data_alone(
    store: Store, asked: IdentitySearch, *, region: str
) -> list[IdentityPlace]:
    """Find where there is data under an id, given whole, that is no identity's."""
    text = asked.text.strip()
    if asked.by is not SearchBy.ID or not text:
        return []
    for identity_id in dict.fromkeys((text, ids.typed(text, region=region))):
        if await store.find_identity(identity_id) is not None:
            return []
        pools = await list_pools_with_data(store, identity_id, asked.identity_pool_id)
        if pools:
            return [IdentityPlace(each, identity_id) for each in pools]
    return []
