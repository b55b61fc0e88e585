"""Devices: RegisterDevice, SubscribeToDataset, UnsubscribeFromDataset."""

from __future__ import annotations

from millpond import limits
from millpond.contract.cognito_sync import (
    RegisterDeviceRequest,
    RegisterDeviceResponse,
    SubscribeToDatasetRequest,
    SubscribeToDatasetResponse,
    UnsubscribeFromDatasetRequest,
    UnsubscribeFromDatasetResponse,
)
from millpond.core.identities import identity_not_found
from millpond.core.push import Device, find_application
from millpond.core.sync import DatasetId
from millpond.errors import (
    InvalidConfigurationException,
    InvalidParameterException,
    ResourceNotFoundException,
)
from millpond.service.configuration import get_pool
from millpond.service.context import Caller, Context


async def register_device(
    context: Context, caller: Caller, request: RegisterDeviceRequest
) -> RegisterDeviceResponse:
    """
    Register a device; the same one again is given the id that it has.

    The push service is not asked here but before the first push, so that a device
    registers at once whether or not the service answers.
    """
    _check_token(request.token)
    pool = await get_pool(context, request.identity_pool_id)
    if find_application(pool, request.platform) is None:
        raise InvalidConfigurationException(
            f"Identity pool '{pool.identity_pool_id}' has no push application for "
            f"platform {request.platform}."
        )
    # A token may belong to devices of several identities: whoever of a family takes the
    # phone signs in, and clients register once for each identity.
    device = Device(
        device_id=str(context.new_uuid()),
        identity_pool_id=request.identity_pool_id,
        identity_id=request.identity_id,
        platform=request.platform,
        token=request.token,
        registration_date_ms=context.now_ms(),
    )
    device_id = await context.store.put_device(
        device, devices_max=limits.DEVICES_PER_IDENTITY_MAX
    )
    if device_id is None:  # its credentials outlive a deleted identity
        raise identity_not_found(request.identity_id)
    return RegisterDeviceResponse(device_id=device_id)


async def subscribe_to_dataset(
    context: Context, caller: Caller, request: SubscribeToDatasetRequest
) -> SubscribeToDatasetResponse:
    """Let a device be told when another one changes a dataset (ruling 22)."""
    await _check_device(context, request)
    if not await context.store.put_subscription(_id(request), request.device_id):
        raise _dataset_not_found(request)
    return SubscribeToDatasetResponse()


async def unsubscribe_from_dataset(
    context: Context, caller: Caller, request: UnsubscribeFromDatasetRequest
) -> UnsubscribeFromDatasetResponse:
    """Let a device not be told any more; what waits for it goes."""
    await _check_device(context, request)
    if not await context.store.delete_subscription(_id(request), request.device_id):
        raise _dataset_not_found(request)
    return UnsubscribeFromDatasetResponse()


_Request = SubscribeToDatasetRequest | UnsubscribeFromDatasetRequest


def _check_token(token: str) -> None:
    if not token:
        raise InvalidParameterException("Token must not be empty.")
    if len(token) > limits.PUSH_TOKEN_CHARS_MAX:
        raise InvalidParameterException(
            f"Token has {len(token)} characters; the limit is "
            f"{limits.PUSH_TOKEN_CHARS_MAX}."
        )


async def _check_device(context: Context, request: _Request) -> None:
    """
    Refuse a device that the identity has not registered.

    Raises:
        ResourceNotFoundException: as if there were none, whosever it is.
    """
    pool = await get_pool(context, request.identity_pool_id)
    device = await context.store.find_device(request.identity_id, request.device_id)
    if device is None or device.identity_pool_id != pool.identity_pool_id:
        raise ResourceNotFoundException(f"Device '{request.device_id}' not found")


def _id(request: _Request) -> DatasetId:
    return DatasetId(
        request.identity_pool_id, request.identity_id, request.dataset_name
    )


def _dataset_not_found(request: _Request) -> ResourceNotFoundException:
    return ResourceNotFoundException(f"Dataset '{request.dataset_name}' not found")
