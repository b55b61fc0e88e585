"""Comparing what came with its source, where counts are not the same on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from millpond.server.import_verify import Verification, verify_pool
from millpond.sources.base import Batch
from millpond.stores.importing import Arrival, ArrivingDataset, ImportState
from millpond.stores.sqlite import SqliteStore
from millpond.testing.store_contract.bench import ALICE, POOL, a_pool
from millpond.testing.store_contract.importing import (
    arrival,
    arrive,
    dataset_there,
    remade,
)


class Told:
    """A source that tells of one identity what it is told."""

    def __init__(self, there: Arrival) -> None:
        self._there = there

    async def describe_pool(self) -> None:
        """Be there."""

    async def read(self, after: bytes | None, known: Any) -> AsyncIterator[Batch]:
        yield Batch(arrivals=(self._there,))

    async def fetch_identity(self, identity_id: str) -> list[Arrival]:
        return [self._there] if identity_id == ALICE else []


def verify(folder: Path, *history: Arrival, there: Arrival) -> Verification:
    """Let a history arrive, and compare with what is there."""

    async def scene() -> Verification:
        store: Any = SqliteStore(folder)
        await store.open()
        try:
            state = ImportState(identity_pool_id=POOL, source="there", began_ms=1)
            await store.begin_import(a_pool(), state, pools_max=1)
            for each in history:
                await arrive(store, each)
            source: Any = Told(there)
            return await verify_pool(
                store, source, POOL, sample=None, progress=lambda done: None
            )
        finally:
            await store.aclose()

    return asyncio.run(scene())


def made_anew(value: str, count: int) -> ArrivingDataset:
    """Make a dataset that began to count anew after one of count 40 was deleted."""
    return remade(dataset_there({"k": value}, sync_count=count), 900, 950 + count)


DEAD = arrival(remade(dataset_there({"k": "old"}, sync_count=40), 11, 100))
GONE = arrival(names=())


def test_counts_that_were_lifted_are_the_same(tmp_path):
    """A dataset that counts anew there is compared by what its counts became here."""
    there = arrival(made_anew("new", 3))

    found = verify(tmp_path, DEAD, GONE, there, there=there)

    assert (found.different, found.same, found.differences) == (0, 1, [])


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (made_anew("newer", 4), "sync count"),
        (made_anew("other", 3), "record 'k' is not the same"),
    ],
)
def test_what_changed_there_since_differs(tmp_path, changed, reason):
    """A lifted dataset that has gone on there is no longer the same."""
    there = arrival(made_anew("new", 3))

    found = verify(tmp_path, DEAD, GONE, there, there=arrival(changed))

    assert found.different == 1
    assert reason in found.differences[0].reason
