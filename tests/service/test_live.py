"""Live updates: from where on a listener is told, and what its event ids stand for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from millpond.contract.live import GetLiveUpdatesRequest
from millpond.core.identity_pools import IdentityPool
from millpond.core.session_tokens import UserSession
from millpond.core.sync import DatasetId
from millpond.errors import ResourceNotFoundException, StoreError
from millpond.limits import LIVE_DEVELOPER_LIFETIME_S
from millpond.service.changes import Changes
from millpond.service.context import Caller
from millpond.service.live import LiveEvent, LiveUpdates, get_live_updates
from millpond.settings import Settings
from millpond.stores.sqlite import SqliteStore
from millpond.testing.deadlines import seconds
from millpond.testing.store_contract.bench import put
from service.stage import make_context

POOL = "us-east-1:00000000-0000-4000-8000-000000000001"
ALICE = "us-east-1:a0000000-0000-4000-8000-000000000000"
DEVELOPER = Caller("AKIAEXAMPLE", "000000000000")
NOW_MS = 1_750_000_000_000
UNKNOWN = "us-east-1:00000000-0000-4000-8000-00000000000f"


class Server:
    """The operation over a store of its own, with a clock that is set by hand."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.now_ms = NOW_MS
        self.changes = Changes(listeners_max=2, listeners_per_identity_max=2)
        self.context = make_context(
            store, Settings(), lambda: self.now_ms, changes=self.changes
        )

    async def write(self, *names: str, tell: bool = True) -> None:
        """Change datasets, which takes one count each."""
        for name in names:
            dataset_id = DatasetId(POOL, ALICE, name)
            changes = await put(self.store, dataset_id, {"a": "1"})
            if tell:
                self.changes.publish(dataset_id, changes.dataset)

    async def listen(
        self, event_id: str | None = None, caller: Caller = DEVELOPER
    ) -> LiveUpdates:
        """Begin to listen, from an event on."""
        request = GetLiveUpdatesRequest(POOL, ALICE, event_id)
        return await get_live_updates(self.context, caller, request)


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Any], None]:
    """Run a scene against a fresh server."""

    def run(scene: Any) -> None:
        async def on_stage() -> None:
            store = SqliteStore(tmp_path)
            await store.open()
            try:
                pool = IdentityPool(
                    identity_pool_id=POOL,
                    identity_pool_name="test",
                    allow_unauthenticated_identities=True,
                )
                await store.create_identity_pool(pool, pools_max=1)
                await scene(Server(store))
            finally:
                await store.aclose()

        asyncio.run(on_stage())

    return run


def told(events: list[LiveEvent]) -> list[tuple[str, int]]:
    """Say what events tell: names and sync counts."""
    return [(each.update.dataset_name, each.update.sync_count) for each in events]


def test_each_id_stands_for_what_came_before_it(play):
    """Whoever got the first of two events and no more is told of the second again."""

    async def scene(server):
        updates = await server.listen()
        await server.write("one", "two")
        first, last = await updates.wait(seconds(20))

        assert told((await server.listen(first.event_id)).take_missed()) == [("two", 1)]
        updates.close()
        assert (await server.listen(last.event_id)).take_missed() == []

    play(scene)


def test_cut_off_among_the_missed(play):
    """Until all that was missed is told, an id stands for where the listener was."""

    async def scene(server):
        await server.write("one", "two", "three", tell=False)
        updates = await server.listen("1")
        *before, last = updates.take_missed()

        assert {each.event_id for each in before} == {updates.event_id} == {"1"}
        updates.close()
        again = await server.listen(before[-1].event_id)
        assert len(again.take_missed()) == 3
        again.close()
        assert (await server.listen(last.event_id)).take_missed() == []

    play(scene)


def test_published_late(play):
    """A change that was read already is not told when it is published after that."""

    async def scene(server):
        await server.write("one", tell=False)
        updates = await server.listen()
        state = (await server.store.list_datasets(POOL, ALICE, after=None, limit=1))[0]
        server.changes.publish(DatasetId(POOL, ALICE, "one"), state.state)
        await server.write("two")

        assert told(await updates.wait(seconds(20))) == [("two", 1)]

    play(scene)


def test_between_the_two(play, monkeypatch):
    """A change in the moment between reading and listening is not lost."""

    async def scene(server):
        list_datasets = server.store.list_datasets

        async def list_and_write(*names, **options):
            found = await list_datasets(*names, **options)
            await server.write("one")
            return found

        monkeypatch.setattr(server.store, "list_datasets", list_and_write)
        updates = await server.listen()

        assert told(await updates.wait(seconds(20))) == [("one", 1)]

    play(scene)


def test_the_clock_steps_back(play):
    """No clock decides what was missed."""

    async def scene(server):
        updates = await server.listen()
        await server.write("one")
        (event,) = await updates.wait(seconds(20))
        dataset_id = DatasetId(POOL, ALICE, "two")
        await put(server.store, dataset_id, {"a": "1"}, now_ms=1)

        missed = (await server.listen(event.event_id)).take_missed()
        assert told(missed) == [("two", 1)]

    play(scene)


def test_users_listen_until_their_credentials_expire(play):
    """At that time the stream has ended, and not before."""

    async def scene(server):
        session = UserSession(POOL, ALICE, NOW_MS + 10_000, "", "")
        updates = await server.listen(caller=Caller("ASIA", "000000000000", session))
        server.now_ms = NOW_MS + 9_999
        assert not updates.ended
        server.now_ms = NOW_MS + 10_000
        assert updates.ended
        assert await updates.wait(seconds(1)) == []

    play(scene)


def test_developers_listen_for_an_hour(play):
    """The key of a developer may be deleted meanwhile, so it is looked at again."""

    async def scene(server):
        updates = await server.listen()
        server.now_ms += LIVE_DEVELOPER_LIFETIME_S * 1000 - 1
        assert not updates.ended
        server.now_ms += 1
        assert updates.ended

    play(scene)


def test_a_refusal_takes_no_place(play, monkeypatch):
    """Who is refused, or runs into a fault, does not count as a listener."""

    async def broken(*names, **options):
        raise StoreError("no")

    async def scene(server):
        for _ in range(5):
            request = GetLiveUpdatesRequest(UNKNOWN, ALICE)
            with pytest.raises(ResourceNotFoundException):
                await get_live_updates(server.context, DEVELOPER, request)
        monkeypatch.setattr(server.store, "list_datasets", broken)
        for _ in range(5):
            with pytest.raises(StoreError):
                await server.listen()

        assert server.changes.count == 0

    play(scene)
