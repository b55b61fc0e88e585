"""The store contract, tombstones: which are dropped, and what is left of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from millpond import limits
from millpond.core.sync import Changes, DatasetId, DatasetState, StoredDataset
from millpond.stores.base import Store
from millpond.testing.store_contract.bench import (
    ALICE,
    BOB,
    NOW_MS,
    POOL,
    PREFS,
    StoreBench,
    delete,
    put,
    read_all,
)

SAVES = DatasetId(POOL, BOB, "saves")


def forget(dataset: DatasetState, newest: int) -> DatasetState:
    """Note what was dropped, as `core.sync.forget` does, in other numbers."""
    return msgspec.structs.replace(dataset, horizon=newest, forgotten=newest + 100)


async def drop(
    store: Store,
    dataset_id: DatasetId = PREFS,
    *,
    before_ms: int = limits.LONG_MAX,
    keep: int = 0,
    limit: int = 1000,
) -> int:
    """Drop tombstones of a dataset."""
    return await store.drop_tombstones(
        dataset_id, modified_before_ms=before_ms, keep=keep, limit=limit, forget=forget
    )


async def counts_of(store: Store, dataset_id: DatasetId = PREFS) -> dict[str, int]:
    """Read the sync counts of records by key, of tombstones too."""
    page = await read_all(store, dataset_id)
    return {each.key: each.sync_count for each in page.records}


async def horizon_of(store: Store, dataset_id: DatasetId = PREFS) -> tuple[int, int]:
    """Read what a dataset knows of dropped tombstones: horizon and forgotten."""
    state = (await read_all(store, dataset_id)).dataset
    assert state is not None
    return state.horizon, state.forgotten


async def put_and_remove(store: Store, dataset_id: DatasetId = PREFS) -> None:
    """Leave the tombstones a, b, c at the counts 2, 3, 4, a day apart; d lives."""
    await put(store, dataset_id, dict.fromkeys("abcd", "v"))
    for number, key in enumerate("abc"):
        await put(store, dataset_id, {key: None}, now_ms=NOW_MS + number)


class TombstoneContract(StoreBench):
    """Tombstones that are dropped."""

    def test_old_tombstones_are_dropped(self, tmp_path: Path) -> None:
        """Those before the date go, with the row that `forget` gives; others stay."""

        async def scene(store: Store) -> None:
            await put_and_remove(store)
            before = (await read_all(store, PREFS)).dataset
            assert before is not None

            assert await drop(store, before_ms=NOW_MS + 2) == 2
            assert await counts_of(store) == {"c": 4, "d": 1}
            after = (await read_all(store, PREFS)).dataset
            assert after == forget(before, 3)
            assert await drop(store, before_ms=NOW_MS + 2) == 0

        self.play(tmp_path, scene)

    def test_the_newest_may_be_kept(self, tmp_path: Path) -> None:
        """In bounded steps; the horizon is right from the first of them."""

        async def scene(store: Store) -> None:
            await put_and_remove(store)

            assert await drop(store, keep=1, limit=1) == 1
            assert await counts_of(store) == {"a": 2, "c": 4, "d": 1}
            assert await horizon_of(store) == (3, 103)
            assert await drop(store, keep=1, limit=1) == 1
            assert await counts_of(store) == {"c": 4, "d": 1}
            assert await drop(store, keep=1) == 0

        self.play(tmp_path, scene)

    def test_what_is_forgotten_is_kept_with_the_dataset(self, tmp_path: Path) -> None:
        """Through an update, and in a listing of datasets."""

        async def scene(store: Store) -> None:
            await put_and_remove(store)
            await drop(store)
            found = await store.list_datasets(POOL, ALICE, after=None, limit=9)
            assert found is not None
            assert [each.state.forgotten for each in found] == [104]

            def decide(stored: StoredDataset) -> Changes:
                assert stored.dataset is not None
                return Changes(msgspec.structs.replace(stored.dataset, forgotten=7))

            await store.update_dataset(PREFS, keys=(), session_id=None, decide=decide)
            assert await horizon_of(store) == (4, 7)

        self.play(tmp_path, scene)

    def test_datasets_with_old_tombstones_are_listed(self, tmp_path: Path) -> None:
        """Each once, and only while they have any; those of the oldest come first."""

        async def scene(store: Store) -> None:
            async def listed(before_ms: int, limit: int = 100) -> list[DatasetId]:
                return await store.list_expired_tombstones(
                    modified_before_ms=before_ms, limit=limit
                )

            await put(store, PREFS, dict.fromkeys("ab", "v"))
            await put(store, PREFS, {"a": None}, now_ms=NOW_MS + 5)
            await put_and_remove(store, SAVES)

            assert await listed(NOW_MS) == []
            assert await listed(NOW_MS + 1) == [SAVES]
            assert await listed(NOW_MS + 6) == [SAVES, PREFS]
            assert await listed(NOW_MS + 6, limit=1) == [SAVES]
            await drop(store, SAVES)
            assert await listed(NOW_MS + 6) == [PREFS]
            await delete(store, PREFS)
            assert await listed(NOW_MS + 6) == []

        self.play(tmp_path, scene)

    def test_an_update_is_told_how_many_there_are(self, tmp_path: Path) -> None:
        """When it asks for it: of the dataset alone, and none where there is none."""

        async def scene(store: Store) -> None:
            async def told(dataset_id: DatasetId, *, count: bool = True) -> int | None:
                seen: list[int | None] = []

                def decide(stored: StoredDataset) -> Changes:
                    seen.append(stored.num_tombstones)
                    return Changes()

                await store.update_dataset(
                    dataset_id,
                    keys=("a",),
                    session_id=None,
                    decide=decide,
                    count_tombstones=count,
                )
                return seen[-1]

            assert await told(PREFS) == 0
            await put_and_remove(store)
            await put_and_remove(store, SAVES)
            await put(store, PREFS, {"a": "again"})

            assert await told(PREFS) == 2
            assert await told(SAVES) == 3
            assert await told(PREFS, count=False) is None

        self.play(tmp_path, scene)

    def test_nothing_is_dropped_of_what_is_not_there(self, tmp_path: Path) -> None:
        """Neither of a dataset that never was, nor of one that is gone."""

        async def scene(store: Store) -> None:
            assert await drop(store) == 0
            await put_and_remove(store)
            await delete(store, PREFS)
            gone = await read_all(store, PREFS)

            assert await drop(store) == 0
            assert await read_all(store, PREFS) == gone

        self.play(tmp_path, scene)

    def test_updates_and_drops_at_once(self, tmp_path: Path) -> None:
        """No update brings an old horizon back, and no drop an old count."""

        async def scene(store: Store) -> None:
            for number in range(5):
                await put(store, PREFS, {"a": "v", "b": "v"})
                await put(store, PREFS, {"a": None})
                removed = 2 * number + 2 + number
                await asyncio.gather(
                    drop(store), *(put(store, PREFS, {"b": "w"}) for _ in range(1))
                )
                state = (await read_all(store, PREFS)).dataset
                assert state is not None
                assert (state.horizon, state.sync_count) == (removed, removed + 1)

        self.play(tmp_path, scene)
