"""Configuration of pools: where their push and their stream go."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from millpond.contract.cognito_sync import (
    CognitoStreams,
    GetIdentityPoolConfigurationRequest,
    GetIdentityPoolConfigurationResponse,
    PushSync,
    SetIdentityPoolConfigurationRequest,
    SetIdentityPoolConfigurationResponse,
)
from millpond.core.identity_pools import (
    IdentityPool,
    PushConfiguration,
    StreamConfiguration,
)
from millpond.errors import InvalidParameterException, NotAuthorizedException
from millpond.limits import PAGE_POOLS_MAX
from millpond.service.access import OF_ONE_POOL
from millpond.service.context import Caller, Context
from millpond.service.refusals import pool_not_found

T = TypeVar("T", bound=msgspec.Struct)


async def get_identity_pool_configuration(
    context: Context, caller: Caller, request: GetIdentityPoolConfigurationRequest
) -> GetIdentityPoolConfigurationResponse:
    """Tell how push and the stream of a pool are set up."""
    pool = await get_pool(context, request.identity_pool_id)
    return GetIdentityPoolConfigurationResponse(
        identity_pool_id=pool.identity_pool_id,
        push_sync=_push_sync(pool.push),
        cognito_streams=show_stream(pool.stream),
    )


async def set_identity_pool_configuration(
    context: Context, caller: Caller, request: SetIdentityPoolConfigurationRequest
) -> SetIdentityPoolConfigurationResponse:
    """Change what the request names; the rest stays (ruling 17)."""
    await _check_stream_is_free(context, caller, request)

    def change(pool: IdentityPool) -> IdentityPool:
        push, stream = pool.push, pool.stream
        if request.push_sync is not None:
            push = _changed(push or PushConfiguration(), request.push_sync)
        if request.cognito_streams is not None:
            before = stream or StreamConfiguration()
            stream = _changed(before, request.cognito_streams).since(before)
            # Whoever configures it has seen what was wrong.
            stream = msgspec.structs.replace(
                stream, disabled_reason=None, disabled_date_ms=None
            )
            _check_stream(stream)
        return msgspec.structs.replace(pool, push=push, stream=stream)

    pool = await context.store.update_identity_pool(request.identity_pool_id, change)
    if pool is None:
        raise pool_not_found(request.identity_pool_id)
    # A stream that was switched on again may have changes waiting for it.
    context.outbox_changed.send()
    return SetIdentityPoolConfigurationResponse(
        identity_pool_id=pool.identity_pool_id,
        push_sync=_push_sync(pool.push),
        cognito_streams=show_stream(pool.stream),
    )


async def _check_stream_is_free(
    context: Context, caller: Caller, request: SetIdentityPoolConfigurationRequest
) -> None:
    """
    Keep a key of one pool out of the streams of other pools.

    Raises:
        NotAuthorizedException: another pool has this stream.
    """
    own, streams = caller.scope.identity_pool_id, request.cognito_streams
    if own is None or streams is None or streams.stream_name is None:
        return
    after = None
    while pools := await context.store.list_identity_pools(
        after=after, limit=PAGE_POOLS_MAX
    ):
        for pool in pools:
            if (
                pool.identity_pool_id != own
                and pool.stream is not None
                and pool.stream.stream_name == streams.stream_name
            ):
                raise NotAuthorizedException(OF_ONE_POOL)
        after = pools[-1].identity_pool_id


async def get_pool(context: Context, identity_pool_id: str) -> IdentityPool:
    """
    Find a pool for an operation of Cognito Sync.

    Raises:
        ResourceNotFoundException: no such pool, in Cognito Sync's words.
    """
    pool = await context.store.find_identity_pool(identity_pool_id)
    if pool is None:
        raise pool_not_found(identity_pool_id)
    return pool


def _changed(stored: T, given: msgspec.Struct) -> T:
    """Replace the members that were given."""
    members = {k: v for k, v in msgspec.structs.asdict(given).items() if v is not None}
    return msgspec.structs.replace(stored, **members)


def _check_stream(stream: StreamConfiguration) -> None:
    if stream.streaming_status == "ENABLED" and stream.stream_name is None:
        raise InvalidParameterException(
            "StreamingStatus cannot be ENABLED without a StreamName."
        )


def _push_sync(push: PushConfiguration | None) -> PushSync | None:
    if push is None:
        return None
    return PushSync(**msgspec.structs.asdict(push))


def show_stream(stream: StreamConfiguration | None) -> CognitoStreams | None:
    """Say how a stream is set up, as the API does."""
    if stream is None:
        return None
    # Why streaming was switched off is told by GetStreamDetails, not by the API.
    return msgspec.convert(stream, CognitoStreams, from_attributes=True)
