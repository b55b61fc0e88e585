"""Cognito Events: what is called when something happens in a pool, the sync trigger."""

from __future__ import annotations

import msgspec

from millpond.contract.cognito_sync import (
    GetCognitoEventsRequest,
    GetCognitoEventsResponse,
    SetCognitoEventsRequest,
)
from millpond.core.identity_pools import IdentityPool
from millpond.core.sync_trigger import EVENT_TYPE, check_target
from millpond.errors import HookError, InvalidParameterException
from millpond.service.configuration import get_pool
from millpond.service.context import Caller, Context
from millpond.service.refusals import pool_not_found


async def get_cognito_events(
    context: Context, caller: Caller, request: GetCognitoEventsRequest
) -> GetCognitoEventsResponse:
    """Tell what is called for the events of a pool."""
    pool = await get_pool(context, request.identity_pool_id)
    target = pool.sync_trigger
    return GetCognitoEventsResponse(
        events={} if target is None else {EVENT_TYPE: target}
    )


async def set_cognito_events(
    context: Context, caller: Caller, request: SetCognitoEventsRequest
) -> None:
    """Set what the request names; an empty target removes it."""
    for event_type, target in request.events.items():
        if event_type != EVENT_TYPE:
            raise InvalidParameterException(
                f"There is no event type '{event_type}'; there is {EVENT_TYPE}."
            )
        if target:
            check_target(target)
            await _check_reachable(context, target)

    def change(pool: IdentityPool) -> IdentityPool:
        target = request.events.get(EVENT_TYPE, pool.sync_trigger)
        return msgspec.structs.replace(pool, sync_trigger=target or None)

    pool = await context.store.update_identity_pool(request.identity_pool_id, change)
    if pool is None:
        raise pool_not_found(request.identity_pool_id)


async def _check_reachable(context: Context, target: str) -> None:
    """
    Refuse a target that this server would never call, rather than every later update.

    Raises:
        InvalidParameterException: why.
    """
    try:
        await context.hooks.check(target)
    except HookError as error:
        raise InvalidParameterException(
            f"SyncTrigger cannot be called. {error} {error.hint}".rstrip()
        ) from error
