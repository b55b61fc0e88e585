"""The store contract, many at once: no gap in the counts, no update lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from millpond.core.sync import Changes, DatasetId, StoredDataset
from millpond.stores.base import Store
from millpond.testing.store_contract.bench import (
    ALICE,
    POOL,
    PREFS,
    StoreBench,
    deciding_to_put,
    put,
    read_all,
    values_of,
)

TASKS: Final = 40
Decide = Callable[[StoredDataset], Changes]


class Refused(Exception):
    """What a `decide` of these tests raises."""


def deciding_to_add_one(refusing_above: int | None = None) -> Decide:
    """Make a `decide` that adds one to the number in the record `n`."""

    def decide(stored: StoredDataset) -> Changes:
        record = stored.records.get("n")
        number = int(record.value or 0) + 1 if record else 1
        if refusing_above is not None and number > refusing_above:
            raise Refused
        event = str(number).encode()
        return deciding_to_put({"n": str(number)}, event=event)(stored)

    return decide


class ConcurrencyContract(StoreBench):
    """Many callers at the same time."""

    def test_counts_have_no_gaps(self, tmp_path: Path) -> None:
        """Updates of one dataset take the counts 1, 2, 3 ... each exactly once."""

        async def scene(store: Store) -> None:
            answers = await asyncio.gather(
                *(put(store, PREFS, {f"key {n}": "v"}) for n in range(TASKS))
            )
            counts = [each.outcome.sync_count for each in answers if each.outcome]
            page = await read_all(store, PREFS)

            assert list(range(1, TASKS + 1)) == sorted(counts)
            assert list(range(1, TASKS + 1)) == [r.sync_count for r in page.records]
            assert page.dataset is not None
            assert page.dataset.num_records == TASKS

        self.play(tmp_path, scene)

    def test_no_update_is_lost(self, tmp_path: Path) -> None:
        """Each update decides on what the one before it left."""

        async def scene(store: Store) -> None:
            await asyncio.gather(
                *(
                    store.update_dataset(
                        PREFS,
                        keys=["n"],
                        session_id=None,
                        decide=deciding_to_add_one(),
                    )
                    for _ in range(TASKS)
                )
            )
            events = await store.list_outbox(POOL, limit=1000, bytes_max=2**20)

            assert {"n": str(TASKS)} == await values_of(store, PREFS)
            # The outbox tells it in the same order.
            assert [*range(1, TASKS + 1)] == [int(each.data) for each in events]

        self.play(tmp_path, scene)

    def test_who_is_refused_does_not_disturb_the_others(self, tmp_path: Path) -> None:
        """Of many at once, those that raise leave nothing and the others are kept."""

        async def scene(store: Store) -> None:
            answers = await asyncio.gather(
                *(
                    store.update_dataset(
                        PREFS,
                        keys=["n"],
                        session_id=None,
                        decide=deciding_to_add_one(refusing_above=10),
                    )
                    for _ in range(TASKS)
                ),
                return_exceptions=True,
            )
            refused = [each for each in answers if isinstance(each, Refused)]
            page = await read_all(store, PREFS)

            assert len(refused) == TASKS - 10
            assert await values_of(store, PREFS) == {"n": "10"}
            assert page.dataset is not None
            assert page.dataset.sync_count == 10
            assert (await store.measure_outbox(None)).entries == 10

        self.play(tmp_path, scene)

    def test_many_datasets_are_created_at_once(self, tmp_path: Path) -> None:
        """Each sees those before it, so that a limit on their number can hold."""
        seen: list[int] = []

        def decide(stored: StoredDataset) -> Changes:
            if stored.live_datasets >= 20:
                raise Refused
            seen.append(stored.live_datasets)
            return deciding_to_put({"k": "v"})(stored)

        async def scene(store: Store) -> None:
            await asyncio.gather(
                *(
                    store.update_dataset(
                        DatasetId(POOL, ALICE, f"dataset-{n}"),
                        keys=["k"],
                        session_id=None,
                        decide=decide,
                    )
                    for n in range(TASKS)
                ),
                return_exceptions=True,
            )
            usage = await store.find_identity_usage(POOL, ALICE)

            assert usage is not None
            assert usage.dataset_count == 20
            assert set(range(20)) == set(seen)

        self.play(tmp_path, scene)

    def test_a_session_is_spent_once(self, tmp_path: Path) -> None:
        """Of many updates with one session, one finds it fresh; others see the mark."""
        session = b"s" * 16

        def decide(stored: StoredDataset) -> Changes:
            if stored.spent is not None:
                return Changes(outcome=stored.spent.outcome)
            return deciding_to_put({"k": "v"}, session=session)(stored)

        async def scene(store: Store) -> None:
            answers = await asyncio.gather(
                *(
                    store.update_dataset(
                        PREFS, keys=["k"], session_id=session, decide=decide
                    )
                    for _ in range(TASKS)
                )
            )
            outcomes = {msgspec.json.encode(each.outcome) for each in answers if each}
            page = await read_all(store, PREFS)

            assert len(outcomes) == 1
            assert page.dataset is not None
            assert page.dataset.sync_count == 1

        self.play(tmp_path, scene)

    def test_a_reader_sees_updates_whole(self, tmp_path: Path) -> None:
        """Read while it is written, a dataset is always as one update left it."""

        async def scene(store: Store) -> None:
            writing = asyncio.gather(
                *(put(store, PREFS, {"a": str(n), "b": str(n)}) for n in range(TASKS))
            )
            while not writing.done():
                page = await read_all(store, PREFS)
                assert len({each.value for each in page.records}) <= 1
                counts = {each.sync_count for each in page.records}
                assert page.dataset is None or counts == {page.dataset.sync_count}
                await asyncio.sleep(0)
            await writing

        self.play(tmp_path, scene)

    def test_what_was_acknowledged_is_seen(self, tmp_path: Path) -> None:
        """A read that begins after an update has returned shows it."""

        async def scene(store: Store) -> None:
            for number in range(20):
                await put(store, PREFS, {"k": str(number)})

                assert {"k": str(number)} == await values_of(store, PREFS)

        self.play(tmp_path, scene)
