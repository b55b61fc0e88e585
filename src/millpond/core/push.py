"""
Push: what a device is told when another one has changed a dataset, and through whom.

A push says that there is something new and how new it is; it carries no data. The app
compares the sync count with its own and synchronizes when its own is lower. So a push
may be repeated, and a newer one of the same dataset makes an older one superfluous.

Source: developer guide, push-sync; the Android client (`PushSyncUpdate`), which reads
five strings from the message and throws when one of them is missing.
"""

from __future__ import annotations

from typing import Final

import msgspec

from millpond import limits
from millpond.core.identity_pools import IdentityPool

SOURCE: Final = "cognito-sync"  # AWS: by this an app tells these pushes from its own
APNS_PLATFORMS: Final = frozenset({"APNS", "APNS_SANDBOX"})
_TOKEN_END: Final = 8  # characters, to tell a token from others

_encode = msgspec.json.Encoder().encode


class Device(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An app on a device, as one identity has registered it."""

    device_id: str
    identity_pool_id: str
    identity_id: str
    platform: str  # APNS, APNS_SANDBOX, GCM or ADM
    token: str  # what the platform calls the app on the device
    registration_date_ms: int
    endpoint_arn: str | None = None  # what the push service calls it, once it knows it
    disabled: bool = False  # it cannot be reached before it registers again


class Push(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a device is to be told of a dataset."""

    device: Device
    dataset_name: str
    sync_count: int  # the dataset's
    failures: int = 0  # how often it was tried


class LastPush(msgspec.Struct, frozen=True, gc=False):
    """How the push went that was tried last for a device."""

    date_ms: int
    error: str | None = None  # None: the push service took it


def failed_push(device: Device, date_ms: int, error: object) -> LastPush:
    """
    Make what is kept of a push that failed.

    A service may repeat the token in its error, and may say much.
    """
    text = str(error).replace("\0", "") or type(error).__name__
    text = text.replace(device.token, token_end(device.token))
    if len(text) > limits.PUSH_ERROR_CHARS_MAX:
        text = f"{text[: limits.PUSH_ERROR_CHARS_MAX - 1]}\N{HORIZONTAL ELLIPSIS}"
    return LastPush(date_ms, text)


def token_end(token: str) -> str:
    """Give what may be shown of a token: its end, and never more than half of it."""
    return token[-min(_TOKEN_END, len(token) // 2) :] if len(token) > 1 else ""


def find_application(pool: IdentityPool, platform: str) -> str | None:
    """
    Find the push application of a platform: its ARN.

    The ARN names the platform: `arn:aws:sns:<region>:<account>:app/GCM/<name>`. Of
    several the first one counts.
    """
    arns = pool.push.application_arns if pool.push is not None else None
    for arn in arns or ():
        if arn.rpartition(":")[2].split("/")[1] == platform:
            return arn
    return None


def is_endpoint_of(endpoint_arn: str, application_arn: str) -> bool:
    """Say whether a device is known to this application, or only to an earlier one."""
    # AWS: arn:aws:sns:<region>:<account>:endpoint/GCM/<name>/<id>
    return endpoint_arn.startswith(
        f"{application_arn.replace(':app/', ':endpoint/', 1)}/"
    )


def message(push: Push) -> str:
    """
    Write a push as SNS takes it: JSON, in which each platform's message is a text.

    It is silent: the app wakes, and the user sees nothing.
    """
    data: dict[str, str | int] = {
        "source": SOURCE,
        "identityPoolId": push.device.identity_pool_id,
        "identityId": push.device.identity_id,
        "datasetName": push.dataset_name,
        "syncCount": push.sync_count,
    }
    if push.device.platform in APNS_PLATFORMS:
        payload = {"aps": {"content-available": 1}, "data": data}
    else:
        # AWS: only strings; the Android client parses the count by itself.
        payload = {"data": {key: str(value) for key, value in data.items()}}
    # AWS: `default` must be there, though no device is sent it.
    platforms = {"default": SOURCE, push.device.platform: _encode(payload).decode()}
    return _encode(platforms).decode()
