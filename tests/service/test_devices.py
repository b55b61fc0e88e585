"""Registering devices: what bounds them, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from millpond import limits
from millpond.contract import cognito_sync
from millpond.core.identities import IdentityChanges, new_identity
from millpond.core.identity_pools import IdentityPool, PushConfiguration
from millpond.errors import (
    InvalidConfigurationException,
    InvalidParameterException,
    ResourceNotFoundException,
)
from millpond.service import devices
from service.stage import Operations, player

POOL = "us-east-1:aaaaaaaa-0000-0000-0000-000000000000"
ALICE = "us-east-1:1"
GCM = "arn:aws:sns:us-east-1:123456789012:app/GCM/players"
SANDBOX = "arn:aws:sns:us-east-1:123456789012:app/APNS_SANDBOX/players"


class DeviceOperations(Operations):
    """The operations of devices, for Alice."""

    contract = cognito_sync
    modules = (devices,)

    async def set_up(self, *application_arns: str) -> None:
        """Create Alice and her pool, with push applications."""
        pool = IdentityPool(
            identity_pool_id=POOL,
            identity_pool_name="test",
            allow_unauthenticated_identities=True,
        )
        if application_arns:
            push = PushConfiguration(application_arns=list(application_arns))
            pool = msgspec.structs.replace(pool, push=push)
        await self.store.create_identity_pool(pool, pools_max=1)
        identity = new_identity(POOL, ALICE, 1)
        await self.store.update_identities(
            POOL,
            identity_ids=[ALICE],
            logins=[],
            decide=lambda stored: IdentityChanges(identity, [identity]),
        )


def register(token: str = "t", platform: str = "GCM", **others: Any) -> dict[str, Any]:
    """Ask for a registration."""
    names = {"identity_pool_id": POOL, "identity_id": ALICE}
    return {**names, "platform": platform, "token": token, **others}


@pytest.fixture
def run(tmp_path: Path):
    """Run a scene with the operations of devices."""
    return player(DeviceOperations, tmp_path)


def test_a_platform_needs_an_application(run):
    """Without one for the very platform: InvalidConfigurationException, by name."""

    async def scene(ops: DeviceOperations) -> None:
        await ops.set_up(GCM, SANDBOX)
        await ops.call("register_device", **register())
        await ops.call("register_device", **register(platform="APNS_SANDBOX"))
        for platform in ("APNS", "ADM"):
            message = await ops.refused(
                InvalidConfigurationException,
                "register_device",
                **register(platform=platform),
            )
            assert f"platform {platform}." in message

    run(scene)


def test_a_pool_without_push_registers_nobody(run):
    """Push was never set up: InvalidConfigurationException."""

    async def scene(ops: DeviceOperations) -> None:
        await ops.set_up()
        await ops.refused(
            InvalidConfigurationException, "register_device", **register()
        )

    run(scene)


def test_a_token_has_its_limits(run):
    """Neither an empty one nor one longer than any platform's; the longest will do."""
    most = limits.PUSH_TOKEN_CHARS_MAX

    async def scene(ops: DeviceOperations) -> None:
        await ops.set_up(GCM)
        for token in ("", "x" * (most + 1)):
            message = await ops.refused(
                InvalidParameterException, "register_device", **register(token)
            )
            assert "xxx" not in message
        await ops.call("register_device", **register("x" * most))

    run(scene)


def test_an_identity_has_so_many_devices(run):
    """One more takes the place of the one registered the longest time ago."""
    most = limits.DEVICES_PER_IDENTITY_MAX

    async def scene(ops: DeviceOperations) -> None:
        await ops.set_up(GCM)
        given = [
            (await ops.call("register_device", **register(f"t{number}"))).device_id
            for number in range(most + 3)
        ]
        kept = [e for e in given if await ops.store.find_device(ALICE, e) is not None]

        assert len(set(given)) == most + 3
        assert len(kept) == most
        assert given[-1] in kept

    run(scene)


def test_an_identity_that_is_gone_registers_nothing(run):
    """Credentials outlive a deleted identity; it must leave nothing behind."""

    async def scene(ops: DeviceOperations) -> None:
        await ops.set_up(GCM)
        await ops.store.delete_identity(ALICE, now_ms=1)
        message = await ops.refused(
            ResourceNotFoundException, "register_device", **register()
        )
        assert ALICE in message

    run(scene)


def test_a_pool_that_is_gone_is_named(run):
    """Each operation says that the pool is not there."""
    names = {"identity_pool_id": POOL, "identity_id": ALICE}
    subscription = {**names, "dataset_name": "prefs", "device_id": "d"}

    async def scene(ops: DeviceOperations) -> None:
        for operation, members in (
            ("register_device", register()),
            ("subscribe_to_dataset", subscription),
            ("unsubscribe_from_dataset", subscription),
        ):
            message = await ops.refused(ResourceNotFoundException, operation, **members)
            assert message == f"IdentityPool '{POOL}' not found"

    run(scene)
