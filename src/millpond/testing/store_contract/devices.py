"""The store contract, devices: registering, subscribing, moving, going."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from millpond.core.dataset_moves import plan_moves
from millpond.core.identities import (
    Identity,
    IdentityChanges,
    StoredIdentities,
    new_identity,
)
from millpond.core.push import Device, Push
from millpond.core.sync import Changes, DatasetId, Notice, StoredDataset, SyncLimits
from millpond.stores.base import Store
from millpond.testing.store_contract.bench import (
    ALICE,
    BOB,
    NOW_MS,
    OTHER_POOL,
    POOL,
    PREFS,
    UNKNOWN_POOL,
    StoreBench,
    a_pool,
    deciding_to_delete,
    deciding_to_put,
    put,
)
from millpond.testing.store_contract.purging import purge

MANY: Final = 100
BOBS_PREFS: Final = DatasetId(POOL, BOB, "prefs")


def a_device(device_id: str = "d1", **others: Any) -> Device:
    """Describe a device of Alice's."""
    members: dict[str, Any] = {
        "identity_pool_id": POOL,
        "identity_id": ALICE,
        "platform": "GCM",
        "token": f"token of {device_id}",
        "registration_date_ms": NOW_MS,
    }
    return Device(device_id=device_id, **members | others)


async def join(store: Store, *identity_ids: str, pool: str = POOL) -> None:
    """Create identities."""

    async def create(identity_id: str) -> None:
        identity = new_identity(pool, identity_id, NOW_MS)
        assert await store.update_identities(
            pool,
            identity_ids=[identity_id],
            logins=[],
            decide=lambda stored: IdentityChanges(identity, [identity]),
        )

    for each in identity_ids:
        await create(each)


async def register(store: Store, *devices: Device) -> None:
    """Register devices; each gets the id that it brings."""
    for each in devices:
        assert await store.put_device(each, devices_max=MANY) == each.device_id


async def subscribe(store: Store, *device_ids: str, to: DatasetId = PREFS) -> None:
    """Subscribe devices to a dataset, which is made if need be."""
    await put(store, to, {"made": "v"})
    for each in device_ids:
        assert await store.put_subscription(to, each)


def noticing(
    decide: Callable[[StoredDataset], Changes], writer: str | None
) -> Callable[[StoredDataset], Changes]:
    """Let a change notify devices, if there are any."""

    def decide_and_tell(stored: StoredDataset) -> Changes:
        changes = decide(stored)
        if stored.subscribed:
            changes.notice = Notice(writer)
        return changes

    return decide_and_tell


async def change(
    store: Store,
    dataset_id: DatasetId = PREFS,
    *,
    writer: str | None = None,
    now_ms: int = NOW_MS,
) -> int:
    """Change a dataset and tell its devices; return its sync count."""
    changes = await store.update_dataset(
        dataset_id,
        keys=["k"],
        session_id=None,
        decide=noticing(deciding_to_put({"k": "v"}, now_ms=now_ms), writer),
    )
    assert changes is not None
    assert changes.outcome is not None
    return changes.outcome.sync_count


async def is_subscribed(store: Store, dataset_id: DatasetId) -> bool:
    """Say what an update is told of the subscriptions of a dataset."""
    seen: list[bool] = []

    def look(stored: StoredDataset) -> Changes:
        seen.append(stored.subscribed)
        return Changes()

    await store.update_dataset(dataset_id, keys=(), session_id=None, decide=look)
    return seen[-1]


async def delete(store: Store, dataset_id: DatasetId = PREFS) -> None:
    """Delete a dataset and tell its devices."""
    decide = noticing(deciding_to_delete(), None)
    await store.update_dataset(dataset_id, keys=(), session_id=None, decide=decide)


async def merge(store: Store, loser: str = BOB, survivor: str = ALICE) -> None:
    """Merge one identity into another one."""

    def decide(stored: StoredIdentities) -> IdentityChanges:
        kept = stored.identities[survivor]
        gone: Identity = msgspec.structs.replace(
            stored.identities[loser], merged_into=survivor
        )
        moves = plan_moves(
            POOL,
            survivor,
            [loser],
            stored.datasets,
            now_ms=NOW_MS,
            limits=SyncLimits(),
        )
        return IdentityChanges(kept, [gone, kept], moves)

    assert await store.update_identities(
        POOL, identity_ids=[loser, survivor], logins=[], decide=decide
    )


async def waiting(store: Store, *, now_ms: int = NOW_MS) -> list[Push]:
    """List the pushes that are due."""
    return await store.list_pushes(now_ms=now_ms, limit=MANY)


async def told(store: Store) -> set[tuple[str, str, int]]:
    """Say which devices are to be told what: id, dataset and sync count."""
    return {
        (each.device.device_id, each.dataset_name, each.sync_count)
        for each in await waiting(store)
    }


class DeviceContract(StoreBench):
    """Devices, and what becomes of them."""

    def test_a_device_is_found_as_it_was_registered(self, tmp_path: Path) -> None:
        """Every member comes back; an id that nobody has is not found."""
        device = a_device(token="'; -- \U0001f9c0")

        async def scene(store: Store) -> None:
            await join(store, ALICE)
            await register(store, device)

            assert await store.find_device(ALICE, "d1") == device
            assert await store.find_device(ALICE, "d2") is None
            assert await store.find_device(BOB, "d1") is None

        self.play(tmp_path, scene)

    def test_a_device_belongs_to_an_identity_that_exists(self, tmp_path: Path) -> None:
        """Without the identity in this pool nothing is registered."""

        async def scene(store: Store) -> None:
            await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
            await join(store, BOB, pool=OTHER_POOL)
            for pool, identity_id in (
                (POOL, ALICE),
                (POOL, BOB),
                (UNKNOWN_POOL, BOB),
            ):
                device = a_device(identity_pool_id=pool, identity_id=identity_id)
                assert await store.put_device(device, devices_max=MANY) is None
            assert await store.find_device(ALICE, "d1") is None

        self.play(tmp_path, scene)

    def test_the_same_device_keeps_its_id(self, tmp_path: Path) -> None:
        """Same identity, platform and token: same id; another one of any: another."""

        async def scene(store: Store) -> None:
            await join(store, ALICE, BOB)
            first = a_device("d1", token="t")
            await register(store, first)
            again = a_device("d2", token="t", registration_date_ms=NOW_MS + 5)

            assert await store.put_device(again, devices_max=MANY) == "d1"
            assert await store.find_device(ALICE, "d2") is None
            await register(
                store,
                a_device("d3", token="u"),
                a_device("d4", token="t", platform="ADM"),
                a_device("d5", token="t", identity_id=BOB),
            )

        self.play(tmp_path, scene)

    def test_registering_again_enables_a_device(self, tmp_path: Path) -> None:
        """Its endpoint is to be made again, and its subscriptions are still there."""

        async def scene(store: Store) -> None:
            await join(store, ALICE)
            await register(store, a_device())
            await subscribe(store, "d1")
            await store.put_endpoint(a_device(), "arn:one")
            assert await store.disable_device(a_device(), "arn:one")
            await register(store, a_device(registration_date_ms=NOW_MS + 5))

            found = await store.find_device(ALICE, "d1")
            assert found == a_device(registration_date_ms=NOW_MS + 5)
            count = await change(store)
            assert await told(store) == {("d1", "prefs", count)}

        self.play(tmp_path, scene)

    def test_too_many_devices_take_each_others_place(self, tmp_path: Path) -> None:
        """Disabled ones go first, then old ones, and never the one registered now."""

        async def scene(store: Store) -> None:
            await join(store, ALICE, BOB)
            for number, age in enumerate((1, 2, 3)):
                await register(
                    store, a_device(f"d{number}", registration_date_ms=NOW_MS - age)
                )
            await register(store, a_device("other", identity_id=BOB))
            await subscribe(store, "d0", "d1", "d2")
            await store.disable_device(a_device("d0"), None)

            async def left_after(new: str, registration_date_ms: int) -> set[str]:
                device = a_device(new, registration_date_ms=registration_date_ms)
                assert await store.put_device(device, devices_max=3) == new
                owners = dict.fromkeys(("d0", "d1", "d2", "d3", "d4"), ALICE)
                owners["other"] = BOB
                return {
                    each
                    for each, owner in owners.items()
                    if await store.find_device(owner, each) is not None
                }

            assert await left_after("d3", NOW_MS) == {"d1", "d2", "d3", "other"}
            assert await left_after("d4", NOW_MS - 9) == {"d1", "d3", "d4", "other"}
            count = await change(store)
            assert await told(store) == {("d1", "prefs", count)}

        self.play(tmp_path, scene)

    def test_subscribing_needs_a_live_dataset_and_an_own_device(
        self, tmp_path: Path
    ) -> None:
        """Neither a stranger's device nor a dataset that is not there will do."""
        never_made = DatasetId(POOL, ALICE, "never made")

        async def scene(store: Store) -> None:
            await join(store, ALICE, BOB)
            await register(store, a_device(), a_device("bob's", identity_id=BOB))
            await put(store, PREFS, {"k": "v"})
            gone = DatasetId(POOL, ALICE, "gone")
            await put(store, gone, {"k": "v"})
            await delete(store, gone)

            for ask in (store.put_subscription, store.delete_subscription):
                assert await ask(PREFS, "d1")
                assert await ask(PREFS, "d1")
                assert not await ask(PREFS, "bob's")
                assert not await ask(PREFS, "nobody's")
                assert not await ask(never_made, "d1")
                assert not await ask(gone, "d1")

        self.play(tmp_path, scene)

    def test_a_device_that_goes_takes_its_subscriptions(self, tmp_path: Path) -> None:
        """The dataset has none any more, and no update looks for devices in vain."""

        async def scene(store: Store) -> None:
            await join(store, ALICE)
            await register(store, a_device("d1"))
            await subscribe(store, "d1")
            assert await store.put_device(a_device("d2"), devices_max=1) == "d2"

            assert await store.find_device(ALICE, "d1") is None
            assert not await is_subscribed(store, PREFS)

        self.play(tmp_path, scene)

    def test_a_device_is_forgotten(self, tmp_path: Path) -> None:
        """Its subscriptions and what waits go along; only its own identity's does."""

        async def scene(store: Store) -> None:
            await join(store, ALICE, BOB)
            await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
            await register(store, a_device("d1"), a_device("d2"))
            await subscribe(store, "d1", "d2")
            await change(store, writer="somebody")
            for names in [
                (POOL, BOB, "d1"),
                (OTHER_POOL, ALICE, "d1"),
                (UNKNOWN_POOL, ALICE, "d1"),
                (POOL, ALICE, "d3"),
            ]:
                assert not await store.delete_device(*names)
            assert await store.find_device(ALICE, "d1") is not None

            assert await store.delete_device(POOL, ALICE, "d1")
            assert await store.find_device(ALICE, "d1") is None
            assert await store.count_pushes() == 1
            assert not await store.delete_device(POOL, ALICE, "d1")
            assert not await store.put_subscription(PREFS, "d1")

        self.play(tmp_path, scene)

    def test_devices_move_with_a_merge(self, tmp_path: Path) -> None:
        """They are the survivor's, with their subscriptions and what waits for them."""

        async def scene(store: Store) -> None:
            await join(store, ALICE, BOB)
            await register(store, a_device("bob's", identity_id=BOB))
            await subscribe(store, "bob's", to=BOBS_PREFS)
            waits = await change(store, BOBS_PREFS)
            await merge(store)

            assert await store.find_device(BOB, "bob's") is None
            found = await store.find_device(ALICE, "bob's")
            assert found is not None
            assert found.identity_id == ALICE
            assert await told(store) == {("bob's", "prefs", waits)}
            count = await change(store)
            assert await told(store) == {("bob's", "prefs", count)}

        self.play(tmp_path, scene)

    def test_a_subscription_keeps_the_name_in_a_merge(self, tmp_path: Path) -> None:
        """Where the dataset is put beside another one, the device follows that one."""
        beside = DatasetId(POOL, ALICE, f"prefs.{BOB}")

        async def scene(store: Store) -> None:
            await join(store, ALICE, BOB)
            await register(
                store, a_device("alice's"), a_device("bob's", identity_id=BOB)
            )
            await subscribe(store, "alice's")
            await subscribe(store, "bob's", to=BOBS_PREFS)
            await merge(store)
            await change(store, beside)
            assert await told(store) == set()
            count = await change(store)

            both = {("alice's", "prefs", count), ("bob's", "prefs", count)}
            assert await told(store) == both

        self.play(tmp_path, scene)

    def test_a_device_of_both_identities_becomes_one(self, tmp_path: Path) -> None:
        """Its registration with the survivor stays, with the subscriptions of both."""
        notes = DatasetId(POOL, BOB, "notes")

        async def scene(store: Store) -> None:
            await join(store, ALICE, BOB)
            await register(
                store,
                a_device("alice's", token="t"),
                a_device("bob's", token="t", identity_id=BOB),
            )
            await subscribe(store, "alice's")
            await subscribe(store, "bob's", to=BOBS_PREFS)
            await subscribe(store, "bob's", to=notes)
            waits = await change(store, notes)
            await merge(store)

            for each in (ALICE, BOB):
                assert await store.find_device(each, "bob's") is None
            assert await told(store) == {("alice's", "notes", waits)}
            count = await change(store)
            notes_count = await change(store, DatasetId(POOL, ALICE, "notes"))
            assert await told(store) == {
                ("alice's", "prefs", count),
                ("alice's", "notes", notes_count),
            }

        self.play(tmp_path, scene)

    def test_the_devices_of_a_deleted_identity_go(self, tmp_path: Path) -> None:
        """With their subscriptions and pushes; those of others stay."""

        async def scene(store: Store) -> None:
            await join(store, ALICE, BOB)
            await register(store, a_device(), a_device("bob's", identity_id=BOB))
            await subscribe(store, "d1")
            await subscribe(store, "bob's", to=BOBS_PREFS)
            await change(store)
            bobs = await change(store, BOBS_PREFS)
            await store.delete_identity(ALICE, now_ms=NOW_MS)

            assert await store.find_device(ALICE, "d1") is None
            assert await told(store) == {("bob's", "prefs", bobs)}
            await join(store, ALICE)
            await register(store, a_device("d2"))
            await subscribe(store, "d2")
            count = await change(store)
            assert ("d2", "prefs", count) in await told(store)
            assert await store.count_pushes() == 2

        self.play(tmp_path, scene)

    def test_the_devices_of_a_deleted_pool_go(self, tmp_path: Path) -> None:
        """At once they are neither found nor told; `purge` drops them for good."""
        other = DatasetId(OTHER_POOL, BOB, "prefs")

        async def scene(store: Store) -> None:
            await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
            await join(store, ALICE)
            await join(store, BOB, pool=OTHER_POOL)
            names = [f"d{number}" for number in range(5)]
            await register(store, *(a_device(each) for each in names))
            await register(
                store,
                a_device("other", identity_pool_id=OTHER_POOL, identity_id=BOB),
            )
            await subscribe(store, *names)
            await subscribe(store, "other", to=other)
            await change(store)
            count = await change(store, other)
            await store.delete_identity_pool(POOL)

            assert await store.find_device(ALICE, "d1") is None
            assert await told(store) == {("other", "prefs", count)}
            assert await purge(store, limit=2) > 1
            assert await store.count_pushes() == 1
            assert await store.create_identity_pool(a_pool(), pools_max=9)
            assert await store.find_device(ALICE, "d1") is None
            assert await store.find_device(BOB, "other") is not None
            assert await told(store) == {("other", "prefs", count)}

        self.play(tmp_path, scene)
