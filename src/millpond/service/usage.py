"""Usage: how much identities and pools hold."""

from __future__ import annotations

from millpond import limits
from millpond.contract.cognito_sync import (
    DescribeIdentityPoolUsageRequest,
    DescribeIdentityPoolUsageResponse,
    DescribeIdentityUsageRequest,
    DescribeIdentityUsageResponse,
    IdentityPoolUsage,
    IdentityUsage,
    ListIdentityPoolUsageRequest,
    ListIdentityPoolUsageResponse,
)
from millpond.errors import ResourceNotFoundException
from millpond.service.context import Caller, Context
from millpond.service.paging import page_size
from millpond.service.refusals import pool_not_found
from millpond.stores import base


async def describe_identity_usage(
    context: Context, caller: Caller, request: DescribeIdentityUsageRequest
) -> DescribeIdentityUsageResponse:
    """Tell how much one identity holds."""
    usage = await context.store.find_identity_usage(
        request.identity_pool_id, request.identity_id
    )
    if usage is None:
        if await context.store.find_identity_pool(request.identity_pool_id) is None:
            raise pool_not_found(request.identity_pool_id)
        raise ResourceNotFoundException(f"Identity '{request.identity_id}' not found")
    return DescribeIdentityUsageResponse(
        identity_usage=IdentityUsage(
            identity_id=request.identity_id,
            identity_pool_id=request.identity_pool_id,
            last_modified_date=usage.last_modified_date_ms / 1000,
            dataset_count=usage.dataset_count,
            data_storage=usage.data_storage,
        )
    )


async def describe_identity_pool_usage(
    context: Context, caller: Caller, request: DescribeIdentityPoolUsageRequest
) -> DescribeIdentityPoolUsageResponse:
    """Tell how much one pool holds."""
    await context.sync_sessions.save()
    usage = await context.store.find_identity_pool_usage(request.identity_pool_id)
    if usage is None:
        raise pool_not_found(request.identity_pool_id)
    return DescribeIdentityPoolUsageResponse(identity_pool_usage=_pool_usage(usage))


async def list_identity_pool_usage(
    context: Context, caller: Caller, request: ListIdentityPoolUsageRequest
) -> ListIdentityPoolUsageResponse:
    """List the pools with how much each of them holds."""
    after = None
    if request.next_token is not None:
        after = context.pages.read(request.next_token, str, "ListIdentityPoolUsage")
    most = limits.PAGE_POOLS_MAX
    limit = page_size(request.max_results, most=most) or most
    await context.sync_sessions.save()
    own = caller.scope.identity_pool_id
    store = context.store
    if own is None:
        found = await store.list_identity_pool_usage(after=after, limit=limit + 1)
    else:
        usage = await store.find_identity_pool_usage(own)
        found = [usage] if usage is not None and own > (after or "") else []
    next_token = None
    if len(found) > limit:
        del found[limit:]
        next_token = context.pages.seal(
            found[-1].identity_pool_id, "ListIdentityPoolUsage"
        )
    return ListIdentityPoolUsageResponse(
        identity_pool_usages=[_pool_usage(each) for each in found],
        max_results=limit,
        count=len(found),
        next_token=next_token,
    )


def _pool_usage(usage: base.IdentityPoolUsage) -> IdentityPoolUsage:
    modified_ms = usage.last_modified_date_ms
    return IdentityPoolUsage(
        identity_pool_id=usage.identity_pool_id,
        sync_sessions_count=usage.sync_sessions_count,
        data_storage=usage.data_storage,
        last_modified_date=None if modified_ms is None else modified_ms / 1000,
    )
