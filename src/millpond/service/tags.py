"""Tags of identity pools, addressed by the ARN of the pool."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

from millpond.contract import cognito_identity as contract
from millpond.core.identity_pools import IdentityPool
from millpond.errors import InvalidParameterException, ResourceNotFoundException
from millpond.service.context import Caller, Context
from millpond.service.identity_pools import check_tags

Tags = dict[str, str]

_POOL_ARN: Final = re.compile(
    r"(?a)arn:aws[\w-]*:cognito-identity:([\w-]+):(\d+):"
    r"identitypool/([\w-]+:[0-9a-f-]+)"
)


async def tag_resource(
    context: Context, caller: Caller, request: contract.TagResourceRequest
) -> contract.TagResourceResponse:
    """Add tags to a pool; those whose keys it has already are replaced."""
    await _change(context, request.resource_arn, lambda tags: tags | request.tags)
    return contract.TagResourceResponse()


async def untag_resource(
    context: Context, caller: Caller, request: contract.UntagResourceRequest
) -> contract.UntagResourceResponse:
    """Remove tags from a pool."""
    removed = set(request.tag_keys)

    def without(tags: Tags) -> Tags:
        return {key: value for key, value in tags.items() if key not in removed}

    await _change(context, request.resource_arn, without)
    return contract.UntagResourceResponse()


async def list_tags_for_resource(
    context: Context, caller: Caller, request: contract.ListTagsForResourceRequest
) -> contract.ListTagsForResourceResponse:
    """List the tags of a pool."""
    pool_id = _pool_id(context, request.resource_arn)
    pool = await context.store.find_identity_pool(pool_id)
    if pool is None:
        raise _not_found(request.resource_arn)
    return contract.ListTagsForResourceResponse(tags=pool.identity_pool_tags or {})


async def _change(
    context: Context, resource_arn: str, change: Callable[[Tags], Tags]
) -> None:
    def changed(pool: IdentityPool) -> IdentityPool:
        tags = change(pool.identity_pool_tags or {})
        check_tags(tags)
        return msgspec.structs.replace(pool, identity_pool_tags=tags or None)

    pool_id = _pool_id(context, resource_arn)
    if await context.store.update_identity_pool(pool_id, changed) is None:
        raise _not_found(resource_arn)


def _pool_id(context: Context, resource_arn: str) -> str:
    """
    Read the id of the pool out of an ARN.

    Raises:
        InvalidParameterException: it is not the ARN of a pool.
        ResourceNotFoundException: it is that of another region or account.
    """
    found = _POOL_ARN.fullmatch(resource_arn)
    if found is None:
        raise InvalidParameterException(
            f"'{resource_arn}' is not the ARN of an identity pool, which has the form "
            "arn:aws:cognito-identity:REGION:ACCOUNT:identitypool/IDENTITY_POOL_ID."
        )
    region, account_id, identity_pool_id = found.groups()
    settings = context.settings
    if (region, account_id) != (settings.region, settings.account_id):
        raise _not_found(resource_arn)
    return identity_pool_id


def _not_found(resource_arn: str) -> ResourceNotFoundException:
    return ResourceNotFoundException(f"Resource '{resource_arn}' not found.")
