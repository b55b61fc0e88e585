"""The store contract, updates: what they write, what they leave, what they remember."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import msgspec
import pytest

from millpond.core.sync import (
    Changes,
    DatasetId,
    DatasetState,
    Outcome,
    SpentSession,
    StoredDataset,
    StoredRecord,
)
from millpond.errors import StoreError
from millpond.stores.base import RecordPage, Store
from millpond.testing.store_contract.bench import (
    ALICE,
    AWKWARD_TEXTS,
    BOB,
    NOW_MS,
    OTHER_POOL,
    POOL,
    PREFS,
    StoreBench,
    a_pool,
    deciding_to_put,
    delete,
    put,
    read_all,
    values_of,
)

SESSION = bytes(range(16))


async def peek(
    store: Store,
    dataset_id: DatasetId,
    *keys: str,
    session_id: bytes | None = None,
) -> StoredDataset:
    """See what `decide` is given, and change nothing."""
    seen: list[StoredDataset] = []

    def decide(stored: StoredDataset) -> Changes:
        seen.append(stored)
        return Changes()

    await store.update_dataset(
        dataset_id, keys=keys, session_id=session_id, decide=decide
    )
    return seen[-1]


class DatasetContract(StoreBench):
    """Updates of datasets."""

    # --- What is written --------------------------------------------------------------

    def test_an_update_is_kept_as_decided(self, tmp_path: Path) -> None:
        """The dataset, the records and what is returned are what `decide` returned."""
        changes = Changes(
            dataset=DatasetState(
                sync_count=7,
                exists=True,
                horizon=3,
                creation_date_ms=NOW_MS,
                last_modified_date_ms=NOW_MS + 1,
                last_modified_by="somebody",
                num_records=2,
                data_storage=99,
            ),
            records=[
                StoredRecord("a", "1", 7, NOW_MS, "me", NOW_MS - 5),
                StoredRecord("b", "", 7, NOW_MS, "me", None),
                StoredRecord("c", None, 7, NOW_MS, "me", -1),
            ],
            outcome=Outcome(7, NOW_MS, "me"),
        )

        async def scene(store: Store) -> None:
            answer = await store.update_dataset(
                PREFS, keys="abc", session_id=None, decide=lambda stored: changes
            )

            assert changes == answer
            page = await read_all(store, PREFS)
            assert RecordPage(changes.dataset, list(changes.records)) == page

        self.play(tmp_path, scene)

    def test_any_number_of_records_is_written_at_once(self, tmp_path: Path) -> None:
        """However many there are, new ones and changed ones, each has its own."""
        counts = (1, 2, 3, 20, 64, 65, 131)

        async def scene(store: Store) -> None:
            kept: dict[str, str | None] = {}
            for count in counts:
                # Half of them are there already, and some of those are removed.
                put_now = {
                    f"{n}": None if n % 7 == 0 else f"{count}.{n}"
                    for n in range(count // 2, count // 2 + count)
                }
                await put(store, PREFS, put_now)
                kept |= put_now
                assert kept == await values_of(store, PREFS), count

        self.play(tmp_path, scene)

    def test_text_comes_back_as_it_went_in(self, tmp_path: Path) -> None:
        """Keys, values and names of any text stay what they were."""
        values = {text: text[::-1] for text in AWKWARD_TEXTS}

        async def scene(store: Store) -> None:
            for text in AWKWARD_TEXTS:
                dataset_id = DatasetId(POOL, text, text)
                await put(store, dataset_id, {text: text}, by=text)
                (record,) = (await read_all(store, dataset_id)).records
                assert (text, text) == (record.value, record.last_modified_by)
            await put(store, PREFS, dict(values))

            assert values == await values_of(store, PREFS)

        self.play(tmp_path, scene)

    def test_large_values_are_kept(self, tmp_path: Path) -> None:
        """A value of the largest size comes back whole."""
        value = "\U0001f9c0" * (1_048_575 // 4)

        async def scene(store: Store) -> None:
            await put(store, PREFS, {"k" * 1024: value})

            assert {"k" * 1024: value} == await values_of(store, PREFS)

        self.play(tmp_path, scene)

    def test_datasets_do_not_share_records(self, tmp_path: Path) -> None:
        """The same key of another dataset, identity or pool is another record."""
        others = [
            DatasetId(POOL, ALICE, "other"),
            DatasetId(POOL, BOB, "prefs"),
            DatasetId(OTHER_POOL, ALICE, "prefs"),
            DatasetId(POOL, ALICE, "prefs.x"),
            DatasetId(POOL, ALICE, "Prefs"),
        ]

        async def scene(store: Store) -> None:
            await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=100)
            await put(store, PREFS, {"k": "mine"})
            for number, each in enumerate(others):
                await put(store, each, {"k": str(number)})
            await delete(store, others[0])

            assert await values_of(store, PREFS) == {"k": "mine"}
            assert await values_of(store, others[0]) == {}
            for number, each in enumerate(others[1:], 1):
                assert {"k": str(number)} == await values_of(store, each)

        self.play(tmp_path, scene)

    # --- What `decide` is given -------------------------------------------------------

    def test_decide_sees_what_is_stored(self, tmp_path: Path) -> None:
        """It gets the dataset and the named records, tombstones included."""

        async def scene(store: Store) -> None:
            await put(store, PREFS, {"a": "1", "b": "2", "c": "3"})
            await put(store, PREFS, {"b": None}, by="other")
            stored = await peek(store, PREFS, "a", "b", "nobody")
            page = await read_all(store, PREFS)

            assert page.dataset == stored.dataset
            a = StoredRecord("a", "1", 1, NOW_MS, "device", None)
            b = StoredRecord("b", None, 2, NOW_MS, "other", None)
            assert {"a": a, "b": b} == stored.records

        self.play(tmp_path, scene)

    def test_decide_sees_nothing_of_a_new_dataset(self, tmp_path: Path) -> None:
        """A dataset that never was is None and has no records."""

        async def scene(store: Store) -> None:
            stored = await peek(store, PREFS, "a")

            assert StoredDataset(None, {}, 0, None, True) == stored

        self.play(tmp_path, scene)

    def test_decide_sees_the_sync_trigger(self, tmp_path: Path) -> None:
        """It is told the one that the pool has at that moment."""

        async def scene(store: Store) -> None:
            triggered = msgspec.structs.replace(a_pool(OTHER_POOL), sync_trigger="one")
            assert await store.create_identity_pool(triggered, pools_max=100)
            there = DatasetId(OTHER_POOL, ALICE, "prefs")
            assert (await peek(store, PREFS)).sync_trigger is None

            for trigger in ("one", "two", None, "three"):
                await store.update_identity_pool(
                    OTHER_POOL,
                    partial(msgspec.structs.replace, sync_trigger=trigger),
                )
                assert trigger == (await peek(store, there)).sync_trigger
            await put(store, there, {"k": "v"})
            assert (await peek(store, there)).sync_trigger == "three"
            assert (await peek(store, PREFS)).sync_trigger is None

        self.play(tmp_path, scene)

    def test_decide_sees_how_many_datasets_there_are(self, tmp_path: Path) -> None:
        """A dataset about to be created sees the live ones of its identity."""

        async def scene(store: Store) -> None:
            for name in ("a", "b", "c"):
                await put(store, DatasetId(POOL, ALICE, name), {"k": "v"})
            await put(store, DatasetId(POOL, BOB, "a"), {"k": "v"})
            await delete(store, DatasetId(POOL, ALICE, "b"))

            assert (await peek(store, DatasetId(POOL, ALICE, "b"))).live_datasets == 2
            assert (await peek(store, PREFS)).live_datasets == 2

        self.play(tmp_path, scene)

    def test_decide_sees_whether_the_pool_streams(self, tmp_path: Path) -> None:
        """`streaming` follows the configuration of the pool."""

        async def scene(store: Store) -> None:
            assert (await peek(store, PREFS)).streaming
            await store.update_identity_pool(POOL, lambda p: a_pool(streaming=False))
            assert not (await peek(store, PREFS)).streaming
            await store.update_identity_pool(POOL, lambda p: a_pool())
            assert (await peek(store, PREFS)).streaming

        self.play(tmp_path, scene)

    # --- Rollback ---------------------------------------------------------------------

    def test_what_decide_raises_comes_out_and_leaves_nothing(
        self, tmp_path: Path
    ) -> None:
        """A refusal reaches the caller as it is; not a trace of the update is kept."""

        class Refused(Exception):
            pass

        def refuse(stored: StoredDataset) -> Changes:
            raise refusal

        refusal = Refused("no")

        async def scene(store: Store) -> None:
            await put(store, PREFS, {"k": "v"})
            before = await read_all(store, PREFS)
            usage = await store.find_identity_pool_usage(POOL)
            for dataset_id in (PREFS, DatasetId(POOL, ALICE, "new")):
                with pytest.raises(Refused) as caught:
                    await store.update_dataset(
                        dataset_id, keys=["k"], session_id=SESSION, decide=refuse
                    )
                assert caught.value is refusal

            assert before == await read_all(store, PREFS)
            assert usage == await store.find_identity_pool_usage(POOL)
            assert await store.find_spent_session(PREFS, SESSION) is None
            assert (await store.measure_outbox(None)).entries == 0
            listed = await store.list_datasets(POOL, ALICE, after=None, limit=None)
            assert [each.dataset_name for each in listed or []] == ["prefs"]

        self.play(tmp_path, scene)

    def test_no_changes_write_nothing(self, tmp_path: Path) -> None:
        """Empty changes, as a repeated request gets, leave everything as it is."""

        async def scene(store: Store) -> None:
            await put(store, PREFS, {"k": "v"})
            before = await read_all(store, PREFS)
            usage = await store.find_identity_pool_usage(POOL)
            await peek(store, PREFS, "k")
            await peek(store, DatasetId(POOL, ALICE, "new"), "k")

            assert before == await read_all(store, PREFS)
            assert usage == await store.find_identity_pool_usage(POOL)
            new = await read_all(store, DatasetId(POOL, ALICE, "new"))
            assert RecordPage(None, []) == new

        self.play(tmp_path, scene)

    # --- Tombstones and deletion ------------------------------------------------------

    def test_a_removed_record_stays_as_a_tombstone(self, tmp_path: Path) -> None:
        """It is listed without a value at its new count, and can come back."""

        async def scene(store: Store) -> None:
            await put(store, PREFS, {"a": "1", "b": "2"})
            await put(store, PREFS, {"a": None}, now_ms=NOW_MS + 1)
            removed = (await read_all(store, PREFS)).records[-1]
            assert StoredRecord("a", None, 2, NOW_MS + 1, "device", None) == removed
            await put(store, PREFS, {"a": "again"})

            assert await values_of(store, PREFS) == {"a": "again", "b": "2"}

        self.play(tmp_path, scene)

    def test_deletion_drops_records_and_keeps_the_counter(self, tmp_path: Path) -> None:
        """A deleted dataset has no records, no tombstones, and its count goes on."""

        async def scene(store: Store) -> None:
            await put(store, PREFS, {"a": "1", "b": "2"})
            await put(store, PREFS, {"a": None})
            await delete(store, PREFS, now_ms=NOW_MS + 9)
            page = await read_all(store, PREFS)

            assert page.records == []
            assert page.dataset is not None
            assert (page.dataset.sync_count, page.dataset.horizon) == (3, 3)
            assert not page.dataset.exists
            assert (await peek(store, PREFS, "a", "b")).records == {}

            await put(store, PREFS, {"c": "3"})
            page = await read_all(store, PREFS)
            assert page.dataset is not None
            assert (page.dataset.sync_count, page.dataset.horizon) == (4, 3)
            assert [(each.key, each.sync_count) for each in page.records] == [("c", 4)]

        self.play(tmp_path, scene)

    # --- Sync sessions ----------------------------------------------------------------

    def test_a_spent_session_is_remembered(self, tmp_path: Path) -> None:
        """The mark comes back to `decide` and to `find_spent_session` as it was put."""
        spent = SpentSession(
            SESSION, b"sha256 of the request", Outcome(1, NOW_MS, "device")
        )

        async def scene(store: Store) -> None:
            assert await store.find_spent_session(PREFS, SESSION) is None
            assert (await peek(store, PREFS, session_id=SESSION)).spent is None
            await put(store, PREFS, {"k": "v"}, session=SESSION)

            assert spent == await store.find_spent_session(PREFS, SESSION)
            assert spent == (await peek(store, PREFS, session_id=SESSION)).spent
            assert await store.find_spent_session(PREFS, SESSION[::-1]) is None
            other = await peek(store, PREFS, session_id=SESSION[::-1])
            assert other.spent is None
            assert (await peek(store, PREFS, session_id=None)).spent is None

        self.play(tmp_path, scene)

    def test_a_spent_session_remembers_what_was_amended(self, tmp_path: Path) -> None:
        """Records that a sync trigger left otherwise come back as they went in."""
        amended = (
            *(StoredRecord(each, each, 7, NOW_MS, each, 1) for each in AWKWARD_TEXTS),
            StoredRecord("removed", None, 0, NOW_MS, "device", None),
        )
        outcome = Outcome(7, NOW_MS, "device", amended)
        spent = SpentSession(SESSION, b"sha256 of the request", outcome)

        async def scene(store: Store) -> None:
            await store.update_dataset(
                PREFS,
                keys=(),
                session_id=SESSION,
                decide=lambda stored: Changes(spent=spent, outcome=outcome),
            )

            assert spent == await store.find_spent_session(PREFS, SESSION)
            assert spent == (await peek(store, PREFS, session_id=SESSION)).spent

        self.play(tmp_path, scene)

    def test_the_mark_and_the_update_are_one(self, tmp_path: Path) -> None:
        """When a session cannot be marked, nothing of its update is written."""

        def decide(stored: StoredDataset) -> Changes:
            # A second mark of the same session cannot be kept: all of it must go.
            return deciding_to_put({"k": "2"}, session=SESSION, event=b"x")(stored)

        async def scene(store: Store) -> None:
            await put(store, PREFS, {"k": "1"}, session=SESSION)
            before = await read_all(store, PREFS)
            with pytest.raises(StoreError):
                await store.update_dataset(
                    PREFS, keys=["k"], session_id=None, decide=decide
                )

            assert before == await read_all(store, PREFS)
            assert (await store.measure_outbox(None)).entries == 0

        self.play(tmp_path, scene)
