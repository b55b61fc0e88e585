"""Guests that nobody uses: when they go, and what their device meets then."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from millpond.contract import cognito_identity as contract
from millpond.core.identity_pools import IdentityPool
from millpond.errors import ResourceNotFoundException
from millpond.service.context import ANYONE
from millpond.service.identities import get_id
from millpond.service.identity_tokens import get_credentials_for_identity
from millpond.settings import Settings
from millpond.stores.sqlite import SqliteStore
from millpond.workers import housekeeping
from service.stage import make_context

POOL = "us-east-1:00000000-0000-4000-8000-000000000001"
DAY_MS = 86_400_000
LIFETIME_DAYS = 30


class Server:
    """The operations, and housekeeping, with a clock that is set by hand."""

    def __init__(self, store: SqliteStore, settings: Settings) -> None:
        self.day = 0.0
        self.context = make_context(store, settings, lambda: round(self.day * DAY_MS))

    async def new_guest(self) -> str:
        """Get an id, as a device does."""
        request = contract.GetIdRequest(identity_pool_id=POOL)
        return (await get_id(self.context, ANYONE, request)).identity_id

    async def use(self, identity_id: str) -> None:
        """Get credentials, as a device does."""
        request = contract.GetCredentialsForIdentityRequest(identity_id=identity_id)
        await get_credentials_for_identity(self.context, ANYONE, request)

    async def keep_house(self) -> None:
        """Let housekeeping look once."""
        looked = asyncio.Event()

        async def once(name, step, *, pause_s):
            await step()
            looked.set()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(housekeeping, "run_steps", once)
            await housekeeping.expire_guests(self.context, self.context.metrics)
        assert looked.is_set()


def play(folder: Path, scene, *, days: int = LIFETIME_DAYS) -> None:
    """Run a scene on a server of its own."""

    async def on_stage() -> None:
        store = SqliteStore(folder)
        await store.open()
        pool = IdentityPool(
            identity_pool_id=POOL,
            identity_pool_name="test",
            allow_unauthenticated_identities=True,
        )
        await store.create_identity_pool(pool, pools_max=1)
        try:
            await scene(Server(store, Settings(unused_guest_lifetime_s=days * 86_400)))
        finally:
            await store.aclose()

    asyncio.run(on_stage())


def test_one_who_is_not_used(tmp_path):
    """He goes after the lifetime, as a deleted identity; one who is used stays."""

    async def scene(server):
        gone, used = await server.new_guest(), await server.new_guest()
        for server.day in range(0, LIFETIME_DAYS + 2, 7):
            await server.keep_house()
            await server.use(used)
        server.day = LIFETIME_DAYS + 2

        await server.keep_house()

        await server.use(used)
        with pytest.raises(ResourceNotFoundException):
            await server.use(gone)
        assert await server.new_guest() not in (gone, used)

    play(tmp_path, scene)


def test_the_first_lifetime_after_it_was_switched_on(tmp_path):
    """Nobody goes who may have been used before that was kept."""

    async def scene(server):
        old = await server.new_guest()
        server.day = 400
        await server.keep_house()
        server.day += LIFETIME_DAYS - 1
        await server.keep_house()
        await server.use(old)

    play(tmp_path, scene)


def test_off(tmp_path):
    """By default nobody goes, however old."""

    async def scene(server):
        old = await server.new_guest()
        for server.day in (1, 4000):
            await server.keep_house()
        await server.use(old)

    assert Settings().unused_guest_lifetime_s == 0
    play(tmp_path, scene, days=0)
