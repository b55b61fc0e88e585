"""
What a server remembers of the bulk publishes that somebody looks at.

Looks at a run tell its speed (`core.bulk_publish_progress`). The datasets of a pool are
counted by a scan, so for some time the count is kept, however many ask for it. All of
this is in memory: a server that starts anew knows nothing, and soon enough.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from millpond.core.bulk_publish import BulkPublishRun, BulkPublishStatus, Counts
from millpond.core.bulk_publish_progress import (
    Look,
    SlicedRun,
    Speed,
    add_look,
    measure_speed,
)
from millpond.stores.base import BulkPublishStore

COUNT_MS_MAX: Final = 30_000  # how old a count of datasets may be
POOLS_MAX: Final = 1000  # then the one looked at the longest time ago is forgotten


@dataclass
class _Watched:
    looks: tuple[Look, ...] = ()
    datasets: int = 0
    counted_ms: int | None = None
    counting: asyncio.Lock = field(default_factory=asyncio.Lock)


class ProgressLooks:
    """The looks at the last run of each pool, and how many datasets it has."""

    def __init__(self) -> None:
        self._pools: dict[str, _Watched] = {}  # the last one looked at is the last

    def __repr__(self) -> str:
        return f"<ProgressLooks at {len(self._pools)} pools>"

    def look(self, sliced: SlicedRun, *, now_ms: int) -> Speed | None:
        """Note how far a run is now; tell how fast it goes, if that can be said."""
        run = sliced.run
        watched = self._watched(run.identity_pool_id)
        if run.status is not BulkPublishStatus.IN_PROGRESS:
            watched.looks = ()
            return None
        looks = watched.looks
        if not looks or looks[-1].run_id != run.run_id:
            looks = _start_of(run)
        watched.looks = add_look(looks, Look(run.run_id, now_ms, sliced.delivered))
        return measure_speed(watched.looks)

    async def count_datasets(
        self, store: BulkPublishStore, identity_pool_id: str, *, now_ms: int
    ) -> int | None:
        """Tell how many live datasets a pool has, or had lately. None: no such pool."""
        watched = self._watched(identity_pool_id)
        async with watched.counting:  # whoever waited finds a fresh count
            counted_ms = watched.counted_ms
            if counted_ms is None or abs(now_ms - counted_ms) > COUNT_MS_MAX:
                progress = await store.find_bulk_publish_progress(identity_pool_id)
                if progress is None:
                    return None
                watched.datasets, watched.counted_ms = progress.datasets, now_ms
            return watched.datasets

    def _watched(self, identity_pool_id: str) -> _Watched:
        watched = self._pools.pop(identity_pool_id, None) or _Watched()
        self._pools[identity_pool_id] = watched
        if len(self._pools) > POOLS_MAX:
            del self._pools[next(iter(self._pools))]
        return watched


def _start_of(run: BulkPublishRun) -> tuple[Look, ...]:
    assert run.start_time_ms is not None
    return (Look(run.run_id, run.start_time_ms, Counts()),)
