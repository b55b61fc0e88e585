"""
The source contract: what every source of a move must do, as a suite to inherit.

    class TestMySource(SourceContract):
        @contextlib.asynccontextmanager
        async def source(self, place, datasets):
            yield MySource(...)  # which has these datasets, and nothing else

Nothing here knows how a source gets at what it gives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

import msgspec

from millpond.sources.base import Source, nothing_known
from millpond.stores.importing import Arrival, ArrivingDataset

POOL: Final = "us-east-1:00000000-0000-4000-8000-000000000001"


class SourceDataset(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset that a source has; its records were put one after the other."""

    identity_id: str
    dataset_name: str
    values: dict[str, str]


def some_datasets(identities: int = 5) -> list[SourceDataset]:
    """Make datasets of several identities, with texts that a careless reader spoils."""
    return [
        SourceDataset(
            identity_id=f"us-east-1:{number:08x}-0000-4000-8000-000000000000",
            dataset_name=name,
            values={
                "plain": f"value {number}",
                "Ключ 🧀": 'a "quoted" \\ back\nand a line',
                "empty": "",
            },
        )
        for number in range(identities)
        for name in ("prefs", "a.b-c_d")
    ]


class Seen:
    """What arrivals came to, as a store would have it."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], dict[str, str | None]] = {}
        self.counts: dict[tuple[str, str], int] = {}

    def add(self, arrivals: Sequence[Arrival]) -> None:
        """Add what has come, in its order."""
        for arrival in arrivals:
            assert arrival.identity_pool_id == POOL
            for each in arrival.datasets:
                self._add(each)

    def _add(self, dataset: ArrivingDataset) -> None:
        row = dataset.row
        name = (row.identity_id, row.dataset_name)
        assert row.sync_count >= self.counts.get(name, 0)
        self.counts[name] = row.sync_count
        values = {} if dataset.whole else self.values.get(name, {})
        for record in dataset.records:
            assert 0 < record.sync_count <= row.sync_count
            assert record.last_modified_date_ms > 1_500_000_000_000
            values[record.record_key] = record.value
        self.values[name] = values


class SourceContract:
    """The promises of `millpond.sources.base`, one test each."""

    def source(
        self, place: Path, datasets: Sequence[SourceDataset]
    ) -> AbstractAsyncContextManager[Source]:
        """
        Set up a source that has these datasets in `POOL`.

        Args:
            place: an existing folder, empty at first; of a second source of the same
                place the datasets are there already.
        """
        raise NotImplementedError

    def play(
        self, place: Path, scene: Callable[[Source], Awaitable[None]]
    ) -> list[SourceDataset]:
        """Run a scene on a source, and give what it has."""
        datasets = some_datasets()

        async def run() -> None:
            async with self.source(place, datasets) as source:
                await scene(source)

        asyncio.run(run())
        return datasets

    def test_everything_is_given(self, tmp_path: Path) -> None:
        """Each dataset with the values it has, whatever characters are in them."""
        seen = Seen()

        async def scene(source: Source) -> None:
            async for batch in source.read(None, nothing_known):
                assert not batch.unreadable
                seen.add(batch.arrivals)

        datasets = self.play(tmp_path, scene)
        there = {(e.identity_id, e.dataset_name): e.values for e in datasets}
        assert {
            name: {k: v for k, v in values.items() if v is not None}
            for name, values in seen.values.items()
        } == there

    def test_reading_again_gives_the_same(self, tmp_path: Path) -> None:
        """Nothing is used up by reading."""

        async def scene(source: Source) -> None:
            both = []
            for _ in range(2):
                seen = Seen()
                async for batch in source.read(None, nothing_known):
                    seen.add(batch.arrivals)
                both.append((seen.values, seen.counts))
            assert both[0] == both[1]

        self.play(tmp_path, scene)

    def test_one_goes_on_behind_a_position(self, tmp_path: Path) -> None:
        """What came before a position and what comes behind it is everything."""

        async def scene(source: Source) -> None:
            whole = Seen()
            until: list[tuple[bytes, list[Arrival]]] = []
            before: list[Arrival] = []
            async for batch in source.read(None, nothing_known):
                whole.add(batch.arrivals)
                before += batch.arrivals
                if batch.position is not None:
                    until.append((batch.position, list(before)))
            for position, arrivals in until:
                seen = Seen()
                seen.add(arrivals)
                async for batch in source.read(position, nothing_known):
                    seen.add(batch.arrivals)
                assert seen.counts == whole.counts
                assert seen.values == whole.values

        self.play(tmp_path, scene)

    def test_one_may_stop_in_the_middle(self, tmp_path: Path) -> None:
        """Who has seen enough leaves nothing running, and closing twice is no harm."""

        async def scene(source: Source) -> None:
            before = asyncio.all_tasks()
            batches = source.read(None, nothing_known)
            await anext(batches)
            await batches.aclose()  # type: ignore[attr-defined]
            await source.aclose()
            await source.aclose()
            assert asyncio.all_tasks() == before
            assert source.name
            assert source.kind

        self.play(tmp_path, scene)
