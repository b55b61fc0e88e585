"""What a device is sent, and through which application."""

from __future__ import annotations

import json

import pytest

from millpond.core.identity_pools import IdentityPool, PushConfiguration
from millpond.core.push import (
    Device,
    Push,
    find_application,
    is_endpoint_of,
    message,
)

POOL = "us-east-1:00000000-0000-4000-8000-000000000001"
IDENTITY = "us-east-1:a0000000-0000-4000-8000-000000000000"
GCM = "arn:aws:sns:us-east-1:123456789012:app/GCM/players"
APNS = "arn:aws:sns:eu-west-1:123456789012:app/APNS/players"
SANDBOX = "arn:aws:sns:eu-west-1:123456789012:app/APNS_SANDBOX/players"


def a_push(platform: str) -> Push:
    device = Device(
        device_id="d1",
        identity_pool_id=POOL,
        identity_id=IDENTITY,
        platform=platform,
        token="t",
        registration_date_ms=1,
    )
    return Push(device=device, dataset_name='a "name"', sync_count=7)


def a_pool(*application_arns: str) -> IdentityPool:
    return IdentityPool(
        identity_pool_id=POOL,
        identity_pool_name="Players",
        allow_unauthenticated_identities=True,
        push=PushConfiguration(application_arns=list(application_arns)),
    )


@pytest.mark.parametrize("platform", ["GCM", "ADM"])
def test_android_gets_five_strings(platform: str) -> None:
    """The Android client reads each of the five as a string and parses the count."""
    sent = json.loads(message(a_push(platform)))

    assert json.loads(sent[platform]) == {
        "data": {
            "source": "cognito-sync",
            "identityPoolId": POOL,
            "identityId": IDENTITY,
            "datasetName": 'a "name"',
            "syncCount": "7",
        }
    }


@pytest.mark.parametrize("platform", ["APNS", "APNS_SANDBOX"])
def test_ios_is_woken_silently(platform: str) -> None:
    """The app reads the same names under `data`; nothing in it shows or sounds."""
    sent = json.loads(message(a_push(platform)))

    assert json.loads(sent[platform]) == {
        "aps": {"content-available": 1},
        "data": {
            "source": "cognito-sync",
            "identityPoolId": POOL,
            "identityId": IDENTITY,
            "datasetName": 'a "name"',
            "syncCount": 7,
        },
    }


def test_a_message_is_for_one_platform() -> None:
    """SNS wants a default beside the platform's own text, and texts alone."""
    sent = json.loads(message(a_push("GCM")))

    assert set(sent) == {"default", "GCM"}
    assert all(isinstance(each, str) for each in sent.values())


def test_the_application_is_that_of_the_platform() -> None:
    """Each platform has its own; the sandbox of APNS is another one than APNS."""
    pool = a_pool(SANDBOX, GCM, f"{GCM}-2")

    assert find_application(pool, "GCM") == GCM
    assert find_application(pool, "APNS_SANDBOX") == SANDBOX
    assert find_application(pool, "APNS") is None
    assert find_application(pool, "ADM") is None


def test_a_pool_without_push_has_no_application() -> None:
    """Nothing configured, or a role alone: there is none."""
    pool = IdentityPool(
        identity_pool_id=POOL,
        identity_pool_name="Players",
        allow_unauthenticated_identities=True,
    )
    assert find_application(pool, "GCM") is None
    assert find_application(a_pool(), "GCM") is None


def test_an_endpoint_belongs_to_one_application() -> None:
    """Another name, platform or region is another application."""
    endpoint = "arn:aws:sns:eu-west-1:123456789012:endpoint/APNS/players/0-1-2"

    assert is_endpoint_of(endpoint, APNS)
    assert not is_endpoint_of(endpoint, SANDBOX)
    assert not is_endpoint_of(endpoint, APNS.replace("eu-west-1", "us-east-1"))
    assert not is_endpoint_of(endpoint, APNS.replace("players", "play"))
