"""The store contract, census: how much there is, counted in pieces of any size."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from millpond.core.sync import DatasetId
from millpond.stores.base import CensusPlace, Counted, Store
from millpond.testing.store_contract.bench import (
    ALICE,
    BOB,
    POOL,
    PREFS,
    StoreBench,
    a_pool,
    delete,
    put,
)
from millpond.testing.store_contract.identities import (
    CAROL,
    FACEBOOK,
    GOOGLE,
    an_identity,
    keep,
)

PIECES_MAX = 100


async def count_all(
    count: Callable[[CensusPlace, int], Awaitable[Counted]], rows_max: int
) -> int:
    """Add up the pieces of a count."""
    total, place = 0, None
    for _ in range(PIECES_MAX):
        piece = await count(place, rows_max)
        assert piece.count <= rows_max
        total += piece.count
        place = piece.place
        if place is None:
            return total
    raise AssertionError("the count does not come to an end")


async def identities_of(store: Store, rows_max: int) -> int:
    """Count the identities of a store."""
    return await count_all(
        lambda place, most: store.count_identities(place, rows_max=most), rows_max
    )


async def tombstones_of(store: Store, rows_max: int) -> int:
    """Count the tombstones of a store."""
    return await count_all(
        lambda place, most: store.count_tombstones(place, rows_max=most), rows_max
    )


class CensusContract(StoreBench):
    """Counting what there is."""

    def test_pools_are_counted(self, tmp_path: Path) -> None:
        """Each pool counts until it is deleted."""

        async def scene(store: Store) -> None:
            before = await store.count_identity_pools()
            await store.create_identity_pool(a_pool("us-east-1:more"), pools_max=9)
            with_it = await store.count_identity_pools()
            await store.delete_identity_pool("us-east-1:more")

            assert (before, with_it) == (with_it - 1, before + 1)
            assert await store.count_identity_pools() == before

        self.play(tmp_path, scene)

    @pytest.mark.parametrize("rows_max", [1, 2, 3, 1000])
    def test_identities_are_counted(self, tmp_path: Path, rows_max: int) -> None:
        """Each identity counts once, whatever the pieces; one that was merged not."""

        async def scene(store: Store) -> None:
            assert await identities_of(store, rows_max) == 0
            await keep(store, an_identity(ALICE, GOOGLE))
            await keep(store, an_identity(BOB, FACEBOOK))
            assert await identities_of(store, rows_max) == 2
            await keep(store, an_identity(CAROL, merged_into=ALICE))
            assert await identities_of(store, rows_max) == 2

        self.play(tmp_path, scene)

    @pytest.mark.parametrize("rows_max", [1, 2, 3, 1000])
    def test_tombstones_are_counted(self, tmp_path: Path, rows_max: int) -> None:
        """A removed record counts; a live one not, nor those of a dead dataset."""

        async def scene(store: Store) -> None:
            assert await tombstones_of(store, rows_max) == 0
            other = DatasetId(POOL, BOB, "scores")
            dead = DatasetId(POOL, BOB, "dead")
            await put(store, PREFS, {"a": "1", "b": "2", "c": "3", "\u00fc": "4"})
            await put(store, other, {"a": "1", "b": "2"})
            await put(store, dead, {"a": "1", "b": None})
            await put(store, PREFS, {"a": None, "c": None, "\u00fc": None})
            await put(store, other, {"b": None})
            await delete(store, dead)

            assert await tombstones_of(store, rows_max) == 4
            await put(store, PREFS, {"a": "again"})
            assert await tombstones_of(store, rows_max) == 3

        self.play(tmp_path, scene)

    def test_the_store_has_a_size(self, tmp_path: Path) -> None:
        """It is in bytes, and grows with what is put in."""

        async def scene(store: Store) -> None:
            before = await store.measure_bytes()
            for n in range(8):
                big = {f"{n}-{k}": "x" * 100_000 for k in range(10)}
                await put(store, PREFS, big)

            assert 0 < before < 64 * 1024 * 1024
            assert await store.measure_bytes() > before

        self.play(tmp_path, scene)
