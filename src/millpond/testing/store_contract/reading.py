"""The store contract, reads: ranges, pages and order."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from millpond.core.sync import DatasetId, DatasetState
from millpond.stores.base import RecordPage, RecordRange, Store
from millpond.testing.store_contract.bench import (
    ALICE,
    AWKWARD_TEXTS,
    BOB,
    POOL,
    PREFS,
    UNKNOWN_POOL,
    StoreBench,
    delete,
    put,
    read_all,
)

UNKNOWN_PREFS = DatasetId(UNKNOWN_POOL, ALICE, "prefs")


def choosing(
    chosen: RecordRange,
) -> Callable[[DatasetState | None], RecordRange | None]:
    """Make a `select` that always chooses the same."""
    return lambda dataset: chosen


async def keys_in(store: Store, chosen: RecordRange) -> list[str]:
    """Read the keys of a range of PREFS."""
    page = await store.read_records(PREFS, choosing(chosen))
    assert page is not None
    return [each.key for each in page.records]


class ReadingContract(StoreBench):
    """Reads of records and lists of datasets."""

    def test_records_are_found_by_key(self, tmp_path: Path) -> None:
        """Those asked for, removed ones too, and the dataset; whatever the keys are."""

        async def scene(store: Store) -> None:
            assert await store.find_records(UNKNOWN_PREFS, ["a"]) is None
            assert await store.find_records(PREFS, ["a"]) == RecordPage(None, [])

            values = dict.fromkeys([*AWKWARD_TEXTS, "a", "b"], "v")
            await put(store, PREFS, values)
            await put(store, PREFS, {"b": None})
            page = await store.find_records(PREFS, ["b", "a", "a", "never"])
            assert page is not None
            assert page.dataset is not None
            assert page.dataset.sync_count == 2
            found = {each.key: (each.value, each.sync_count) for each in page.records}
            assert found == {"a": ("v", 1), "b": (None, 2)}
            page = await store.find_records(PREFS, list(values))
            assert page is not None
            assert {each.key for each in page.records} == set(values)
            page = await store.find_records(PREFS, [])
            assert page is not None
            assert page.records == []

        self.play(tmp_path, scene)

    def test_select_sees_the_dataset_and_may_want_no_records(
        self, tmp_path: Path
    ) -> None:
        """`select` gets the dataset or None; when it returns None, none are read."""
        seen: list[DatasetState | None] = []

        async def scene(store: Store) -> None:
            for _ in range(2):
                page = await store.read_records(PREFS, seen.append)
                assert RecordPage(seen[-1], []) == page
                await put(store, PREFS, {"k": "v"})

            assert seen[0] is None
            assert seen[1] is not None
            assert seen[1].sync_count == 1

        self.play(tmp_path, scene)

    def test_a_dataset_that_never_was_has_no_records(self, tmp_path: Path) -> None:
        """A range of a dataset that does not exist is empty."""

        async def scene(store: Store) -> None:
            assert await keys_in(store, RecordRange(after=0, up_to=9)) == []

        self.play(tmp_path, scene)

    def test_what_is_expected_changes_nothing(self, tmp_path: Path) -> None:
        """With any expectation, right or wrong, `select` decides what is read."""
        whole = RecordRange(after=0, up_to=9)
        ranges = [
            whole,
            RecordRange(after=1, up_to=9),
            RecordRange(after=0, up_to=9, limit=2),
            RecordRange(after=1, up_to=2),
            RecordRange(after=1, up_to=9, position=(2, "c"), limit=1),
        ]

        async def scene(store: Store) -> None:
            nowhere = DatasetId("us-east-1:0", ALICE, "prefs")
            select = choosing(whole)
            assert await store.read_records(nowhere, select, expected=whole) is None
            page = await store.read_records(PREFS, select, expected=whole)
            assert page == RecordPage(None, [])
            await put(store, PREFS, {"a": "1", "b": "☃"})
            await put(store, PREFS, {"c": "3", "d": ""})
            await put(store, PREFS, {"b": None, "e": "5"})
            for chosen in ranges:
                plain = await store.read_records(PREFS, choosing(chosen))
                for expected in ranges:
                    page = await store.read_records(
                        PREFS, choosing(chosen), expected=expected
                    )
                    assert page == plain
            page = await store.read_records(PREFS, lambda dataset: None, expected=whole)
            assert page is not None
            assert page.records == []

        self.play(tmp_path, scene)

    def test_what_select_raises_comes_out(self, tmp_path: Path) -> None:
        """A refusal of `select` reaches the caller; the store goes on."""

        def refuse(dataset: DatasetState | None) -> RecordRange | None:
            raise LookupError("no")

        async def scene(store: Store) -> None:
            await put(store, PREFS, {"k": "v"})
            with pytest.raises(LookupError, match=r"^no$"):
                await store.read_records(PREFS, refuse)

            assert await keys_in(store, RecordRange(after=0, up_to=1)) == ["k"]

        self.play(tmp_path, scene)

    def test_a_range_is_exclusive_below_and_inclusive_above(
        self, tmp_path: Path
    ) -> None:
        """Records with after < sync count <= up_to are read, tombstones too."""

        async def scene(store: Store) -> None:
            for value in ("a", "b", "c", "d"):
                await put(store, PREFS, {value: value})
            await put(store, PREFS, {"b": None})

            assert list("acdb") == await keys_in(store, RecordRange(after=0, up_to=5))
            assert list("cdb") == await keys_in(store, RecordRange(after=1, up_to=5))
            assert list("cd") == await keys_in(store, RecordRange(after=2, up_to=4))
            assert list("b") == await keys_in(store, RecordRange(after=4, up_to=9))
            assert await keys_in(store, RecordRange(after=5, up_to=5)) == []
            assert await keys_in(store, RecordRange(after=4, up_to=2)) == []

        self.play(tmp_path, scene)

    def test_records_stand_by_count_then_by_key(self, tmp_path: Path) -> None:
        """Keys of one count are in the order of their code points."""
        keys = [*AWKWARD_TEXTS, "Z", "a", "\u00e4", "z", "A", "\ud7ff", "\ue000"]

        async def scene(store: Store) -> None:
            await put(store, PREFS, dict.fromkeys(keys, "1"))
            await put(store, PREFS, {"a": "2", "Z": "2"})
            first = sorted(set(keys) - {"a", "Z"})

            assert [*first, "Z", "a"] == await keys_in(
                store, RecordRange(after=0, up_to=2)
            )

        self.play(tmp_path, scene)

    def test_pages_together_are_the_whole(self, tmp_path: Path) -> None:
        """Whatever the size of a page, going on behind its last record misses none."""
        choices = random.Random(1)
        keys = [f"{choices.randrange(10**6)}{text}" for text in AWKWARD_TEXTS * 3]

        async def scene(store: Store) -> None:
            for _ in range(12):
                await put(store, PREFS, dict.fromkeys(choices.sample(keys, 9), "v"))
            whole = (await read_all(store, PREFS)).records
            for size in (1, 2, 3, 7, len(whole), 1000):
                position: tuple[int, str] | None = None
                found = []
                while True:
                    chosen = RecordRange(
                        after=0, up_to=12, position=position, limit=size
                    )
                    page = await store.read_records(PREFS, choosing(chosen))
                    assert page is not None
                    assert size >= len(page.records)
                    if not page.records:
                        break
                    found += page.records
                    position = (found[-1].sync_count, found[-1].key)

                assert whole == found

        self.play(tmp_path, scene)

    def test_a_position_without_a_limit_reads_the_rest(self, tmp_path: Path) -> None:
        """Behind a position, everything up to the bound is read."""

        async def scene(store: Store) -> None:
            await put(store, PREFS, dict.fromkeys("abcd", "1"))
            await put(store, PREFS, {"e": "1"})
            behind_b = RecordRange(after=0, up_to=1, position=(1, "b"))
            nowhere = RecordRange(after=1, up_to=9, position=(1, "b"))

            assert list("cd") == await keys_in(store, behind_b)
            assert await keys_in(store, nowhere) == ["e"]

        self.play(tmp_path, scene)

    # --- Lists of datasets ------------------------------------------------------------

    def test_datasets_are_listed_by_name(self, tmp_path: Path) -> None:
        """The live ones of the identity, in order, with their state, in pages."""
        names = ["b", "a.b", "a", "a:b", "B", "a-b", "a_b", "1"]

        async def scene(store: Store) -> None:
            for name in names:
                await put(store, DatasetId(POOL, ALICE, name), {"k": name})
            await put(store, DatasetId(POOL, BOB, "c"), {"k": "v"})
            await delete(store, DatasetId(POOL, ALICE, "a.b"))
            wanted = sorted(set(names) - {"a.b"})
            listed = await store.list_datasets(POOL, ALICE, after=None, limit=None)
            page = await store.list_datasets(POOL, ALICE, after=wanted[1], limit=3)
            rest = await store.list_datasets(POOL, ALICE, after=wanted[1], limit=None)
            end = await store.list_datasets(POOL, ALICE, after=wanted[-1], limit=3)

            assert listed is not None
            assert wanted == [each.dataset_name for each in listed]
            for each in listed:
                dataset_id = DatasetId(POOL, ALICE, each.dataset_name)
                assert (await read_all(store, dataset_id)).dataset == each.state
            assert (listed[2:5], listed[2:], []) == (page, rest, end)

        self.play(tmp_path, scene)

    def test_deleted_datasets_are_listed_when_asked_for(self, tmp_path: Path) -> None:
        """What a deletion left behind is in its place among the others."""

        async def scene(store: Store) -> None:
            for name in ("a", "b", "c"):
                await put(store, DatasetId(POOL, ALICE, name), {"k": name})
            await delete(store, DatasetId(POOL, ALICE, "b"))
            await delete(store, DatasetId(POOL, ALICE, "c"))
            await put(store, DatasetId(POOL, ALICE, "c"), {"k": "again"})
            listed = await store.list_datasets(
                POOL, ALICE, after=None, limit=None, deleted=True
            )
            behind = await store.list_datasets(
                POOL, ALICE, after="a", limit=1, deleted=True
            )
            live = await store.list_datasets(POOL, ALICE, after=None, limit=None)

            assert listed is not None
            found = [
                (e.dataset_name, e.state.sync_count, e.state.exists) for e in listed
            ]
            assert found == [("a", 1, True), ("b", 2, False), ("c", 3, True)]
            assert behind == listed[1:2]
            assert live == [listed[0], listed[2]]

        self.play(tmp_path, scene)

    def test_an_unknown_identity_has_no_datasets(self, tmp_path: Path) -> None:
        """An identity that never wrote has an empty list."""

        async def scene(store: Store) -> None:
            await put(store, PREFS, {"k": "v"})

            assert await store.list_datasets(POOL, BOB, after=None, limit=None) == []

        self.play(tmp_path, scene)
