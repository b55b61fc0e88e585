"""Identity pools: create, describe, list, update and delete them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from millpond import limits
from millpond.contract import cognito_identity as contract
from millpond.contract.cognito_identity.identity_pools import IdentityPoolName
from millpond.contract.cognito_sync import IdentityPoolId
from millpond.core.identity_pools import COGNITO_PROVIDERS, IdentityPool
from millpond.errors import InvalidParameterException, LimitExceededException
from millpond.service.context import Caller, Context
from millpond.service.forms import why_not
from millpond.service.refusals import identity_pool_not_found
from millpond.stores.base import IdentityPoolStore


async def create_identity_pool(
    context: Context, caller: Caller, request: contract.CreateIdentityPoolRequest
) -> contract.IdentityPool:
    """Create an identity pool."""
    pools_max = context.settings.identity_pools_max
    identity_pool_id = f"{context.settings.region}:{context.new_uuid()}"
    pool = _described(identity_pool_id, request)
    if not await context.store.create_identity_pool(pool, pools_max=pools_max):
        raise LimitExceededException(
            f"There would be {pools_max + 1} identity pools; the limit is {pools_max}."
        )
    return _answer(pool)


async def adopt_identity_pool(
    store: IdentityPoolStore,
    identity_pool_id: str,
    *,
    name: str,
    allow_guests: bool,
    pools_max: int,
) -> str | None:
    """
    Create an identity pool under an id that it has elsewhere, for an administrator.

    Returns:
        Why it was refused; None when it was created.
    """
    reason = why_not(identity_pool_id, IdentityPoolId) or why_not(
        name, IdentityPoolName
    )
    if reason is None and identity_pool_id != identity_pool_id.lower():
        # AWS: its pattern lets them be, and ids that it makes have none.
        reason = f"ids are in small letters; '{identity_pool_id.lower()}' may be meant"
    if reason is not None:
        return f"it cannot be created: {reason}."
    given = {
        "IdentityPoolId": identity_pool_id,
        "IdentityPoolName": name,
        "AllowUnauthenticatedIdentities": allow_guests,
    }
    request = msgspec.convert(given, contract.UpdateIdentityPoolRequest)
    if await store.find_identity_pool(identity_pool_id) is not None:
        return f"identity pool '{identity_pool_id}' exists already."
    pool = _described(identity_pool_id, request)
    if not await store.create_identity_pool(pool, pools_max=pools_max):
        return f"there are {pools_max} identity pools already; that is the limit."
    return None


async def update_identity_pool(
    context: Context, caller: Caller, request: contract.UpdateIdentityPoolRequest
) -> contract.IdentityPool:
    """Replace the description of a pool; all else that is kept of it stays."""
    described = _described(request.identity_pool_id, request)
    given = {name: getattr(described, name) for name in request.__struct_fields__}
    # AWS: all else that is left out goes back to its default (API reference), but
    # Terraform never sends this one, and finds it as it was.
    if given["developer_provider_name"] is None:
        del given["developer_provider_name"]

    def change(pool: IdentityPool) -> IdentityPool:
        changed = msgspec.structs.replace(pool, **given)
        _keep_developer_provider(pool, changed.developer_provider_name)
        _check_developer_provider(changed)
        return changed

    pool = await context.store.update_identity_pool(request.identity_pool_id, change)
    if pool is None:
        raise identity_pool_not_found(request.identity_pool_id)
    return _answer(pool)


def _keep_developer_provider(pool: IdentityPool, name: str | None) -> None:
    """Refuse to change the name, which users' identities are tied to."""
    # AWS: once it is set it stays (model, DeveloperProviderName).
    if pool.developer_provider_name not in (None, name):
        raise InvalidParameterException(
            f"DeveloperProviderName of identity pool '{pool.identity_pool_id}' is "
            f"'{pool.developer_provider_name}' and cannot be changed; send it as it is."
        )


async def describe_identity_pool(
    context: Context, caller: Caller, request: contract.DescribeIdentityPoolRequest
) -> contract.IdentityPool:
    """Tell what is known about an identity pool."""
    return _answer(await get_pool(context, request.identity_pool_id))


async def list_identity_pools(
    context: Context, caller: Caller, request: contract.ListIdentityPoolsRequest
) -> contract.ListIdentityPoolsResponse:
    """List the identity pools, by id."""
    after = None
    if request.next_token is not None:
        after = context.pages.read(request.next_token, str, "ListIdentityPools")
    limit = request.max_results
    own = caller.scope.identity_pool_id
    if own is None:
        found = await context.store.list_identity_pools(after=after, limit=limit + 1)
    else:
        pool = await context.store.find_identity_pool(own)
        found = [pool] if pool is not None and own > (after or "") else []
    page = found[:limit]
    token = None
    if len(found) > limit:
        token = context.pages.seal(page[-1].identity_pool_id, "ListIdentityPools")
    return contract.ListIdentityPoolsResponse(
        identity_pools=[
            contract.IdentityPoolShortDescription(
                identity_pool_id=pool.identity_pool_id,
                identity_pool_name=pool.identity_pool_name,
            )
            for pool in page
        ],
        next_token=token,
    )


async def delete_identity_pool(
    context: Context, caller: Caller, request: contract.DeleteIdentityPoolRequest
) -> None:
    """Delete an identity pool for good, with all its data."""
    if not await context.store.delete_identity_pool(request.identity_pool_id):
        raise identity_pool_not_found(request.identity_pool_id)


async def get_pool(context: Context, identity_pool_id: str) -> IdentityPool:
    """
    Get an identity pool.

    Raises:
        ResourceNotFoundException: there is no such pool.
    """
    pool = await context.store.find_identity_pool(identity_pool_id)
    if pool is None:
        raise identity_pool_not_found(identity_pool_id)
    return pool


def check_tags(tags: Mapping[str, str]) -> None:
    """Refuse more tags than a pool may have."""
    if len(tags) > limits.TAGS_MAX:
        raise InvalidParameterException(
            f"The identity pool would have {len(tags)} tags; the limit is "
            f"{limits.TAGS_MAX}."
        )


def _described(
    identity_pool_id: str,
    request: contract.CreateIdentityPoolRequest | contract.UpdateIdentityPoolRequest,
) -> IdentityPool:
    """Take the description out of a request."""
    check_tags(request.identity_pool_tags or {})
    given = {**msgspec.structs.asdict(request), "identity_pool_id": identity_pool_id}
    pool = msgspec.convert(given, IdentityPool, from_attributes=True)
    _check_developer_provider(pool)
    return pool


def _check_developer_provider(pool: IdentityPool) -> None:
    """Refuse a pool whose developer has the name of one of its login providers."""
    name = pool.developer_provider_name
    if name in pool.login_providers | COGNITO_PROVIDERS:
        # Ours: a login is known by its provider's name, so the developer's word for a
        # user could pass for that of the provider.
        raise InvalidParameterException(
            f"DeveloperProviderName '{name}' is the name of a login provider."
        )


def _answer(pool: IdentityPool) -> contract.IdentityPool:
    """Show the description of a pool, without its configuration and its roles."""
    # The members have the same names on both sides.
    return msgspec.convert(pool, contract.IdentityPool, from_attributes=True)
