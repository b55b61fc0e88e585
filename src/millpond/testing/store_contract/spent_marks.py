"""What may be used once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from millpond.stores.base import Store
from millpond.testing.store_contract.bench import NOW_MS, StoreBench
from millpond.testing.store_contract.purging import purge


class SpentMarkContract(StoreBench):
    """The promises of `SpentMarkStore`."""

    def test_a_mark_is_spent_once(self, tmp_path: Path) -> None:
        """Of several who spend a mark at once, one is told that it was the first."""

        async def scene(store: Store) -> None:
            assert not await store.is_mark_spent("link 1")
            spending = [store.spend_mark("link 1", until_ms=NOW_MS) for _ in range(5)]
            told = await asyncio.gather(*spending)
            assert sorted(told) == [False] * 4 + [True]
            assert await store.is_mark_spent("link 1")
            assert not await store.is_mark_spent("link 2")

        self.play(tmp_path, scene)

    def test_purge_drops_marks_that_are_over(self, tmp_path: Path) -> None:
        """A mark goes when what it is of would be over anyway, and not before."""

        async def scene(store: Store) -> None:
            await store.spend_mark("over", until_ms=NOW_MS)
            await store.spend_mark("alive", until_ms=NOW_MS + 1)
            assert await purge(store) > 0
            assert not await store.is_mark_spent("over")
            assert await store.is_mark_spent("alive")
            assert await purge(store) == 0

        self.play(tmp_path, scene)
