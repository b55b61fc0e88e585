"""The store contract, merged datasets: what a dataset reports to stand beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from millpond.core.sync import Changes, DatasetId, DatasetState, StoredDataset
from millpond.stores.base import RecordRange, Store
from millpond.testing.store_contract.bench import (
    ALICE,
    AWKWARD_TEXTS,
    BOB,
    NOW_MS,
    POOL,
    PREFS,
    StoreBench,
    delete,
    put,
    read_all,
)
from millpond.testing.store_contract.identities import CAROL, an_identity, keep
from millpond.testing.store_contract.merges import COPY, THEIRS, begin, merge


def choosing(
    chosen: RecordRange | None,
) -> Callable[[DatasetState | None], RecordRange | None]:
    """Make a `select` that always chooses the same, or nothing."""
    return lambda dataset: chosen


async def merged_names(
    store: Store, dataset_id: DatasetId, *, last_sync_count: int = 0
) -> Sequence[str]:
    """Read what a dataset reports, in each of the ways to read it."""
    whole = RecordRange(after=last_sync_count, up_to=1000)
    answers = []
    for chosen in (whole, None, RecordRange(after=0, up_to=9, position=(1, "k"))):
        for expected in (None, whole, RecordRange(after=0, up_to=9, limit=1)):
            page = await store.read_records(
                dataset_id, choosing(chosen), expected=expected
            )
            assert page is not None
            answers.append(tuple(page.merged_dataset_names))
    assert len(set(answers)) == 1
    return answers[0]


def dying_beside_its_root(stored: StoredDataset) -> Changes:
    """Delete a dataset; its row goes on to say what it stood beside."""
    assert stored.dataset is not None
    dead = msgspec.structs.replace(
        stored.dataset, exists=False, num_records=0, data_storage=0
    )
    return Changes(dataset=dead, clear_records=True)


class MergedDatasetContract(StoreBench):
    """Datasets that a merge has put beside others."""

    def test_a_dataset_reports_what_stands_beside_it(self, tmp_path: Path) -> None:
        """The live copies by name, however it is read; nobody else reports them."""
        dave = "us-east-1:d"

        async def scene(store: Store) -> None:
            await begin(store)
            await keep(store, an_identity(dave, guest=True), an_identity(CAROL))
            for each in (ALICE, BOB, CAROL, dave):
                await put(store, DatasetId(POOL, each, "prefs"), {"k": "v"})
                await put(store, DatasetId(POOL, each, "prefs.x"), {"k": "v"})
            assert await merged_names(store, PREFS) == ()
            for each in (dave, BOB):
                await merge(store, ALICE, each)

            assert await merged_names(store, PREFS) == tuple(
                sorted([f"prefs.{BOB}", f"prefs.{dave}"])
            )
            assert await merged_names(store, PREFS, last_sync_count=1) != ()
            x = DatasetId(POOL, ALICE, "prefs.x")
            assert len(await merged_names(store, x)) == 2
            for other in (COPY, DatasetId(POOL, CAROL, "prefs")):
                assert await merged_names(store, other) == ()

        self.play(tmp_path, scene)

    def test_a_copy_that_was_deleted_is_reported_no_more(self, tmp_path: Path) -> None:
        """The client has dealt with it; a new one of its name is an ordinary one."""

        async def scene(store: Store) -> None:
            await begin(store)
            await put(store, PREFS, {"k": "v"})
            await put(store, THEIRS, {"k": "v"})
            await merge(store)
            assert await merged_names(store, PREFS) == (COPY.dataset_name,)

            await store.update_dataset(
                COPY, keys=[], session_id=None, decide=dying_beside_its_root
            )
            assert await merged_names(store, PREFS) == ()
            await put(store, COPY, {"k": "v"})
            assert await merged_names(store, PREFS) == ()

        self.play(tmp_path, scene)

    def test_a_root_that_is_gone_reports_its_copies(self, tmp_path: Path) -> None:
        """Who asks for the deleted dataset still learns what is there of it."""

        async def scene(store: Store) -> None:
            await begin(store)
            await put(store, PREFS, {"k": "v"})
            await put(store, THEIRS, {"k": "v"})
            await merge(store)
            await delete(store, PREFS)

            assert await merged_names(store, PREFS) == (COPY.dataset_name,)

        self.play(tmp_path, scene)

    def test_a_root_that_never_was_reports_its_copies(self, tmp_path: Path) -> None:
        """A copy may come to somebody who has no dataset of the shorter name."""

        async def scene(store: Store) -> None:
            await begin(store)
            await keep(store, an_identity(CAROL))
            await put(store, PREFS, {"k": "v"})
            await put(store, THEIRS, {"k": "v"})
            await merge(store)
            await delete(store, PREFS)
            await merge(store, CAROL, ALICE)

            root = DatasetId(POOL, CAROL, "prefs")
            assert (await read_all(store, root)).dataset is None
            assert await merged_names(store, root) == (COPY.dataset_name,)

        self.play(tmp_path, scene)

    def test_names_of_any_text_are_reported(self, tmp_path: Path) -> None:
        """Whatever the dataset is called, the name of its copy comes back."""

        async def scene(store: Store) -> None:
            await begin(store)
            for text in AWKWARD_TEXTS:
                for each in (ALICE, BOB):
                    await put(store, DatasetId(POOL, each, text), {"k": "v"})
            await merge(store)

            for text in AWKWARD_TEXTS:
                root = DatasetId(POOL, ALICE, text)
                assert await merged_names(store, root) == (f"{text}.{BOB}",)

        self.play(tmp_path, scene)

    def test_copies_do_not_count_as_datasets(self, tmp_path: Path) -> None:
        """What an identity may create is not lessened by what a merge brought."""
        seen: list[int] = []

        def decide(stored: StoredDataset) -> Changes:
            seen.append(stored.live_datasets)
            return Changes()

        async def scene(store: Store) -> None:
            await begin(store)
            await put(store, PREFS, {"k": "v"})
            await put(store, THEIRS, {"k": "v"})
            await put(store, DatasetId(POOL, BOB, "saves"), {"k": "v"})
            await merge(store)
            new = DatasetId(POOL, ALICE, "new")
            await store.update_dataset(new, keys=[], session_id=None, decide=decide)

            assert seen == [2]
            listed = await store.list_datasets(POOL, ALICE, after=None, limit=None)
            assert listed is not None
            assert len(listed) == 3

        self.play(tmp_path, scene)

    def test_with_an_identity_go_the_copies_it_was_given(self, tmp_path: Path) -> None:
        """Deleting the survivor deletes all that it got; the pool is empty then."""

        async def scene(store: Store) -> None:
            await begin(store)
            await put(store, PREFS, {"k": "v"})
            await put(store, THEIRS, {"k": "v"})
            await merge(store)
            await store.delete_identity(ALICE, now_ms=NOW_MS)

            assert await store.find_identity_usage(POOL, ALICE) is None
            assert await merged_names(store, PREFS) == ()
            usage = await store.find_identity_pool_usage(POOL)
            assert usage is not None
            assert usage.data_storage == 0

        self.play(tmp_path, scene)
