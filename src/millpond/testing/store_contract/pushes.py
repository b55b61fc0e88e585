"""The store contract, pushes: whom a change is told, and what waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from millpond.core.push import LastPush
from millpond.core.sync import Changes, DatasetId, StoredDataset
from millpond.stores.base import Store
from millpond.testing.store_contract.bench import (
    ALICE,
    BOB,
    NOW_MS,
    POOL,
    PREFS,
    StoreBench,
)
from millpond.testing.store_contract.devices import (
    a_device,
    change,
    delete,
    is_subscribed,
    join,
    merge,
    register,
    subscribe,
    told,
    waiting,
)


class PushContract(StoreBench):
    """Pushes, from a change to the device."""

    def test_a_change_is_told_to_the_other_devices(self, tmp_path: Path) -> None:
        """Every subscribed device but the writer's; others of the identity are not."""

        async def scene(store: Store) -> None:
            await join(store, ALICE)
            await register(store, *(a_device(each) for each in ("d1", "d2", "d3")))
            await subscribe(store, "d1", "d2")
            assert await told(store) == set()

            count = await change(store, writer="d1")
            assert await told(store) == {("d2", "prefs", count)}
            count = await change(store, writer="not registered")
            assert await told(store) == {("d1", "prefs", count), ("d2", "prefs", count)}
            (push, _) = await waiting(store)
            found = await store.find_device(ALICE, push.device.device_id)
            assert push.device == found

        self.play(tmp_path, scene)

    def test_a_change_without_subscriptions_says_so(self, tmp_path: Path) -> None:
        """`subscribed` is true for a dataset with subscriptions, and for it alone."""

        async def scene(store: Store) -> None:
            await join(store, ALICE)
            await register(store, a_device())

            assert not await is_subscribed(store, PREFS)
            await subscribe(store, "d1")
            assert await is_subscribed(store, PREFS)
            assert not await is_subscribed(store, DatasetId(POOL, ALICE, "other"))
            await store.delete_subscription(PREFS, "d1")
            assert not await is_subscribed(store, PREFS)

        self.play(tmp_path, scene)

    def test_the_last_push_is_kept(self, tmp_path: Path) -> None:
        """Until the next one; it outlives a registration, and goes with a merge."""

        async def scene(store: Store) -> None:
            async def last(identity_id: str) -> list[LastPush | None]:
                found = await store.list_devices(POOL, identity_id, after=None, limit=9)
                return [each.last_push for each in found or ()]

            await join(store, ALICE, BOB)
            bobs = a_device("d2", identity_id=BOB)
            await register(store, a_device(), bobs)
            assert await last(ALICE) == [None]

            failed = LastPush(NOW_MS, "\N{SNOWMAN} is away")
            await store.put_last_push(a_device(), LastPush(NOW_MS - 1))
            await store.put_last_push(a_device(), failed)
            await register(store, a_device())
            assert (await last(ALICE), await last(BOB)) == ([failed], [None])

            sent = LastPush(NOW_MS + 1)
            await store.put_last_push(bobs, sent)
            await merge(store)
            assert await last(ALICE) == [failed, sent]
            await store.put_last_push(bobs, failed)  # it is not Bob's any more
            await store.put_last_push(a_device("d3"), failed)
            assert await last(ALICE) == [failed, sent]

        self.play(tmp_path, scene)

    def test_a_refused_change_tells_nobody(self, tmp_path: Path) -> None:
        """The push is part of the transaction: without the change there is none."""

        def refuse(stored: StoredDataset) -> Changes:
            raise LookupError

        async def scene(store: Store) -> None:
            await join(store, ALICE)
            await register(store, a_device())
            await subscribe(store, "d1")
            with pytest.raises(LookupError):
                await store.update_dataset(
                    PREFS, keys=(), session_id=None, decide=refuse
                )

            assert await store.count_pushes() == 0

        self.play(tmp_path, scene)

    def test_a_newer_push_takes_the_place_of_an_older(self, tmp_path: Path) -> None:
        """One waits for each device and dataset; it keeps its place in the queue."""
        notes = DatasetId(POOL, ALICE, "notes")

        async def scene(store: Store) -> None:
            await join(store, ALICE)
            await register(store, a_device())
            await subscribe(store, "d1")
            await subscribe(store, "d1", to=notes)
            await change(store, now_ms=NOW_MS)
            await change(store, notes, now_ms=NOW_MS + 1)
            newest = await change(store, now_ms=NOW_MS + 2)

            found = await waiting(store, now_ms=NOW_MS + 2)
            assert [each.dataset_name for each in found] == ["prefs", "notes"]
            assert found[0].sync_count == newest
            assert await store.count_pushes() == 2

        self.play(tmp_path, scene)

    def test_a_push_that_was_overtaken_is_not_deleted(self, tmp_path: Path) -> None:
        """Deleting takes what was sent; what was written meanwhile is still to send."""

        async def scene(store: Store) -> None:
            await join(store, ALICE)
            await register(store, a_device("d1"), a_device("d2"))
            await subscribe(store, "d1", "d2")
            await change(store)
            sent = await waiting(store)
            newest = await change(store, writer="d2")
            await store.delete_pushes(sent)
            await store.delete_pushes(sent)
            await store.delete_pushes([])

            assert await told(store) == {("d1", "prefs", newest)}

        self.play(tmp_path, scene)

    def test_a_deferred_push_waits(self, tmp_path: Path) -> None:
        """It is given again when it is due, behind others, and counts its failures."""

        async def scene(store: Store) -> None:
            await join(store, ALICE)
            await register(store, a_device("d1"), a_device("d2"))
            await subscribe(store, "d1", "d2")
            await change(store, writer="d2")
            await change(store, writer="d1", now_ms=NOW_MS + 3)
            (push,) = await waiting(store)
            await store.defer_push(push, due_ms=NOW_MS + 5)

            assert await waiting(store, now_ms=NOW_MS) == []
            later = await waiting(store, now_ms=NOW_MS + 5)
            assert [e.device.device_id for e in later] == ["d2", "d1"]
            assert [each.failures for each in later] == [0, 1]
            (first,) = await store.list_pushes(now_ms=NOW_MS + 5, limit=1)
            assert first == later[0]

        self.play(tmp_path, scene)

    def test_a_disabled_device_is_told_nothing(self, tmp_path: Path) -> None:
        """What waits for it goes, and nothing is written for it any more."""

        async def scene(store: Store) -> None:
            await join(store, ALICE)
            await register(store, a_device("d1"), a_device("d2"))
            await subscribe(store, "d1", "d2")
            await store.put_endpoint(a_device(), "arn:one")
            await change(store)
            assert not await store.disable_device(a_device(), "arn:earlier")
            assert not await store.disable_device(a_device(), None)
            assert await store.count_pushes() == 2
            assert await store.disable_device(a_device(), "arn:one")
            count = await change(store)

            assert await told(store) == {("d2", "prefs", count)}
            found = await store.find_device(ALICE, "d1")
            assert found is not None
            assert found.disabled

        self.play(tmp_path, scene)

    def test_an_unsubscribed_device_is_told_nothing(self, tmp_path: Path) -> None:
        """What waits of that dataset goes, too; other datasets are not concerned."""
        notes = DatasetId(POOL, ALICE, "notes")

        async def scene(store: Store) -> None:
            await join(store, ALICE)
            await register(store, a_device())
            await subscribe(store, "d1")
            await subscribe(store, "d1", to=notes)
            await change(store)
            count = await change(store, notes)
            assert await store.delete_subscription(PREFS, "d1")
            await change(store)

            assert await told(store) == {("d1", "notes", count)}

        self.play(tmp_path, scene)

    def test_a_deletion_is_told_and_ends_subscriptions(self, tmp_path: Path) -> None:
        """The devices learn of it, and of nothing that comes under the name later."""

        async def scene(store: Store) -> None:
            await join(store, ALICE)
            await register(store, a_device())
            await subscribe(store, "d1")
            last = await change(store)
            await delete(store)
            assert await told(store) == {("d1", "prefs", last + 1)}

            await store.delete_pushes(await waiting(store))
            await change(store)
            assert await told(store) == set()

        self.play(tmp_path, scene)
