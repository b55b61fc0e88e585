"""Devices: registering, subscribing and unsubscribing, as their users do it."""

from __future__ import annotations

import contextlib
import uuid

import pytest

from acceptance.sync_client import Dataset, create_pool, new_identity, refused
from acceptance.users import client_of, get_credentials

APPLICATION_ARNS = [
    f"arn:aws:sns:us-east-1:123456789012:app/{platform}/players"
    for platform in ("GCM", "ADM", "APNS", "APNS_SANDBOX")
]


@pytest.fixture
def pool(sync, pool):
    """A fresh identity pool with an application for every platform."""
    sync.set_identity_pool_configuration(
        IdentityPoolId=pool, PushSync={"ApplicationArns": APPLICATION_ARNS}
    )
    return pool


@pytest.fixture
def user(server, guest):
    """The boto3 client of a guest of `pool`."""
    with contextlib.closing(client_of(server, guest)) as client:
        yield client


@pytest.fixture
def dataset(user, pool, guest):
    """A dataset of the guest, which exists."""
    made = Dataset(user, pool, guest.identity_id)
    made.put(a="1")
    return made


def register(user, guest, pool, token="t", platform="GCM"):
    """Register a device; return its id."""
    return user.register_device(
        IdentityPoolId=pool,
        IdentityId=guest.identity_id,
        Platform=platform,
        Token=token,
    )["DeviceId"]


def test_a_device_gets_an_id(user, guest, pool):
    """The id is a bare UUID, as Android and iOS keep it and put it into paths."""
    device_id = register(user, guest, pool)

    assert str(uuid.UUID(device_id)) == device_id


def test_the_same_device_gets_the_same_id(user, guest, pool):
    """An app that was not told its id asks again; another token is another device."""
    first = register(user, guest, pool)

    assert register(user, guest, pool) == first
    assert register(user, guest, pool, token="u") != first


@pytest.mark.parametrize("platform", ["GCM", "ADM", "APNS", "APNS_SANDBOX"])
def test_every_platform_can_register(user, guest, pool, platform):
    """The four platforms of the API."""
    assert register(user, guest, pool, platform=platform)


def test_a_platform_without_application_is_refused(server, device):
    """400 InvalidConfigurationException, where push is not set up."""
    bare = create_pool(server)
    guest = get_credentials(device, bare)
    with (
        contextlib.closing(client_of(server, guest)) as client,
        refused(400, "InvalidConfigurationException"),
    ):
        register(client, guest, bare)


def test_an_unknown_platform_is_refused(raw, pool, identity):
    """A request that is wrong in itself is refused as such, whoever sends it."""
    path = f"/identitypools/{pool}/identity/{identity}/device"

    answer = raw.call("POST", path, {"Platform": "FAX", "Token": "t"})

    assert (answer.status, answer.error) == (400, "InvalidParameterException")


def test_developers_have_no_devices(sync, pool):
    """Developer credentials are refused, in the words of the real service."""
    with refused(403, "NotAuthorizedException") as refusal:
        sync.register_device(
            IdentityPoolId=pool,
            IdentityId=new_identity(),
            Platform="GCM",
            Token="t",
        )

    text = "These credentials are not valid for accessing this resource"
    assert refusal.message == text


def test_a_device_subscribes_and_unsubscribes(user, guest, pool, dataset):
    """Both answer nothing, and both may be repeated."""
    device_id = register(user, guest, pool)
    names = {**dataset.ids, "DeviceId": device_id}
    for _ in range(2):
        answer = user.subscribe_to_dataset(**names)
        assert set(answer) == {"ResponseMetadata"}
    for _ in range(2):
        answer = user.unsubscribe_from_dataset(**names)
        assert set(answer) == {"ResponseMetadata"}


@pytest.mark.parametrize("operation", ["subscribe_to", "unsubscribe_from"])
def test_a_subscription_needs_a_dataset(user, guest, pool, dataset, operation):
    """One that was never made, or that was deleted, is not found (404)."""
    device_id = register(user, guest, pool)
    never_made = Dataset(user, pool, guest.identity_id, "never-made")
    dataset.delete()
    for each in (never_made, dataset):
        with refused(404, "ResourceNotFoundException") as refusal:
            getattr(user, f"{operation}_dataset")(**each.ids, DeviceId=device_id)
        assert refusal.message == f"Dataset '{each.name}' not found"


@pytest.mark.parametrize("operation", ["subscribe_to", "unsubscribe_from"])
def test_a_subscription_needs_an_own_device(
    server, device, user, pool, dataset, operation
):
    """A device of somebody else is not found, as if there were none (404)."""
    other = get_credentials(device, pool)
    with contextlib.closing(client_of(server, other)) as client:
        others = register(client, other, pool)
    for device_id in (others, "never registered"):
        with refused(404, "ResourceNotFoundException") as refusal:
            getattr(user, f"{operation}_dataset")(**dataset.ids, DeviceId=device_id)
        assert refusal.message == f"Device '{device_id}' not found"


def test_a_deleted_identity_cannot_register(user, guest, pool, identity_pools):
    """Its credentials are still good for a while, and leave nothing behind."""
    register(user, guest, pool)
    identity_pools.delete_identities(IdentityIdsToDelete=[guest.identity_id])

    with refused(404, "ResourceNotFoundException") as refusal:
        register(user, guest, pool, token="u")
    assert guest.identity_id in refusal.message
