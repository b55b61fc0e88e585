"""
Identities: finding them by id, login or developer user id, and all of one at a glance.

An id may have data and no identity: a developer writes under whatever id it likes, and
an app that moves may bring its data first. Such an id is found when it is given whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import msgspec

from millpond.core.identities import Identity, IdentityKind, Login
from millpond.core.identity_pools import IdentityPool
from millpond.errors import AmbiguousError, NotFoundError
from millpond.service.looking import ids
from millpond.service.looking.pages import Page, cut
from millpond.stores.base import (
    IdentityUsage,
    NamedDataset,
    PoolLogin,
    RegisteredDevice,
    Store,
)

_POOLS_AT_ONCE: Final = 60


class IdentityPlace(msgspec.Struct, frozen=True):
    """The ids of an identity and of its pool."""

    identity_pool_id: str
    identity_id: str


class IdentityDetails(msgspec.Struct, frozen=True):
    """
    All of an identity, but the records.

    Args:
        identity: None when there is data under its id and nothing else.
        usage: None when it never had a dataset.
        last_change: the dataset, of those listed, that was changed last.
        merged: who was merged into it, the last ones first.
    """

    place: IdentityPlace
    identity: Identity | None
    usage: IdentityUsage | None
    datasets: Page[NamedDataset, str]
    last_change: NamedDataset | None
    devices: Page[RegisteredDevice, str]
    merged: Page[Identity, str]


async def search_identities(
    store: Store,
    identity_pool_id: str | None,
    *,
    prefix: str = "",
    kind: IdentityKind | None = None,
    after: str | None = None,
    limit: int,
) -> Page[Identity, str]:
    """
    List identities by id whose id begins with `prefix`, of one pool or of all.

    Args:
        kind: of this kind alone; only within a pool.
    Raises:
        NotFoundError: there is no such pool.
    """
    found = await store.search_identities(
        identity_pool_id, prefix=prefix, kind=kind, after=after, limit=limit + 1
    )
    if found is None:
        raise NotFoundError(f"there is no identity pool '{identity_pool_id}'.")
    return cut(found, limit, lambda identity: identity.identity_id)


async def find_by_login(
    store: Store,
    identity_pool_id: str | None,
    subject: str,
    *,
    provider_name: str | None = None,
) -> list[Identity]:
    """
    Find whose login this is, in one pool or in all.

    Args:
        subject: what the provider calls the user.
        provider_name: None for any that the pool has now, its developers' too.
    """

    def logins(pool: IdentityPool) -> list[Login]:
        names = {provider_name} if provider_name else set(pool.login_providers)
        if pool.developer_provider_name and provider_name is None:
            names.add(pool.developer_provider_name)
        return [Login(each, subject) for each in sorted(names) if each]

    return await _find_owners(store, identity_pool_id, logins)


async def find_by_developer_user(
    store: Store, identity_pool_id: str | None, developer_user_id: str
) -> list[Identity]:
    """Find whom a developer's own backend knows by this name, in one pool or in all."""

    def logins(pool: IdentityPool) -> list[Login]:
        name = pool.developer_provider_name
        return [Login(name, developer_user_id)] if name else []

    return await _find_owners(store, identity_pool_id, logins)


async def _find_owners(
    store: Store,
    identity_pool_id: str | None,
    logins_in: Callable[[IdentityPool], Sequence[Login]],
) -> list[Identity]:
    logins = [
        PoolLogin(pool.identity_pool_id, login)
        async for pool in _pools(store, identity_pool_id)
        for login in logins_in(pool)
    ]
    return await store.find_login_owners(logins)


async def _pools(
    store: Store, identity_pool_id: str | None
) -> AsyncIterator[IdentityPool]:
    if identity_pool_id is not None:
        pool = await store.find_identity_pool(identity_pool_id)
        if pool is None:
            raise NotFoundError(f"there is no identity pool '{identity_pool_id}'.")
        yield pool
        return
    after = None
    while page := await store.list_identity_pools(after=after, limit=_POOLS_AT_ONCE):
        for each in page:
            yield each
        after = page[-1].identity_pool_id


async def resolve_identity(
    store: Store, identity_pool_id: str | None, text: str, *, region: str
) -> IdentityPlace:
    """
    Find the identity that is meant, by its id or the beginning of it.

    Args:
        region: of ids that are given without one.
    Raises:
        NotFoundError, AmbiguousError: no identity is, or several may be.
    """
    whole = ids.typed(text, region=region)
    for exact in dict.fromkeys((text, whole)):
        place = await _find_place(store, identity_pool_id, exact)
        if place is not None:
            return place
    found = await store.search_identities(
        identity_pool_id,
        prefix=whole,
        kind=None,
        after=None,
        limit=ids.SHOWN_MAX + 1,
    )
    if found is None:
        raise NotFoundError(f"there is no identity pool '{identity_pool_id}'.")
    named = {each.identity_id: each for each in found} if whole else {}
    identity = named[ids.the_one("identity", text, list(named))]
    return IdentityPlace(identity.identity_pool_id, identity.identity_id)


async def _find_place(
    store: Store, identity_pool_id: str | None, identity_id: str
) -> IdentityPlace | None:
    """Find where an id is kept, as an identity or by its data."""
    identity = await store.find_identity(identity_id)
    if identity is not None and identity_pool_id in (None, identity.identity_pool_id):
        return IdentityPlace(identity.identity_pool_id, identity_id)
    pools = await list_pools_with_data(store, identity_id, identity_pool_id)
    if len(pools) > 1:
        names = ", ".join(pools)
        raise AmbiguousError(
            f"there is data of identity '{identity_id}' in several pools; name one of "
            f"them: {names}."
        )
    return IdentityPlace(pools[0], identity_id) if pools else None


async def list_pools_with_data(
    store: Store, identity_id: str, identity_pool_id: str | None = None
) -> list[str]:
    """Find the pools, or this one, in which there are or were datasets under an id."""
    return [
        pool.identity_pool_id
        async for pool in _pools(store, identity_pool_id)
        if await store.find_identity_usage(pool.identity_pool_id, identity_id)
        is not None
    ]


async def describe_identity(
    store: Store,
    place: IdentityPlace,
    *,
    limit: int,
    after: str | None = None,
    deleted: bool = False,
) -> IdentityDetails:
    """
    Tell all of an identity.

    Args:
        after: the name of the dataset behind which they are listed.
        deleted: with datasets that were deleted.
        limit: of datasets and of devices, the first ones by name and id, and of those
            who were merged into it.
    Raises:
        NotFoundError: there is no such pool any more.
    """
    names = (place.identity_pool_id, place.identity_id)
    identity = await store.find_identity(place.identity_id)
    datasets = await store.list_datasets(
        *names, after=after, limit=limit + 1, deleted=deleted
    )
    devices = await store.list_devices(*names, after=None, limit=limit + 1)
    if datasets is None or devices is None:
        raise NotFoundError(f"there is no identity pool '{place.identity_pool_id}'.")
    merged = await store.list_merged_identities(*names, limit=limit + 1)
    return IdentityDetails(
        place=place,
        identity=identity,
        usage=await store.find_identity_usage(*names),
        datasets=cut(datasets, limit, lambda each: each.dataset_name),
        last_change=max(
            datasets[:limit],
            key=lambda each: each.state.last_modified_date_ms,
            default=None,
        ),
        devices=cut(devices, limit, lambda each: each.device.device_id),
        merged=cut(merged, limit, lambda each: each.identity_id),
    )
