"""The store contract, the outbox."""

from __future__ import annotations

import time
from pathlib import Path

from millpond.core.sync import DatasetId
from millpond.stores.base import OutboxUsage, ParkedEntry, Store
from millpond.testing.store_contract.bench import (
    ALICE,
    BOB,
    NOW_MS,
    OTHER_POOL,
    POOL,
    PREFS,
    StoreBench,
    a_pool,
    delete,
    put,
)


class OutboxContract(StoreBench):
    """Changes that wait for their stream."""

    def test_entries_stand_in_the_order_of_the_updates(self, tmp_path: Path) -> None:
        """Entries come oldest first, with growing ids, unchanged."""

        async def scene(store: Store) -> None:
            wanted = []
            for number in range(20):
                identity_id = (ALICE, BOB)[number % 3 == 0]
                data = bytes([0, 255, number])
                dataset_id = DatasetId(POOL, identity_id, f"d{number % 2}")
                await put(store, dataset_id, {"k": "v"}, event=data)
                wanted.append((identity_id, data))
            found = await store.list_outbox(POOL, limit=100, bytes_max=2**20)

            assert wanted == [(each.identity_id, each.data) for each in found]
            numbers = [each.outbox_id for each in found]
            assert sorted(set(numbers)) == numbers
            assert (await store.measure_outbox(None)).entries == 20

        self.play(tmp_path, scene)

    def test_an_update_without_an_event_leaves_no_entry(self, tmp_path: Path) -> None:
        """Only events go into the outbox; an empty one is one too."""

        async def scene(store: Store) -> None:
            await put(store, PREFS, {"k": "v"})
            assert (await store.measure_outbox(None)).entries == 0
            assert await store.list_outbox_pools() == []
            await delete(store, PREFS, event=b"")
            (entry,) = await store.list_outbox(POOL, limit=9, bytes_max=9)

            assert (entry.identity_id, entry.data) == (ALICE, b"")

        self.play(tmp_path, scene)

    def test_a_list_is_bounded(self, tmp_path: Path) -> None:
        """At most `limit` entries and `bytes_max` bytes, and at least one entry."""

        async def scene(store: Store) -> None:
            for size in (4, 4, 4, 9, 1):
                await put(store, PREFS, {"k": "v"}, event=b"x" * size)

            async def sizes(limit: int, bytes_max: int) -> list[int]:
                found = await store.list_outbox(POOL, limit=limit, bytes_max=bytes_max)
                return [len(each.data) for each in found]

            assert await sizes(10, 22) == [4, 4, 4, 9, 1]
            assert await sizes(10, 21) == [4, 4, 4, 9]
            assert await sizes(2, 100) == [4, 4]
            assert await sizes(10, 8) == [4, 4]
            assert await sizes(10, 7) == [4]
            assert await sizes(10, 1) == [4]

        self.play(tmp_path, scene)

    def test_acknowledged_entries_go(self, tmp_path: Path) -> None:
        """Deleting takes the named entries and no others; twice is no error."""

        async def scene(store: Store) -> None:
            for number in range(5):
                await put(store, PREFS, {"k": "v"}, event=str(number).encode())
            entries = await store.list_outbox(POOL, limit=10, bytes_max=100)
            gone = [entries[0], entries[3]]
            await store.delete_outbox(POOL, gone)
            await store.delete_outbox(POOL, gone)
            await store.delete_outbox(POOL, [])
            left = await store.list_outbox(POOL, limit=10, bytes_max=100)

            assert [each.data for each in left] == [b"1", b"2", b"4"]
            assert (await store.measure_outbox(None)).entries == 3

        self.play(tmp_path, scene)

    def test_ids_grow_though_entries_go(self, tmp_path: Path) -> None:
        """A new entry never takes the id of one that was acknowledged."""

        async def scene(store: Store) -> None:
            last = 0
            for _ in range(3):
                await put(store, PREFS, {"k": "v"}, event=b"x")
                (entry,) = await store.list_outbox(POOL, limit=10, bytes_max=100)
                await store.delete_outbox(POOL, [entry])

                assert entry.outbox_id > last
                last = entry.outbox_id

        self.play(tmp_path, scene)

    def test_pools_with_something_to_send_are_listed(self, tmp_path: Path) -> None:
        """Those with entries and an enabled stream; others keep their entries."""

        async def scene(store: Store) -> None:
            await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
            await store.create_identity_pool(a_pool("us-east-1:e"), pools_max=9)
            await put(store, PREFS, {"k": "v"}, event=b"mine")
            other = DatasetId(OTHER_POOL, ALICE, "prefs")
            await put(store, other, {"k": "v"}, event=b"other")
            assert {POOL, OTHER_POOL} == set(await store.list_outbox_pools())

            await store.update_identity_pool(POOL, lambda p: a_pool(streaming=False))
            assert await store.list_outbox_pools() == [OTHER_POOL]
            assert (await store.measure_outbox(None)).entries == 2
            await store.update_identity_pool(POOL, lambda p: a_pool())
            (mine,) = await store.list_outbox(POOL, limit=9, bytes_max=99)
            (others,) = await store.list_outbox(OTHER_POOL, limit=9, bytes_max=99)

            assert (mine.data, others.data) == (b"mine", b"other")

        self.play(tmp_path, scene)

    def test_the_oldest_entry_tells_how_far_the_stream_is_behind(
        self, tmp_path: Path
    ) -> None:
        """What waits is counted, of a pool and of all, with the time of the oldest."""

        async def scene(store: Store) -> None:
            assert OutboxUsage(0, 0, None) == await store.measure_outbox(None)
            await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
            before_ms = time.time_ns() // 1_000_000
            for _ in range(3):
                await put(store, PREFS, {"k": "v"}, event=b"mine")
            other = DatasetId(OTHER_POOL, ALICE, "prefs")
            await put(store, other, {"k": "v"}, event=b"other")
            entries = await store.list_outbox(POOL, limit=9, bytes_max=99)
            after_ms = time.time_ns() // 1_000_000
            first = entries[0].created_ms

            assert before_ms <= first <= entries[2].created_ms <= after_ms
            assert OutboxUsage(3, 0, first) == await store.measure_outbox(POOL)
            assert (await store.measure_outbox(OTHER_POOL)).entries == 1
            assert OutboxUsage(4, 0, first) == await store.measure_outbox(None)
            assert (await store.measure_outbox("us-east-1:none")).entries == 0

        self.play(tmp_path, scene)

    def test_the_range_of_what_waits(self, tmp_path: Path) -> None:
        """The oldest and the newest entry of the pool; parked ones wait no more."""

        async def scene(store: Store) -> None:
            await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
            assert await store.find_outbox_range(POOL) is None
            for data in (b"one", b"two", b"three"):
                await put(store, PREFS, {"k": "v"}, event=data)
            await put(store, DatasetId(OTHER_POOL, ALICE, "d"), {"k": "v"}, event=b"x")
            entries = await store.list_outbox(POOL, limit=9, bytes_max=99)
            one, two, three = (each.outbox_id for each in entries)
            assert await store.find_outbox_range(POOL) == (one, three)
            await store.delete_outbox(POOL, entries[:1])
            assert await store.find_outbox_range(POOL) == (two, three)
            await store.park_outbox(POOL, [(entries[2], "no")], now_ms=NOW_MS)
            assert await store.find_outbox_range(POOL) == (two, two)
            await store.delete_outbox(POOL, entries[1:2])
            assert await store.find_outbox_range(POOL) is None

        self.play(tmp_path, scene)

    def test_parked_entries_are_out_of_the_way(self, tmp_path: Path) -> None:
        """A parked entry waits no more, and keeps what it was and the reason."""

        async def scene(store: Store) -> None:
            for data in (b"one", b"two", b"three"):
                await put(store, PREFS, {"k": "v"}, event=data)
            one, two, three = await store.list_outbox(POOL, limit=9, bytes_max=99)
            reasons = [(one, "too odd"), (two, "too even")]
            await store.park_outbox(POOL, reasons, now_ms=NOW_MS)
            await store.park_outbox(POOL, reasons, now_ms=NOW_MS + 1)  # gone: no error
            await store.park_outbox(
                OTHER_POOL, [(three, "of another pool")], now_ms=NOW_MS
            )

            assert [three] == await store.list_outbox(POOL, limit=9, bytes_max=99)
            assert [
                ParkedEntry(one, NOW_MS, "too odd"),
                ParkedEntry(two, NOW_MS, "too even"),
            ] == await store.list_parked_outbox(POOL, after=0, limit=9)
            assert [two] == [
                each.entry
                for each in await store.list_parked_outbox(
                    POOL, after=one.outbox_id, limit=1
                )
            ]
            usage = await store.measure_outbox(POOL)
            assert OutboxUsage(1, 2, three.created_ms) == usage
            assert (await store.measure_outbox(None)).parked == 2

        self.play(tmp_path, scene)

    def test_parked_entries_come_back_or_go(self, tmp_path: Path) -> None:
        """Returned, an entry waits at its old place; deleted, it is gone."""

        async def scene(store: Store) -> None:
            for data in (b"one", b"two", b"three"):
                await put(store, PREFS, {"k": "v"}, event=data)
            entries = await store.list_outbox(POOL, limit=9, bytes_max=99)
            one, two, three = (each.outbox_id for each in entries)
            reasons = [(each, "no") for each in entries[:2]]
            await store.park_outbox(POOL, reasons, now_ms=NOW_MS)

            assert await store.return_parked_outbox(OTHER_POOL, [one]) == 0
            assert await store.delete_parked_outbox(OTHER_POOL, [one]) == 0
            assert await store.return_parked_outbox(POOL, [one, three]) == 1
            assert await store.delete_parked_outbox(POOL, [one, two]) == 1
            left = await store.list_outbox(POOL, limit=9, bytes_max=99)
            assert [entries[0], entries[2]] == left
            assert await store.list_parked_outbox(POOL, after=0, limit=9) == []

        self.play(tmp_path, scene)
