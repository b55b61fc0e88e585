"""The progress of a bulk publish: what is told of a run, and what it costs to tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from millpond.contract import cognito_sync
from millpond.contract.streaming import (
    GetBulkPublishProgressRequest,
    GetBulkPublishProgressResponse,
    SliceProgress,
)
from millpond.core import bulk_publish as rules
from millpond.core.bulk_publish import Counts, LeasedSlice, Position
from millpond.core.sync import DatasetId
from millpond.errors import ResourceNotFoundException
from millpond.service import progress_looks
from millpond.service.bulk_publish import bulk_publish
from millpond.service.bulk_publish_progress import get_bulk_publish_progress
from millpond.service.context import Caller
from millpond.settings import Settings
from millpond.stores.sqlite import SqliteStore
from millpond.testing.store_contract.bench import (
    ALICE,
    NOW_MS,
    OTHER_POOL,
    POOL,
    UNKNOWN_POOL,
    a_pool,
    put,
)
from service.stage import make_context

DEVELOPER = Caller("AKIAEXAMPLE", "000000000000")
START_S = NOW_MS / 1000


class CountingStore(SqliteStore):
    """A store that notes how often the datasets of a pool are counted."""

    counted = 0

    async def find_bulk_publish_progress(self, identity_pool_id: str) -> Any:
        self.counted += 1
        await asyncio.sleep(0)
        return await super().find_bulk_publish_progress(identity_pool_id)


class Server:
    """The operation over a store of its own, with a clock that is set by hand."""

    def __init__(self, store: CountingStore) -> None:
        self.store = store
        self.now_ms = NOW_MS
        self.restart()

    def restart(self) -> None:
        """Begin anew with what the store holds."""
        settings = Settings(bulk_publish_slices=2)
        self.context = make_context(self.store, settings, lambda: self.now_ms)

    async def fill(self, count: int, first: int = 0) -> None:
        """Write datasets, one record in each."""
        for n in range(first, first + count):
            await put(self.store, DatasetId(POOL, ALICE, f"d{n}"), {"k": "v"})

    async def publish(self) -> None:
        """Start a run."""
        request = cognito_sync.BulkPublishRequest(identity_pool_id=POOL)
        await bulk_publish(self.context, DEVELOPER, request)

    async def lease(self) -> LeasedSlice:
        """Take a slice, for a minute."""
        leased = await self.store.lease_slice(
            "one", now_ms=self.now_ms, lease_ms=60_000
        )
        assert leased is not None
        return leased

    async def deliver(self, leased: LeasedSlice, datasets: int) -> None:
        """Checkpoint a slice, at so many datasets of ten records."""
        await self.store.checkpoint_slice(
            leased,
            Position(ALICE, f"d{datasets}"),
            Counts(datasets, 10 * datasets, 100 * datasets),
            lease_until_ms=self.now_ms + 60_000,
        )

    async def progress(self, pool: str = POOL) -> GetBulkPublishProgressResponse:
        """Ask how far the run is."""
        request = GetBulkPublishProgressRequest(identity_pool_id=pool)
        return await get_bulk_publish_progress(self.context, DEVELOPER, request)


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Any], None]:
    """Run a scene against a fresh server with a pool that streams."""

    def run(scene: Any) -> None:
        async def on_stage() -> None:
            store = CountingStore(tmp_path)
            await store.open()
            try:
                await store.create_identity_pool(a_pool(), pools_max=9)
                await scene(Server(store))
            finally:
                await store.aclose()

        asyncio.run(on_stage())

    return run


def test_not_started(play):
    """A pool that was never published has its id and a status, and is not counted."""

    async def scene(server):
        assert await server.progress() == GetBulkPublishProgressResponse(
            identity_pool_id=POOL, bulk_publish_status="NOT_STARTED"
        )
        assert server.store.counted == 0

    play(scene)


def test_an_unknown_pool_is_refused(play):
    """In Cognito Sync's words; a pool that was deleted is unknown."""

    async def scene(server):
        await server.store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
        await server.store.delete_identity_pool(OTHER_POOL)
        for pool in (UNKNOWN_POOL, OTHER_POOL):
            with pytest.raises(ResourceNotFoundException) as caught:
                await server.progress(pool)
            assert caught.value.message == f"IdentityPool '{pool}' not found"

    play(scene)


def test_a_pool_that_is_deleted_meanwhile_is_unknown(play):
    """Between the look at the run and the count of the datasets, too."""

    async def scene(server):
        await server.publish()
        find = server.store.find_sliced_run

        async def find_and_delete(pool: str, *, now_ms: int) -> Any:
            found = await find(pool, now_ms=now_ms)
            await server.store.delete_identity_pool(pool)
            return found

        server.store.find_sliced_run = find_and_delete
        with pytest.raises(ResourceNotFoundException):
            await server.progress()

    play(scene)


def test_a_run_in_progress(play):
    """Counts are those of the checkpoints, by slice and together."""

    async def scene(server):
        await server.fill(40)
        await server.publish()
        leased = await server.lease()
        server.now_ms += 2000
        await server.deliver(leased, 10)

        assert await server.progress() == GetBulkPublishProgressResponse(
            identity_pool_id=POOL,
            bulk_publish_status="IN_PROGRESS",
            stream_name="changes",
            bulk_publish_start_time=START_S,
            datasets_delivered=10,
            records_delivered=100,
            bytes_delivered=1000,
            dataset_count=40,
            records_per_second=50.0,
            seconds_remaining=6,
            slices=[
                SliceProgress(
                    slice_number=1,
                    slice_status="LEASED",
                    datasets_delivered=10,
                    records_delivered=100,
                    bytes_delivered=1000,
                ),
                SliceProgress(
                    slice_number=2,
                    slice_status="WAITING",
                    datasets_delivered=0,
                    records_delivered=0,
                    bytes_delivered=0,
                ),
            ],
        )

    play(scene)


def test_nothing_delivered_yet(play):
    """A run that has only begun has a speed of 0 after a while, and no end in sight."""

    async def scene(server):
        await server.fill(3)
        await server.publish()
        first = await server.progress()
        server.now_ms += 5000
        then = await server.progress()

        assert (first.records_per_second, first.seconds_remaining) == (None, None)
        assert (then.records_per_second, then.seconds_remaining) == (0.0, None)
        assert then.datasets_delivered == 0

    play(scene)


def test_a_pool_without_datasets_is_soon_done(play):
    """Nothing is left to do."""

    async def scene(server):
        await server.publish()
        found = await server.progress()

        assert (found.dataset_count, found.seconds_remaining) == (0, 0)

    play(scene)


def test_a_server_that_was_down_is_not_fooled(play):
    """After an hour without a server the speed is that of now, once it is known."""

    async def scene(server):
        await server.fill(40)
        await server.publish()
        await server.deliver(await server.lease(), 10)
        server.now_ms += 3_600_000
        server.restart()
        back = await server.progress()
        again = [await server.lease(), await server.lease()]
        (begun,) = [each for each in again if each.counts.datasets]
        server.now_ms += 1000
        await server.deliver(begun, 20)
        then = await server.progress()

        assert (back.records_per_second, back.seconds_remaining) == (None, None)
        assert back.datasets_delivered == 10
        assert (then.records_per_second, then.seconds_remaining) == (100.0, 2)

    play(scene)


def test_a_run_that_succeeded(play):
    """It has no speed any more, and its slices are done."""

    async def scene(server):
        await server.fill(3)
        await server.publish()
        first, second = await server.lease(), await server.lease()
        await server.deliver(first, 3)
        server.now_ms += 1000
        for leased in (first, second):
            await server.store.finish_slice(
                leased, lambda run: rules.finish(run, now_ms=server.now_ms)
            )
        found = await server.progress()

        assert found.bulk_publish_status == "SUCCEEDED"
        assert found.bulk_publish_complete_time == START_S + 1
        assert (found.datasets_delivered, found.dataset_count) == (3, 3)
        assert (found.records_per_second, found.seconds_remaining) == (None, None)
        assert [each.slice_status for each in found.slices] == ["DONE", "DONE"]

    play(scene)


def test_a_run_that_failed(play):
    """It has a message, and nothing of it goes on."""

    async def scene(server):
        await server.publish()
        first, second = await server.lease(), await server.lease()
        await server.store.finish_slice(first, lambda run: run)
        await server.store.fail_bulk_publish(
            second, lambda run: rules.fail(run, message="The stream is gone.")
        )
        found = await server.progress()

        assert found.bulk_publish_status == "FAILED"
        assert found.failure_message == "The stream is gone."
        assert found.bulk_publish_complete_time is None
        assert (found.records_per_second, found.seconds_remaining) == (None, None)
        assert [each.slice_status for each in found.slices] == ["STOPPED", "STOPPED"]

    play(scene)


def test_datasets_are_counted_now_and_then(play):
    """However many ask, one count serves them for half a minute."""

    async def scene(server):
        await server.fill(3)
        await server.publish()
        together = await asyncio.gather(*(server.progress() for _ in range(20)))
        await server.fill(2, first=3)
        server.now_ms += 30_000
        old = await server.progress()
        assert server.store.counted == 1
        server.now_ms += 1
        new = await server.progress()

        assert {each.dataset_count for each in together} == {3}
        assert (old.dataset_count, new.dataset_count) == (3, 5)
        assert server.store.counted == 2
        server.now_ms -= 40_000  # the clock is set back: who knows how old it is
        await server.progress()
        assert server.store.counted == 3

    play(scene)


def test_what_is_remembered_is_bounded(play, monkeypatch):
    """The pool that nobody looked at for the longest time is forgotten."""
    monkeypatch.setattr(progress_looks, "POOLS_MAX", 1)

    async def scene(server):
        await server.fill(3)
        await server.store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
        await server.publish()
        await bulk_publish(
            server.context,
            DEVELOPER,
            cognito_sync.BulkPublishRequest(identity_pool_id=OTHER_POOL),
        )
        counts = [
            (await server.progress(pool)).dataset_count
            for pool in (POOL, OTHER_POOL, POOL)
        ]

        assert counts == [3, 0, 3]
        assert "1 pools" in repr(server.context.progress_looks)

    play(scene)
