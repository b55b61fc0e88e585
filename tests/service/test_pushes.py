"""A push to try a device: a real one, whose outcome is explained and kept."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from millpond.contract import cognito_sync as contract
from millpond.core.identities import IdentityChanges, new_identity
from millpond.core.identity_pools import IdentityPool, PushConfiguration
from millpond.core.push import Device, LastPush
from millpond.core.sync import DatasetId
from millpond.core.tokens import SyncSessions
from millpond.errors import EndpointGoneError, NotFoundError, PushError
from millpond.service import records
from millpond.service.context import Caller, Context
from millpond.service.pushes import try_push
from millpond.settings import Settings
from millpond.stores.sqlite import SqliteStore
from service.stage import make_context

POOL = "us-east-1:aaaaaaaa-0000-0000-0000-000000000000"
OTHER_POOL = "us-east-1:bbbbbbbb-0000-0000-0000-000000000000"
ALICE = "us-east-1:1"
GCM = "arn:aws:sns:us-east-1:123456789012:app/GCM/players"
TOKEN = "the token of a device"
NOW_MS = 1_700_000_000_000
ENDPOINT = f"{GCM.replace(':app/', ':endpoint/')}/x"

Scene = Callable[[Context], Awaitable[None]]


class Service:
    """A push service that keeps what it takes, or raises its trouble."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.trouble = trouble
        self.taken: list[dict[str, str]] = []

    async def create_endpoint(
        self, application_arn: str, token: str, *, role_arn: str | None
    ) -> str:
        assert (application_arn, token) == (GCM, TOKEN)
        return ENDPOINT

    async def check_application(
        self, application_arn: str, *, role_arn: str | None
    ) -> None:
        raise AssertionError(application_arn)

    async def publish(
        self, endpoint_arn: str, message: str, *, role_arn: str | None
    ) -> None:
        assert endpoint_arn == ENDPOINT
        if self.trouble is not None:
            raise self.trouble
        payload = json.loads(json.loads(message)["GCM"])
        assert set(payload) == {"data"}  # silent: there is nothing to be shown
        self.taken.append(payload["data"])

    async def aclose(self) -> None: ...


async def set_up(context: Context, *application_arns: str) -> None:
    """Create Alice, with a device and a dataset that was written twice."""
    pool = IdentityPool(
        identity_pool_id=POOL,
        identity_pool_name="test",
        allow_unauthenticated_identities=True,
        push=PushConfiguration(application_arns=list(application_arns)),
    )
    await context.store.create_identity_pool(pool, pools_max=2)
    identity = new_identity(POOL, ALICE, 1)
    await context.store.update_identities(
        POOL,
        identity_ids=[ALICE],
        logins=[],
        decide=lambda stored: IdentityChanges(identity, [identity]),
    )
    device = Device(
        device_id="d1",
        identity_pool_id=POOL,
        identity_id=ALICE,
        platform="GCM",
        token=TOKEN,
        registration_date_ms=1,
    )
    await context.store.put_device(device, devices_max=9)
    names = {
        "identity_pool_id": POOL,
        "identity_id": ALICE,
        "dataset_name": "prefs",
    }
    for count in range(2):
        token = context.sessions.issue(
            DatasetId(POOL, ALICE, "prefs"), now_ms=NOW_MS
        ).token
        patch = contract.RecordPatch(op="replace", key="k", sync_count=count, value="v")
        request = contract.UpdateRecordsRequest(
            **names, sync_session_token=token, record_patches=[patch]
        )
        await records.update_records(context, Caller("AKIA", "0"), request)


def play(
    place: Path, scene: Scene, service: Service | None, *application_arns: str
) -> None:
    """Run a scene on a store with Alice in it."""

    async def on_stage() -> None:
        store = SqliteStore(place)
        await store.open()
        try:
            sessions = SyncSessions(
                b"k" * 32, lifetime_ms=1000, random_bytes=secrets.token_bytes
            )
            context = make_context(
                store, Settings(), lambda: NOW_MS, push=service, sessions=sessions
            )
            await set_up(context, *application_arns)
            await scene(context)
        finally:
            await store.aclose()

    asyncio.run(on_stage())


async def last_push(context: Context) -> LastPush | None:
    """Give what is kept of the last push to the device."""
    found = await context.store.list_devices(POOL, ALICE, after=None, limit=1)
    assert found
    return found[0].last_push


def test_a_device_is_sent_what_a_change_would_send(tmp_path):
    """Of the dataset named, or of any, with the sync count that it has."""
    service = Service()

    async def scene(context: Context) -> None:
        for named in ("prefs", None):
            trial = await try_push(context, POOL, ALICE, "d1", named)
            assert (trial.dataset_name, trial.sync_count) == ("prefs", 2)
            assert trial.last_push == LastPush(NOW_MS) == await last_push(context)
        assert "sync count 2" in trial.explanation

    play(tmp_path, scene, service, GCM)
    assert service.taken == 2 * [
        {
            "source": "cognito-sync",
            "identityPoolId": POOL,
            "identityId": ALICE,
            "datasetName": "prefs",
            "syncCount": "2",
        }
    ]


@pytest.mark.parametrize(
    ("service", "applications", "error", "explanation"),
    [
        (Service(PushError(f"no {TOKEN}")), [GCM], "no a device", "doctor"),
        (Service(EndpointGoneError("disabled")), [GCM], "disabled", "registers again"),
        (Service(), [], "no push application", "SetIdentityPoolConfiguration"),
        (None, [GCM], "sends no pushes", "sends no pushes"),
    ],
    ids=["refused", "gone", "no application", "no service"],
)
def test_why_it_failed_is_explained_and_kept(
    service, applications, error, explanation, tmp_path
):
    """What the service says, without the token; and what one may do."""

    async def scene(context: Context) -> None:
        trial = await try_push(context, POOL, ALICE, "d1", "prefs")
        assert explanation in trial.explanation
        assert trial.last_push.error is not None
        assert error in trial.last_push.error
        assert TOKEN not in trial.last_push.error
        assert await last_push(context) == trial.last_push
        device = await context.store.find_device(ALICE, "d1")
        assert device is not None
        assert device.disabled == (error == "disabled")

    play(tmp_path, scene, service, *applications)


def test_what_is_not_there_is_not_tried(tmp_path):
    """A device, a dataset, a device of another pool: nothing is sent."""
    service = Service()

    async def scene(context: Context) -> None:
        pool = await context.store.find_identity_pool(POOL)
        assert pool is not None
        other = msgspec.structs.replace(pool, identity_pool_id=OTHER_POOL)
        await context.store.create_identity_pool(other, pools_max=2)
        for names in [
            (POOL, ALICE, "d2", None),
            (POOL, "us-east-1:2", "d1", None),
            (OTHER_POOL, ALICE, "d1", None),
            (POOL, ALICE, "d1", "not there"),
        ]:
            with pytest.raises(NotFoundError):
                await try_push(context, *names)

    play(tmp_path, scene, service, GCM)
    assert service.taken == []
