"""The store contract, merges: datasets change hands whole, with all their counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from millpond.core import identities
from millpond.core.dataset_moves import move_events
from millpond.core.identities import IdentityChanges, Login, StoredIdentities
from millpond.core.stream_consumer import decode_event
from millpond.core.sync import (
    DatasetId,
    DatasetState,
    SyncLimits,
)
from millpond.errors import StoreError
from millpond.stores.base import IdentityUsage, RecordPage, Store
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
    delete,
    put,
    read_all,
    values_of,
)
from millpond.testing.store_contract.identities import (
    CAROL,
    GOOGLE,
    an_identity,
    keep,
)

THEIRS: Final = DatasetId(POOL, BOB, "prefs")
COPY: Final = DatasetId(POOL, ALICE, f"prefs.{BOB}")
Decide = Callable[[StoredIdentities], IdentityChanges]


def deciding_to_merge(survivor: str, loser: str, *, now_ms: int = NOW_MS) -> Decide:
    """Make a `decide` that merges one identity into another one."""
    return lambda stored: identities.merge(
        stored,
        stored.identities[survivor],
        stored.identities[loser],
        now_ms=now_ms,
        limits=SyncLimits(),
    )


async def merge(
    store: Store, survivor: str = ALICE, loser: str = BOB, *, now_ms: int = NOW_MS
) -> IdentityChanges:
    """Merge one identity into another one."""
    changes = await store.update_identities(
        POOL,
        identity_ids=[survivor, loser],
        logins=[],
        decide=deciding_to_merge(survivor, loser, now_ms=now_ms),
    )
    assert changes is not None
    return changes


async def begin(store: Store) -> None:
    """Keep Alice, who will survive, and Bob."""
    await keep(store, an_identity(ALICE, GOOGLE), an_identity(BOB, guest=True))


class MergeContract(StoreBench):
    """Datasets that change hands, and where they are reported."""

    # --- What `decide` is given -------------------------------------------------------

    def test_decide_sees_the_datasets_of_all_involved(self, tmp_path: Path) -> None:
        """By identity and name: live, dead, and of those who are nobody yet."""
        dead = DatasetId(POOL, BOB, "dead")
        early = DatasetId(POOL, CAROL, "early")

        async def scene(store: Store) -> None:
            await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
            await begin(store)
            for each in (PREFS, THEIRS, dead, early):
                await put(store, each, {"k": "v"})
            await put(store, DatasetId(OTHER_POOL, ALICE, "other"), {"k": "v"})
            await delete(store, dead)
            found = await store.find_identities(
                POOL, identity_ids=[BOB, CAROL], logins=[GOOGLE]
            )

            assert found is not None
            assert set(found.identities) == {ALICE, BOB}
            wanted: dict[str, dict[str, DatasetState | None]] = {}
            for each in (PREFS, THEIRS, dead, early):
                state = (await read_all(store, each)).dataset
                wanted.setdefault(each.identity_id, {})[each.dataset_name] = state
            assert found.datasets == wanted

        self.play(tmp_path, scene)

    def test_decide_sees_who_has_no_datasets(self, tmp_path: Path) -> None:
        """With several involved, each has an entry, though it may be empty."""

        async def scene(store: Store) -> None:
            await begin(store)
            found = await store.find_identities(
                POOL, identity_ids=[ALICE, BOB, CAROL], logins=[]
            )

            assert found is not None
            assert found.datasets == {ALICE: {}, BOB: {}, CAROL: {}}

        self.play(tmp_path, scene)

    def test_who_signs_in_is_shown_what_was_left_behind(self, tmp_path: Path) -> None:
        """Logins find who was merged into their identity and was written to since."""

        async def scene(store: Store) -> None:
            await begin(store)
            await keep(store, an_identity(CAROL, guest=True))
            await put(store, THEIRS, {"k": "theirs"})
            await merge(store, BOB, CAROL)
            await merge(store)

            async def found(*, logins: list[Login]) -> set[str]:
                stored = await store.find_identities(
                    POOL, identity_ids=[ALICE], logins=logins
                )
                assert stored is not None
                assert set(stored.datasets) in (set(stored.identities), set())
                return set(stored.identities)

            assert await found(logins=[GOOGLE]) == {ALICE}
            await put(store, THEIRS, {"k": "late"})
            assert await found(logins=[GOOGLE]) == {ALICE, BOB}
            await put(store, DatasetId(POOL, CAROL, "late"), {"k": "v"})
            await delete(store, THEIRS)
            assert await found(logins=[GOOGLE]) == {ALICE, BOB, CAROL}
            assert await found(logins=[]) == {ALICE}

        self.play(tmp_path, scene)

    def test_leftovers_of_other_pools_are_not_shown(self, tmp_path: Path) -> None:
        """Data under the id of a merged identity in another pool is another's."""

        async def scene(store: Store) -> None:
            await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
            await begin(store)
            await merge(store)
            await put(store, DatasetId(OTHER_POOL, BOB, "prefs"), {"k": "v"})
            stored = await store.find_identities(POOL, identity_ids=[], logins=[GOOGLE])

            assert stored is not None
            assert set(stored.identities) == {ALICE}

        self.play(tmp_path, scene)

    # --- Moves ------------------------------------------------------------------------

    def test_a_dataset_moves_with_all_its_records(self, tmp_path: Path) -> None:
        """Values, counts, dates, tombstones: everything is there as it was."""
        values = dict.fromkeys(AWKWARD_TEXTS, "v")

        async def scene(store: Store) -> None:
            await begin(store)
            await put(store, THEIRS, values)
            await put(store, THEIRS, {"plain": None, "0123": ""}, by="other")
            before = await read_all(store, THEIRS)
            changes = await merge(store, now_ms=NOW_MS + 9)

            assert await read_all(store, PREFS) == before
            listed = await store.list_datasets(POOL, ALICE, after=None, limit=None)
            assert [each.dataset_name for each in listed or []] == ["prefs"]
            assert changes.identity == await store.find_identity(ALICE)
            bob = await store.find_identity(BOB)
            assert bob is not None
            assert (bob.merged_into, bob.logins) == (ALICE, ())

        self.play(tmp_path, scene)

    def test_the_old_place_is_gone_and_keeps_its_counter(self, tmp_path: Path) -> None:
        """As after a deletion; a dataset that is made there again counts on."""

        async def scene(store: Store) -> None:
            await begin(store)
            await put(store, THEIRS, {"a": "1"})
            await put(store, THEIRS, {"b": "2"})
            (move,) = (await merge(store, now_ms=NOW_MS + 9)).moves

            assert await read_all(store, THEIRS) == RecordPage(move.left, [])
            assert (move.left.sync_count, move.left.exists) == (3, False)
            assert await store.list_datasets(POOL, BOB, after=None, limit=9) == []
            await put(store, THEIRS, {"c": "3"})
            page = await read_all(store, THEIRS)
            assert [(each.key, each.sync_count) for each in page.records] == [("c", 4)]
            assert await values_of(store, PREFS) == {"a": "1", "b": "2"}

        self.play(tmp_path, scene)

    def test_a_dataset_that_was_moved_is_updated_as_any(self, tmp_path: Path) -> None:
        """Its records are found by key and its counter goes on at the new place."""

        async def scene(store: Store) -> None:
            await begin(store)
            await put(store, THEIRS, {"a": "1", "b": "2"})
            await merge(store)
            await put(store, PREFS, {"a": "changed", "c": "3"})

            assert await values_of(store, PREFS) == {"a": "changed", "b": "2", "c": "3"}
            state = (await read_all(store, PREFS)).dataset
            assert state is not None
            assert (state.sync_count, state.num_records) == (2, 3)

        self.play(tmp_path, scene)

    def test_a_dataset_that_is_there_is_not_overwritten(self, tmp_path: Path) -> None:
        """The one that comes stands beside it, and says beside which."""

        async def scene(store: Store) -> None:
            await begin(store)
            await put(store, PREFS, {"k": "mine"})
            await put(store, THEIRS, {"k": "theirs"})
            mine = await read_all(store, PREFS)
            theirs = await read_all(store, THEIRS)
            await merge(store)

            assert (await read_all(store, PREFS)).dataset == mine.dataset
            assert (await read_all(store, PREFS)).records == mine.records
            copy = await read_all(store, COPY)
            assert copy.records == theirs.records
            assert copy.dataset is not None
            assert copy.dataset.root_dataset_name == "prefs"

        self.play(tmp_path, scene)

    def test_a_dataset_takes_the_place_of_a_dead_one(self, tmp_path: Path) -> None:
        """Its counter goes on, and all records are above the deletion."""

        async def scene(store: Store) -> None:
            await begin(store)
            for _ in range(5):
                await put(store, PREFS, {"k": "mine"})
            await delete(store, PREFS)
            await put(store, THEIRS, {"k": "theirs", "gone": "x"})
            await put(store, THEIRS, {"gone": None})
            (move,) = (await merge(store)).moves

            page = await read_all(store, PREFS)
            assert page.dataset == move.moved
            assert (move.moved.sync_count, move.moved.horizon) == (7, 6)
            found = {each.key: (each.value, each.sync_count) for each in page.records}
            assert found == {"k": ("theirs", 7), "gone": (None, 7)}
            *_, last = await store.list_outbox(POOL, limit=9, bytes_max=9999)
            event = decode_event(last.data)
            assert event is not None
            (record,) = event.kinesis_sync_records or []
            assert (record.key, record.sync_count, record.value) == ("k", 7, "theirs")

        self.play(tmp_path, scene)

    def test_a_merge_changes_no_usage(self, tmp_path: Path) -> None:
        """The pool holds as much as before; the survivor holds it all."""

        async def scene(store: Store) -> None:
            await begin(store)
            await put(store, PREFS, {"k": "1"})
            await put(store, THEIRS, {"k": "12", "l": "3"})
            await put(store, DatasetId(POOL, BOB, "b"), {"k": "4"}, now_ms=NOW_MS + 1)
            before = await store.find_identity_pool_usage(POOL)
            await merge(store, now_ms=NOW_MS + 2)

            assert before == await store.find_identity_pool_usage(POOL)
            assert await store.find_identity_usage(POOL, ALICE) == IdentityUsage(
                3, 2 + 5 + 2, NOW_MS + 1
            )
            assert await store.find_identity_usage(POOL, BOB) == IdentityUsage(
                0, 0, NOW_MS + 2
            )

        self.play(tmp_path, scene)

    def test_many_datasets_move_at_once(self, tmp_path: Path) -> None:
        """Each with its own records, whatever their names are."""

        async def scene(store: Store) -> None:
            await begin(store)
            for text in AWKWARD_TEXTS:
                await put(store, DatasetId(POOL, BOB, text), {text: text})
            for text in AWKWARD_TEXTS[::2]:
                await put(store, DatasetId(POOL, ALICE, text), {"mine": text})
            await merge(store)

            for number, text in enumerate(AWKWARD_TEXTS):
                name = text if number % 2 else f"{text}.{BOB}"
                found = await values_of(store, DatasetId(POOL, ALICE, name))
                assert found == {text: text}
            assert await store.list_datasets(POOL, BOB, after=None, limit=9) == []

        self.play(tmp_path, scene)

    def test_a_merge_that_fails_moves_nothing(self, tmp_path: Path) -> None:
        """Identities, datasets and outbox are one: all of it is written or none."""

        def failing(stored: StoredIdentities) -> IdentityChanges:
            changes = deciding_to_merge(ALICE, BOB)(stored)
            # The second move would overwrite what the first one has brought.
            changes.moves = [*changes.moves, *changes.moves]
            return changes

        async def scene(store: Store) -> None:
            await begin(store)
            await put(store, THEIRS, {"k": "theirs"})
            before = await read_all(store, THEIRS)
            with pytest.raises(StoreError):
                await store.update_identities(
                    POOL, identity_ids=[ALICE, BOB], logins=[], decide=failing
                )

            assert await read_all(store, THEIRS) == before
            assert await read_all(store, PREFS) == RecordPage(None, [])
            assert await store.find_identity(BOB) == an_identity(BOB, guest=True)
            assert (await store.measure_outbox(None)).entries == 0

        self.play(tmp_path, scene)

    # --- The outbox -------------------------------------------------------------------

    def test_the_stream_is_told_of_each_move_in_order(self, tmp_path: Path) -> None:
        """First that a dataset went, then what came, move by move."""

        async def scene(store: Store) -> None:
            await begin(store)
            await put(store, PREFS, {"k": "mine"})
            for name in ("b", "prefs", "a"):
                dataset_id = DatasetId(POOL, BOB, name)
                await put(store, dataset_id, {"z": "1", "a": "2", "gone": "3"})
                await put(store, dataset_id, {"gone": None})
            moves = (await merge(store)).moves
            wanted = []
            for move in moves:
                records = (await read_all(store, move.new)).records
                by_key = sorted(records, key=lambda each: each.key)
                wanted += move_events(move, by_key)

            told = await store.list_outbox(POOL, limit=100, bytes_max=2**20)
            assert [(each.identity_id, each.data) for each in told] == wanted
            assert [who for who, _ in wanted] == [BOB, ALICE] * 3

        self.play(tmp_path, scene)

    def test_a_pool_that_does_not_stream_is_told_of_no_move(
        self, tmp_path: Path
    ) -> None:
        """A merge there leaves the outbox as it is."""

        async def scene(store: Store) -> None:
            await store.update_identity_pool(POOL, lambda p: a_pool(streaming=False))
            await begin(store)
            await put(store, THEIRS, {"k": "v"})
            assert (await merge(store)).moves

            assert (await store.measure_outbox(None)).entries == 0

        self.play(tmp_path, scene)
