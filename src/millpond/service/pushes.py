"""
Pushes to one device: its endpoint at the push service, and a push to try it with.

A push to try is a real one, of a dataset as it is now: silent, and without any data. An
app that has what it tells of does nothing.
"""

from __future__ import annotations

import msgspec

from millpond.core.push import (
    Device,
    LastPush,
    Push,
    failed_push,
    find_application,
    is_endpoint_of,
    message,
)
from millpond.core.sync import DatasetId
from millpond.errors import EndpointGoneError, NotFoundError, PushError
from millpond.push.base import PushService
from millpond.service.context import Context


class PushTrial(msgspec.Struct, frozen=True, kw_only=True):
    """
    What came of a push that was sent to try a device.

    Args:
        dataset_name: what it told of; empty when the identity has no dataset.
        explanation: for people: what that means, or what to do.
    """

    device_id: str
    dataset_name: str
    sync_count: int
    last_push: LastPush
    explanation: str


async def find_endpoint(
    context: Context,
    service: PushService,
    device: Device,
    application_arn: str,
    role_arn: str | None,
) -> str:
    """
    Give the endpoint of a device; one that the application does not know yet is made.

    Raises:
        EndpointGoneError, PushError: as the service does.
    """
    known = device.endpoint_arn
    if known is not None and is_endpoint_of(known, application_arn):
        return known
    endpoint_arn = await service.create_endpoint(
        application_arn, device.token, role_arn=role_arn
    )
    await context.store.put_endpoint(device, endpoint_arn)
    return endpoint_arn


async def try_push(
    context: Context,
    identity_pool_id: str,
    identity_id: str,
    device_id: str,
    dataset_name: str | None = None,
) -> PushTrial:
    """
    Send a device a push, now and once, and keep how that went.

    Args:
        dataset_name: what it tells of, subscribed or not; None for any.
    Raises:
        NotFoundError: there is no such device, or no such dataset.
    """
    device = await context.store.find_device(identity_id, device_id)
    if device is None or device.identity_pool_id != identity_pool_id:
        raise NotFoundError(f"identity '{identity_id}' has no device '{device_id}'.")
    push = await _choose(context, device, dataset_name)
    error: str | Exception | None = None
    try:
        explanation = await _send(context, push)
    except _CannotSendError as cause:
        error = explanation = str(cause)
    except EndpointGoneError as cause:
        error = cause
        explanation = (
            "The push service has given this device up: the app was removed, or its "
            "token was replaced. It is left alone until the app registers again."
        )
    except PushError as cause:
        error = cause
        explanation = (
            "The push service did not take it. `millpond doctor` tells whether the "
            "pool's push application can be used; a push of a change is tried again."
        )
    now_ms = context.now_ms()
    last_push = (
        LastPush(now_ms) if error is None else failed_push(device, now_ms, error)
    )
    await context.store.put_last_push(device, last_push)
    return PushTrial(
        device_id=device_id,
        dataset_name=push.dataset_name,
        sync_count=push.sync_count,
        last_push=last_push,
        explanation=explanation,
    )


class _CannotSendError(Exception):
    """Nothing can be sent; the message says why, and what to do."""


async def _send(context: Context, push: Push) -> str:
    device = push.device
    if context.push is None:
        raise _CannotSendError("This server sends no pushes.")
    pool = await context.store.find_identity_pool(device.identity_pool_id)
    application_arn = find_application(pool, device.platform) if pool else None
    if pool is None or pool.push is None or application_arn is None:
        raise _CannotSendError(
            f"The pool has no push application for {device.platform}; set one with "
            "SetIdentityPoolConfiguration."
        )
    role_arn = pool.push.role_arn
    endpoint_arn = device.endpoint_arn
    try:
        endpoint_arn = await find_endpoint(
            context, context.push, device, application_arn, role_arn
        )
        await context.push.publish(endpoint_arn, message(push), role_arn=role_arn)
    except EndpointGoneError:
        # As the sender does; a device that has registered meanwhile is left alone.
        await context.store.disable_device(device, endpoint_arn)
        raise
    sentence = (
        "The push service has taken it. Whether and when the device gets it is between "
        "the service and the platform. Nothing is shown on the device; the app "
        f"synchronizes '{push.dataset_name}' when it knows less than sync count "
        f"{push.sync_count}."
    )
    if device.disabled:
        sentence += " The device stays disabled until the app registers again."
    return sentence


async def _choose(context: Context, device: Device, dataset_name: str | None) -> Push:
    """Say what to tell of: a dataset, and its sync count as it is now."""
    names = (device.identity_pool_id, device.identity_id)
    if dataset_name is None:
        found = await context.store.list_datasets(*names, after=None, limit=1)
        if not found:
            return Push(device=device, dataset_name="", sync_count=0)
        dataset_name, state = found[0].dataset_name, found[0].state
    else:
        dataset_id = DatasetId(*names, dataset_name)
        page = await context.store.read_records(dataset_id, lambda dataset: None)
        if page is None or page.dataset is None:
            raise NotFoundError(
                f"identity '{device.identity_id}' has no dataset '{dataset_name}'."
            )
        state = page.dataset
    return Push(device=device, dataset_name=dataset_name, sync_count=state.sync_count)
