"""Principal tags: the maps of a pool, by login provider."""

from __future__ import annotations

import msgspec

from millpond.contract import cognito_identity as contract
from millpond.core.identity_pools import IdentityPool, PrincipalTagMap
from millpond.errors import InvalidParameterException, ResourceNotFoundException
from millpond.service.context import Caller, Context
from millpond.service.identity_pools import get_pool
from millpond.service.refusals import identity_pool_not_found


async def set_principal_tag_attribute_map(
    context: Context,
    caller: Caller,
    request: contract.SetPrincipalTagAttributeMapRequest,
) -> contract.SetPrincipalTagAttributeMapResponse:
    """Replace the map of a provider."""
    name = request.identity_provider_name
    given = PrincipalTagMap(
        use_defaults=request.use_defaults, principal_tags=request.principal_tags
    )

    def change(pool: IdentityPool) -> IdentityPool:
        if not (pool.has_provider(name) or name == pool.developer_provider_name):
            # Ours: AWS does not say what it does; such a map would never apply.
            raise InvalidParameterException(
                f"'{name}' is not a provider of identity pool "
                f"'{pool.identity_pool_id}'."
            )
        maps = {**(pool.principal_tag_maps or {}), name: given}
        return msgspec.structs.replace(pool, principal_tag_maps=maps)

    pool = await context.store.update_identity_pool(request.identity_pool_id, change)
    if pool is None:
        raise identity_pool_not_found(request.identity_pool_id)
    return contract.SetPrincipalTagAttributeMapResponse(
        identity_pool_id=pool.identity_pool_id,
        identity_provider_name=name,
        **msgspec.structs.asdict(given),
    )


async def get_principal_tag_attribute_map(
    context: Context,
    caller: Caller,
    request: contract.GetPrincipalTagAttributeMapRequest,
) -> contract.GetPrincipalTagAttributeMapResponse:
    """Tell the map of a provider."""
    pool = await get_pool(context, request.identity_pool_id)
    name = request.identity_provider_name
    found = (pool.principal_tag_maps or {}).get(name)
    if found is None:
        raise ResourceNotFoundException(
            f"Identity pool '{pool.identity_pool_id}' has no principal tags for "
            f"provider '{name}'."
        )
    return contract.GetPrincipalTagAttributeMapResponse(
        identity_pool_id=pool.identity_pool_id,
        identity_provider_name=name,
        **msgspec.structs.asdict(found),
    )
