"""The store contract, bulk publish: runs, leases, checkpoints and scans."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from millpond.core import bulk_publish
from millpond.core.bulk_publish import (
    BulkPublishRun,
    BulkPublishStatus,
    Counts,
    LeasedSlice,
    Position,
    Slice,
)
from millpond.core.bulk_publish_progress import SlicedRun, SliceState
from millpond.core.identity_pools import IdentityPool, StreamConfiguration
from millpond.core.streaming import KinesisSyncRecord
from millpond.core.sync import Changes, DatasetId, StoredDataset, StoredRecord
from millpond.core.targets import Mark
from millpond.errors import LeaseLostError
from millpond.stores.base import BulkPublishProgress, DatasetSnapshot, Store
from millpond.testing.store_contract.bench import (
    ALICE,
    AWKWARD_TEXTS,
    BOB,
    NOW_MS,
    OTHER_POOL,
    POOL,
    PREFS,
    UNKNOWN_POOL,
    StoreBench,
    a_pool,
    deciding_to_put,
    delete,
    never,
    put,
)

LEASE_MS = 1000
WHOLE = [Slice(0, None, None)]
Run = BulkPublishRun


def starting(
    run_id: str = "run 1", *, now_ms: int = NOW_MS
) -> Callable[[IdentityPool, Run], Run]:
    """Make a `decide` that starts a run."""

    def decide(pool: IdentityPool, last: Run) -> Run:
        return bulk_publish.start(
            last,
            run_id=run_id,
            stream=StreamConfiguration(
                stream_name="changes", streaming_status="ENABLED"
            ),
            now_ms=now_ms,
        )

    return decide


def finishing(run: Run) -> Run:
    """Finish a run."""
    return bulk_publish.finish(run, now_ms=NOW_MS + 7)


def failing(run: Run) -> Run:
    """Fail a run."""
    return bulk_publish.fail(run, message="The stream is gone.")


async def lease(
    store: Store, worker: str = "one", *, now_ms: int = NOW_MS
) -> LeasedSlice:
    """Lease a slice, which must be there."""
    leased = await store.lease_slice(worker, now_ms=now_ms, lease_ms=LEASE_MS)
    assert leased is not None
    return leased


async def scan_all(
    store: Store, leased: LeasedSlice, *, limit: int = 100, bytes_max: int = 2**20
) -> list[DatasetSnapshot]:
    """Scan a slice to its end, batch by batch."""
    found: list[DatasetSnapshot] = []
    position: Position | None = None
    while batch := await store.scan_datasets(
        leased, position=position, limit=limit, bytes_max=bytes_max
    ):
        assert limit >= len(batch)
        found += batch
        position = Position(batch[-1].identity_id, batch[-1].dataset_name)
    return found


class BulkPublishContract(StoreBench):
    """Runs, their slices, and the data they publish."""

    # --- Runs -------------------------------------------------------------------------

    def test_a_pool_begins_without_a_run(self, tmp_path: Path) -> None:
        """Before the first run the status is NOT_STARTED and nothing can be leased."""

        async def scene(store: Store) -> None:
            assert Run(identity_pool_id=POOL) == await store.find_bulk_publish(POOL)
            leased = await store.lease_slice("one", now_ms=NOW_MS, lease_ms=LEASE_MS)
            assert leased is None
            progress = await store.find_bulk_publish_progress(POOL)
            assert BulkPublishProgress(Counts(), 0, 0, 0) == progress

        self.play(tmp_path, scene)

    def test_a_run_is_started_on_the_last_one(self, tmp_path: Path) -> None:
        """`decide` gets the pool and its last run; what it returns is kept."""
        seen: list[tuple[IdentityPool, Run]] = []

        def decide(pool: IdentityPool, last: Run) -> Run:
            seen.append((pool, last))
            return starting()(pool, last)

        async def scene(store: Store) -> None:
            run = await store.start_bulk_publish(POOL, decide, WHOLE)

            assert (a_pool(), Run(identity_pool_id=POOL)) == seen[-1]
            assert run is not None
            assert BulkPublishStatus.IN_PROGRESS is run.status
            assert run == await store.find_bulk_publish(POOL)

        self.play(tmp_path, scene)

    def test_a_run_remembers_those_before_it(self, tmp_path: Path) -> None:
        """How they ended and what they delivered; a long row of them is cut."""

        async def scene(store: Store) -> None:
            most = bulk_publish.EARLIER_RUNS_MAX
            for number in range(most + 2):
                run_id = f"run {number}"
                await store.start_bulk_publish(POOL, starting(run_id), WHOLE)
                leased = await lease(store)
                await store.checkpoint_slice(
                    leased, None, Counts(number, 2, 3), lease_until_ms=NOW_MS + 1
                )
                await store.fail_bulk_publish(leased, failing)
            run = await store.find_bulk_publish(POOL)

            assert run is not None
            numbers = range(most, 0, -1)
            assert [f"run {number}" for number in numbers] == [
                each.run_id for each in run.earlier
            ]
            assert run.earlier[0] == bulk_publish.EarlierRun(
                run_id=f"run {most}",
                status=BulkPublishStatus.FAILED,
                stream_name="changes",
                start_time_ms=NOW_MS,
                complete_time_ms=None,
                failure_message="The stream is gone.",
                delivered=Counts(most, 2, 3),
            )

        self.play(tmp_path, scene)

    def test_a_refused_start_leaves_the_last_run(self, tmp_path: Path) -> None:
        """What `decide` raises comes out; the run in progress and its slices stay."""

        def refuse(pool: IdentityPool, last: Run) -> Run:
            raise LookupError("no")

        async def scene(store: Store) -> None:
            run = await store.start_bulk_publish(POOL, starting(), WHOLE)
            leased = await lease(store)
            with pytest.raises(LookupError, match=r"^no$"):
                await store.start_bulk_publish(POOL, refuse, [])

            assert run == await store.find_bulk_publish(POOL)
            await store.checkpoint_slice(
                leased, None, Counts(), lease_until_ms=NOW_MS + LEASE_MS
            )

        self.play(tmp_path, scene)

    def test_one_of_many_starts_wins(self, tmp_path: Path) -> None:
        """Of ten starts at once one is taken; the others see its run."""

        async def scene(store: Store) -> None:
            answers = await asyncio.gather(
                *(
                    store.start_bulk_publish(POOL, starting(f"run {n}"), WHOLE)
                    for n in range(10)
                ),
                return_exceptions=True,
            )
            taken = [each for each in answers if isinstance(each, Run)]

            assert taken == [await store.find_bulk_publish(POOL)]

        self.play(tmp_path, scene)

    # --- Leases -----------------------------------------------------------------------

    def test_a_slice_is_leased_to_one_worker(self, tmp_path: Path) -> None:
        """Workers that ask at once get different slices, until there are none left."""
        slices = bulk_publish.cut_slices("us-east-1", 4)

        async def scene(store: Store) -> None:
            await store.start_bulk_publish(POOL, starting(), slices)
            answers = await asyncio.gather(
                *(
                    store.lease_slice(f"w{n}", now_ms=NOW_MS, lease_ms=LEASE_MS)
                    for n in range(10)
                )
            )
            leased = [each for each in answers if each is not None]

            assert slices == sorted((x.slice for x in leased), key=lambda s: s.number)
            for each in leased:
                assert each.identity_pool_id == POOL
                assert (
                    each.run_id,
                    each.stream_name,
                    each.slices,
                ) == ("run 1", "changes", 4)
                assert (None, Counts()) == (each.position, each.counts)

        self.play(tmp_path, scene)

    def test_a_lease_that_ran_out_is_taken_over(self, tmp_path: Path) -> None:
        """Another worker goes on from the checkpoint, and the first one is out."""
        position = Position(ALICE, "prefs")
        counts = Counts(1, 2, 3)

        async def scene(store: Store) -> None:
            await store.start_bulk_publish(POOL, starting(), WHOLE)
            first = await lease(store, "one")
            held_until = NOW_MS + LEASE_MS + 5
            await store.checkpoint_slice(
                first, position, counts, lease_until_ms=held_until
            )
            early = await store.lease_slice(
                "two", now_ms=held_until - 1, lease_ms=LEASE_MS
            )
            second = await lease(store, "two", now_ms=held_until)

            assert early is None
            assert (position, counts) == (second.position, second.counts)
            assert second.fence > first.fence
            until = held_until + LEASE_MS
            with pytest.raises(LeaseLostError):
                await store.checkpoint_slice(
                    first, None, Counts(), lease_until_ms=until
                )
            with pytest.raises(LeaseLostError):
                await store.change_bulk_publish(first, failing)
            with pytest.raises(LeaseLostError):
                await store.finish_slice(first, finishing)
            with pytest.raises(LeaseLostError):
                await store.fail_bulk_publish(first, failing)
            await store.checkpoint_slice(second, position, counts, lease_until_ms=until)
            progress = await store.find_bulk_publish_progress(POOL)
            assert BulkPublishProgress(counts, 1, 0, 0) == progress

        self.play(tmp_path, scene)

    def test_a_run_keeps_where_its_stream_stood(self, tmp_path: Path) -> None:
        """The first mark stays, comes with each later lease, and goes with the run."""
        first = Mark("one", {"": 7, "partition 3": 2**53}, frozenset({"a", "b"}))

        async def scene(store: Store) -> None:
            await store.start_bulk_publish(POOL, starting(), WHOLE)
            leased = await lease(store, "one")
            assert leased.stream_mark is None
            assert leased.start_time_ms == NOW_MS
            for mark in (first, Mark("another")):

                def note(run: Run, mark: Mark = mark) -> Run:
                    return bulk_publish.note_stream(run, mark)

                run = await store.change_bulk_publish(leased, note)
                assert first == run.stream_mark
            await store.release_slices("one")

            again = await lease(store, "two")
            assert first == again.stream_mark
            assert await store.find_bulk_publish(POOL) == run
            await store.fail_bulk_publish(again, failing)
            await store.start_bulk_publish(POOL, starting("run 2"), WHOLE)
            assert (await lease(store, "two")).stream_mark is None

        self.play(tmp_path, scene)

    def test_a_clock_that_steps_back_does_not_hold_a_slice(
        self, tmp_path: Path
    ) -> None:
        """A lease that ends later than any given now could is taken over, safely."""

        async def scene(store: Store) -> None:
            await store.start_bulk_publish(POOL, starting(), WHOLE)
            first = await lease(store, "one")
            set_back = NOW_MS - 3_600_000
            second = await lease(store, "two", now_ms=set_back)

            assert second.fence > first.fence
            with pytest.raises(LeaseLostError):
                await store.checkpoint_slice(
                    first, None, Counts(), lease_until_ms=NOW_MS + LEASE_MS
                )
            third = await store.lease_slice(
                "three", now_ms=set_back + 1, lease_ms=LEASE_MS
            )
            assert third is None

        self.play(tmp_path, scene)

    def test_a_worker_can_give_back_what_it_holds(self, tmp_path: Path) -> None:
        """Released slices can be leased at once, those of other workers cannot."""

        async def scene(store: Store) -> None:
            slices = bulk_publish.cut_slices("us-east-1", 3)
            await store.start_bulk_publish(POOL, starting(), slices)
            mine = [await lease(store, "one"), await lease(store, "one")]
            theirs = await lease(store, "two")
            await store.checkpoint_slice(
                mine[0],
                Position(ALICE, "a"),
                Counts(1, 1, 1),
                lease_until_ms=NOW_MS + 50 * LEASE_MS,
            )
            await store.release_slices("one")
            await store.release_slices("nobody")
            again = [await lease(store, "two"), await lease(store, "two")]
            none = await store.lease_slice("two", now_ms=NOW_MS, lease_ms=LEASE_MS)

            assert none is None
            numbers = {each.slice.number for each in again}
            assert {each.slice.number for each in mine} == numbers
            assert theirs.slice.number not in numbers
            (resumed,) = [x for x in again if x.slice == mine[0].slice]
            assert (Position(ALICE, "a"), Counts(1, 1, 1)) == (
                resumed.position,
                resumed.counts,
            )

        self.play(tmp_path, scene)

    def test_slices_of_all_pools_are_leased(self, tmp_path: Path) -> None:
        """A worker serves whatever pool has work; a deleted pool has none."""

        async def scene(store: Store) -> None:
            for name in (OTHER_POOL, "us-east-1:d"):
                await store.create_identity_pool(a_pool(name), pools_max=9)
            for name in (POOL, OTHER_POOL, "us-east-1:d"):
                await store.start_bulk_publish(name, starting(), WHOLE)
            await store.delete_identity_pool("us-east-1:d")
            started = await store.count_bulk_publishes()
            leased = [await lease(store), await lease(store)]
            none = await store.lease_slice("two", now_ms=NOW_MS, lease_ms=LEASE_MS)
            await store.finish_slice(leased[0], finishing)

            assert none is None
            assert (started, await store.count_bulk_publishes()) == (2, 1)
            assert {POOL, OTHER_POOL} == {each.identity_pool_id for each in leased}

        self.play(tmp_path, scene)

    # --- Progress ---------------------------------------------------------------------

    def test_a_pool_without_a_run_has_no_slices(self, tmp_path: Path) -> None:
        """Before the first run there is a status alone; an unknown pool has nothing."""

        async def scene(store: Store) -> None:
            none = SlicedRun(Run(identity_pool_id=POOL), ())
            assert none == await store.find_sliced_run(POOL, now_ms=NOW_MS)
            assert await store.find_sliced_run(UNKNOWN_POOL, now_ms=NOW_MS) is None
            await store.delete_identity_pool(POOL)
            assert await store.find_sliced_run(POOL, now_ms=NOW_MS) is None

        self.play(tmp_path, scene)

    def test_slices_tell_how_far_they_are(self, tmp_path: Path) -> None:
        """By number: those that wait, those that are leased, those that are done."""
        slices = bulk_publish.cut_slices("us-east-1", 3)

        async def states(store: Store, now_ms: int) -> list[SliceState]:
            sliced = await store.find_sliced_run(POOL, now_ms=now_ms)
            assert sliced is not None
            return [each.state for each in sliced.slices]

        async def scene(store: Store) -> None:
            run = await store.start_bulk_publish(POOL, starting(), slices)
            assert await states(store, NOW_MS) == [SliceState.WAITING] * 3
            leased = {
                each.slice.number: each
                for each in [await lease(store), await lease(store)]
            }
            done, held = leased.values()
            until = NOW_MS + 5 * LEASE_MS
            for each, count in ((done, 1), (held, 4)):
                await store.checkpoint_slice(
                    each,
                    Position(ALICE, "a"),
                    Counts(count, count + 1, count + 2),
                    lease_until_ms=until,
                )
            await store.finish_slice(done, never)
            found = await store.find_sliced_run(POOL, now_ms=until - 1)

            expected = {
                done.slice.number: (SliceState.DONE, Counts(1, 2, 3)),
                held.slice.number: (SliceState.LEASED, Counts(4, 5, 6)),
            }
            assert found is not None
            assert run == found.run
            assert Counts(5, 7, 9) == found.delivered
            assert [each.number for each in found.slices] == [0, 1, 2]
            for part in found.slices:
                state, delivered = expected.get(
                    part.number, (SliceState.WAITING, Counts())
                )
                assert (state, delivered) == (part.state, part.delivered)
            late = await states(store, until)
            assert SliceState.WAITING is late[held.slice.number]
            assert SliceState.DONE is late[done.slice.number]
            await store.release_slices("one")
            released = await states(store, NOW_MS)
            assert SliceState.WAITING is released[held.slice.number]
            assert SliceState.DONE is released[done.slice.number]

        self.play(tmp_path, scene)

    def test_the_slices_of_a_failed_run_have_stopped(self, tmp_path: Path) -> None:
        """Done, leased or waiting before: nothing of the run goes on; counts stay."""

        async def scene(store: Store) -> None:
            slices = bulk_publish.cut_slices("us-east-1", 3)
            await store.start_bulk_publish(POOL, starting(), slices)
            first, second = await lease(store), await lease(store)
            await store.checkpoint_slice(
                second, Position(ALICE, "a"), Counts(1, 2, 3), lease_until_ms=2 * NOW_MS
            )
            await store.finish_slice(first, never)
            run = await store.fail_bulk_publish(second, failing)
            found = await store.find_sliced_run(POOL, now_ms=NOW_MS)

            assert found is not None
            assert run == found.run
            assert [each.state for each in found.slices] == [SliceState.STOPPED] * 3
            assert Counts(1, 2, 3) == found.delivered

        self.play(tmp_path, scene)

    # --- The end of a run -------------------------------------------------------------

    def test_a_run_is_finished_with_its_last_slice(self, tmp_path: Path) -> None:
        """`finish` runs once, when no slice is open any more."""

        async def scene(store: Store) -> None:
            slices = bulk_publish.cut_slices("us-east-1", 2)
            await store.start_bulk_publish(POOL, starting(), slices)
            first, second = await lease(store), await lease(store)
            await store.checkpoint_slice(
                first, Position(ALICE, "a"), Counts(1, 2, 3), lease_until_ms=NOW_MS + 1
            )
            half = await store.finish_slice(first, never)
            assert BulkPublishStatus.IN_PROGRESS is half.status
            assert half == await store.find_bulk_publish(POOL)
            progress = await store.find_bulk_publish_progress(POOL)
            assert BulkPublishProgress(Counts(1, 2, 3), 2, 1, 0) == progress

            whole = await store.finish_slice(second, finishing)
            assert finishing(half) == whole
            assert whole == await store.find_bulk_publish(POOL)
            late = NOW_MS + 99 * LEASE_MS
            none = await store.lease_slice("two", now_ms=late, lease_ms=1)
            assert none is None
            with pytest.raises(LeaseLostError):
                await store.finish_slice(first, finishing)

        self.play(tmp_path, scene)

    def test_a_slice_is_finished_with_what_it_reached(self, tmp_path: Path) -> None:
        """What no checkpoint has noted is noted with the end of it, or not at all."""

        async def scene(store: Store) -> None:
            slices = bulk_publish.cut_slices("us-east-1", 2)
            await store.start_bulk_publish(POOL, starting(), slices)
            first, second = await lease(store), await lease(store)

            async def finish(leased: LeasedSlice, act: Callable[[Run], Run]) -> None:
                await store.finish_slice(
                    leased, act, position=Position(ALICE, "a"), counts=Counts(1, 2, 3)
                )

            await finish(first, never)
            progress = await store.find_bulk_publish_progress(POOL)
            assert BulkPublishProgress(Counts(1, 2, 3), 2, 1, 0) == progress

            def refuse(run: Run) -> Run:
                raise LookupError("no")

            with pytest.raises(LookupError):
                await finish(second, refuse)
            with pytest.raises(LeaseLostError):
                await finish(first, never)
            assert progress == await store.find_bulk_publish_progress(POOL)

        self.play(tmp_path, scene)

    def test_what_finish_raises_leaves_the_slice_open(self, tmp_path: Path) -> None:
        """A `finish` that raises is rolled back with the mark on the slice."""

        def refuse(run: Run) -> Run:
            raise LookupError("no")

        async def scene(store: Store) -> None:
            await store.start_bulk_publish(POOL, starting(), WHOLE)
            leased = await lease(store)
            for method in (store.finish_slice, store.fail_bulk_publish):
                with pytest.raises(LookupError, match=r"^no$"):
                    await method(leased, refuse)

            done = await store.finish_slice(leased, finishing)
            assert BulkPublishStatus.SUCCEEDED is done.status

        self.play(tmp_path, scene)

    def test_a_failed_run_ends_for_all_workers(self, tmp_path: Path) -> None:
        """After a failure no slice can be leased, checkpointed or finished."""

        async def scene(store: Store) -> None:
            slices = bulk_publish.cut_slices("us-east-1", 3)
            started = await store.start_bulk_publish(POOL, starting(), slices)
            assert started is not None
            first, second = await lease(store), await lease(store, "two")
            run = await store.fail_bulk_publish(first, failing)

            assert failing(started) == run
            assert run == await store.find_bulk_publish(POOL)
            none = await store.lease_slice("two", now_ms=2 * NOW_MS, lease_ms=1)
            assert none is None
            with pytest.raises(LeaseLostError):
                await store.checkpoint_slice(second, None, Counts(), lease_until_ms=0)
            with pytest.raises(LeaseLostError):
                await store.finish_slice(second, never)
            with pytest.raises(LeaseLostError):
                await store.fail_bulk_publish(second, never)
            assert run == await store.find_bulk_publish(POOL)

        self.play(tmp_path, scene)

    def test_a_new_run_begins_afresh(self, tmp_path: Path) -> None:
        """It has its own slices, nothing of the old counts, and no old worker in it."""

        async def scene(store: Store) -> None:
            slices = bulk_publish.cut_slices("us-east-1", 3)
            await store.start_bulk_publish(POOL, starting(), slices)
            old = await lease(store)
            await store.checkpoint_slice(
                old, Position(ALICE, "a"), Counts(9, 9, 9), lease_until_ms=2 * NOW_MS
            )
            await store.fail_bulk_publish(old, failing)
            await store.start_bulk_publish(POOL, starting("run 2"), WHOLE)
            new = await lease(store)

            assert ("run 2", None, Counts()) == (new.run_id, new.position, new.counts)
            assert new.slices == 1
            with pytest.raises(LeaseLostError):
                await store.finish_slice(old, finishing)
            with pytest.raises(LeaseLostError):
                await store.checkpoint_slice(old, None, Counts(), lease_until_ms=0)
            with pytest.raises(LeaseLostError):
                await store.fail_bulk_publish(old, failing)
            progress = await store.find_bulk_publish_progress(POOL)
            assert BulkPublishProgress(Counts(), 1, 0, 0) == progress

        self.play(tmp_path, scene)

    # --- Scans ------------------------------------------------------------------------

    def test_a_snapshot_holds_the_live_records(self, tmp_path: Path) -> None:
        """Records stand in key order, as consumers of the stream are told."""
        texts = sorted(AWKWARD_TEXTS)
        records = [
            StoredRecord(key, key[::-1], 1, NOW_MS, "me", NOW_MS - n if n % 2 else None)
            for n, key in enumerate(texts)
        ]

        def decide(stored: StoredDataset) -> Changes:
            changes = deciding_to_put(dict.fromkeys(texts, ""))(stored)
            changes.records = records
            return changes

        async def scene(store: Store) -> None:
            await store.update_dataset(
                PREFS, keys=texts, session_id=None, decide=decide
            )
            await put(store, PREFS, {texts[3]: "new"}, now_ms=NOW_MS + 4)
            await put(store, PREFS, {texts[0]: None}, now_ms=NOW_MS + 5)
            await store.start_bulk_publish(POOL, starting(), WHOLE)
            (found,) = await scan_all(store, await lease(store))

            wanted = [
                KinesisSyncRecord(
                    key=each.key,
                    value=each.value,
                    sync_count=1,
                    last_modified_date=NOW_MS,
                    device_last_modified_date=(
                        each.device_last_modified_date_ms or NOW_MS
                    ),
                    op="replace",
                )
                for each in records
            ]
            wanted[3] = KinesisSyncRecord(
                texts[3], "new", 2, NOW_MS + 4, NOW_MS + 4, "replace"
            )
            decoded = msgspec.json.decode(
                found.records_json, type=list[KinesisSyncRecord]
            )
            assert wanted[1:] == decoded
            assert (found.identity_id, found.dataset_name) == (ALICE, "prefs")
            assert (found.sync_count, found.last_modified_date_ms) == (3, NOW_MS + 5)
            assert len(texts) - 1 == found.num_records

        self.play(tmp_path, scene)

    def test_a_dataset_without_live_records_is_scanned(self, tmp_path: Path) -> None:
        """It has an empty array; a deleted dataset is not there at all."""

        async def scene(store: Store) -> None:
            await put(store, PREFS, {"k": "v"})
            await put(store, PREFS, {"k": None})
            await put(store, DatasetId(POOL, ALICE, "gone"), {"k": "v"})
            await delete(store, DatasetId(POOL, ALICE, "gone"))
            await store.start_bulk_publish(POOL, starting(), WHOLE)
            found = await scan_all(store, await lease(store))
            progress = await store.find_bulk_publish_progress(POOL)

            assert [
                (each.dataset_name, each.num_records, each.records_json)
                for each in found
            ] == [("prefs", 0, b"[]")]
            assert progress is not None
            assert progress.datasets == 1

        self.play(tmp_path, scene)

    def test_slices_cover_every_identity_once(self, tmp_path: Path) -> None:
        """Whatever an id looks like, exactly one slice has it; scans are in order."""
        identities = [
            *(f"us-east-1:{n:02x}000000-0000" for n in range(0, 256, 5)),
            *(f"us-east-1:{n:02x}" for n in (0, 36, 37, 73, 109, 255)),
            *("eu-west-1:00", "us-west-2:ff", "A:0", "zz:0", "us-east-1:", "us-east-1"),
            "us-east-1:fffff",
        ]

        async def scene(store: Store) -> None:
            wanted = []
            for identity_id in identities:
                for name in ("b", "a"):
                    wanted.append((identity_id, name))
            await asyncio.gather(
                *(put(store, DatasetId(POOL, *names), {"k": "v"}) for names in wanted)
            )
            other = DatasetId(OTHER_POOL, ALICE, "prefs")
            await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
            await put(store, other, {"k": "v"})
            for count in (1, 2, 7, 16):
                slices = bulk_publish.cut_slices("us-east-1", count)
                run = starting(f"cut in {count}")
                await store.start_bulk_publish(POOL, run, slices)
                scanned = []
                for _ in range(count):
                    leased = await lease(store)
                    names = [
                        (each.identity_id, each.dataset_name)
                        for each in await scan_all(store, leased, limit=7)
                    ]
                    assert sorted(names) == names
                    scanned += names
                await store.fail_bulk_publish(leased, failing)

                assert sorted(wanted) == sorted(scanned)

        self.play(tmp_path, scene)

    def test_a_pool_is_scanned_without_a_run(self, tmp_path: Path) -> None:
        """A slice that nobody has leased is read like any other: all live datasets."""

        async def scene(store: Store) -> None:
            for dataset_id in (PREFS, DatasetId(POOL, BOB, "a")):
                await put(store, dataset_id, {"k": "v"})
            await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
            await put(store, DatasetId(OTHER_POOL, BOB, "a"), {"k": "v"})
            await put(store, DatasetId(POOL, BOB, "gone"), {"k": "v"})
            await delete(store, DatasetId(POOL, BOB, "gone"))
            found = await scan_all(store, bulk_publish.whole_pool(POOL), limit=1)

            assert [(each.identity_id, each.dataset_name) for each in found] == [
                (PREFS.identity_id, PREFS.dataset_name),
                (BOB, "a"),
            ]

        self.play(tmp_path, scene)

    def test_a_scan_is_bounded(self, tmp_path: Path) -> None:
        """It stops at `limit` datasets, and once `bytes_max` bytes were read."""

        async def scene(store: Store) -> None:
            for number in range(6):
                dataset_id = DatasetId(POOL, (ALICE, BOB)[number > 2], f"d{number}")
                await put(store, dataset_id, {"k": "\U0001f9c0" * 250})
            await store.start_bulk_publish(POOL, starting(), WHOLE)
            leased = await lease(store)

            async def count(limit: int, bytes_max: int) -> int:
                found = await store.scan_datasets(
                    leased, position=None, limit=limit, bytes_max=bytes_max
                )
                return len(found)

            size = len((await scan_all(store, leased))[0].records_json)
            assert size > 1000
            assert await count(2, 2**20) == 2
            assert await count(9, 1) == 1
            assert await count(9, size) == 1
            assert await count(9, size + 1) == 2
            assert await count(9, 3 * size) == 3
            assert len(await scan_all(store, leased, limit=2, bytes_max=1)) == 6
            assert len(await scan_all(store, leased, limit=4, bytes_max=2 * size)) == 6

        self.play(tmp_path, scene)

    def test_a_scan_goes_on_behind_a_position_that_is_gone(
        self, tmp_path: Path
    ) -> None:
        """A checkpoint at a dataset that was deleted since loses nothing."""

        async def scene(store: Store) -> None:
            for name in "abcd":
                await put(store, DatasetId(POOL, ALICE, name), {"k": "v"})
            await delete(store, DatasetId(POOL, ALICE, "b"))
            await store.start_bulk_publish(POOL, starting(), WHOLE)
            found = await store.scan_datasets(
                await lease(store),
                position=Position(ALICE, "b"),
                limit=9,
                bytes_max=2**20,
            )

            assert [each.dataset_name for each in found] == ["c", "d"]

        self.play(tmp_path, scene)
