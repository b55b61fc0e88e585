"""Bulk-publish runs and slices in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from millpond.core.bulk_publish import (
    BulkPublishRun,
    Counts,
    HashRange,
    LeasedSlice,
    Position,
    Slice,
    cut_shards,
    cut_slices,
)
from millpond.core.bulk_publish_progress import (
    SlicedRun,
)
from millpond.core.identity_pools import IdentityPool
from millpond.errors import LeaseLostError
from millpond.stores.base import BulkPublishProgress, DatasetSnapshot
from millpond.stores.postgres import identity_pools
from millpond.stores.postgres.database import Database, Session
from millpond.stores.postgres.queries import Queries
from millpond.stores.postgres.shards import Question, Shards
from millpond.stores.runs import (
    checkpoint_row,
    encode_run,
    read_run,
    slice_key,
    to_leased,
    to_progress,
    with_counts,
)

SQL: Final = Queries("bulk_publish.sql")
CANDIDATES_MAX: Final = 8  # slices to try for, when others try at the same moment
CLOCK_SKEW_MS_MAX: Final = 60_000  # between two nodes
TRIES_MAX: Final = 50
_DATASETS: Final = Question(
    "scan_datasets",
    SQL.scan_datasets,
    ("datasets", "records"),
    "identity_id text, dataset_name text, sync_count bigint, "
    "last_modified_date_ms bigint, num_records bigint, records_json bytea",
)
_POOL_DATASETS: Final = Question(
    "count_pool_datasets", SQL.count_pool_datasets, ("datasets",), "count bigint"
)


class BulkPublishes:
    """The `BulkPublishStore` part of the port."""

    database: Database
    shards: Shards

    async def cut_bulk_publish(self, region: str, count: int) -> Sequence[Slice]:
        if not self.database.is_spread:
            with self.database.accepted("cut_bulk_publish"):
                return cut_slices(region, count)
        shards = [
            HashRange(each.lowest, each.highest)
            for each in await self.shards.find_all()
        ]
        return cut_shards(region, count, shards)

    async def start_bulk_publish(
        self,
        identity_pool_id: str,
        decide: Callable[[IdentityPool, BulkPublishRun], BulkPublishRun],
        slices: Sequence[Slice],
    ) -> BulkPublishRun | None:
        async def job(db: Session) -> BulkPublishRun | None:
            pool = await identity_pools.find(db, identity_pool_id)
            if pool is None:
                return None
            none_yet = BulkPublishRun(identity_pool_id=identity_pool_id)
            await db.run(SQL.begin_runs, identity_pool_id, encode_run(none_yet))
            last = await _find_run_to_change(db, identity_pool_id)
            counted = await db.row(SQL.count_slices, identity_pool_id)
            run = await _put_run(db, decide(pool, with_counts(last, counted)))
            await db.run(SQL.drop_slices, identity_pool_id)
            ids = (identity_pool_id, run.run_id)
            await db.run_many(
                SQL.create_slice, [(*ids, *_row(each)) for each in slices]
            )
            return run

        return await self.database.write("start_bulk_publish", job)

    async def find_bulk_publish(self, identity_pool_id: str) -> BulkPublishRun | None:
        async with self.database.session("find_bulk_publish") as db:
            row = await db.row(SQL.find_run_of_pool, identity_pool_id)
        return None if row is None else read_run(identity_pool_id, row["run"])

    async def find_bulk_publish_progress(
        self, identity_pool_id: str
    ) -> BulkPublishProgress | None:
        async with self.database.moment("find_bulk_publish_progress") as db:
            if await identity_pools.find(db, identity_pool_id) is None:
                return None
            slices, still_open, *counts = await db.row(
                SQL.count_slices, identity_pool_id
            )
        parts = await self.shards.look(_POOL_DATASETS, identity_pool_id)
        datasets = sum(count for (count,) in parts)
        return BulkPublishProgress(
            Counts(*counts), slices, slices - still_open, datasets
        )

    async def count_bulk_publishes(self) -> int:
        async with self.database.session("count_bulk_publishes") as db:
            return int(await db.value(SQL.count_bulk_publishes))

    async def find_sliced_run(
        self, identity_pool_id: str, *, now_ms: int
    ) -> SlicedRun | None:
        async with self.database.moment("find_sliced_run") as db:
            row = await db.row(SQL.find_run_of_pool, identity_pool_id)
            if row is None:
                return None
            run = read_run(identity_pool_id, row["run"])
            slices = await db.rows(SQL.list_slices, identity_pool_id)
        return SlicedRun(
            run, tuple(to_progress(each, run, now_ms=now_ms) for each in slices)
        )

    async def lease_slice(
        self, worker: str, *, now_ms: int, lease_ms: int
    ) -> LeasedSlice | None:
        until_ms = now_ms + lease_ms
        async with self.database.session("lease_slice") as db:
            for _ in range(TRIES_MAX):
                # Nodes' clocks differ a little; one that was set back, by more.
                bounds = (now_ms, until_ms + CLOCK_SKEW_MS_MAX, CANDIDATES_MAX)
                free = await db.rows(SQL.list_free_slices, *bounds)
                if not free:
                    return None
                for key in free:
                    row = await db.row(SQL.lease_slice, *key, worker, until_ms)
                    if row is not None:
                        return await _leased(db, row)
        return None  # others are faster; there is another step

    async def checkpoint_slice(
        self,
        leased: LeasedSlice,
        position: Position | None,
        counts: Counts,
        *,
        lease_until_ms: int,
    ) -> None:
        async with self.database.session("checkpoint_slice") as db:
            row = checkpoint_row(
                leased, position, counts, lease_until_ms=lease_until_ms
            )
            kept = await db.run(SQL.checkpoint_slice, *row)
        if not kept:
            raise _lost(leased)

    async def change_bulk_publish(
        self,
        leased: LeasedSlice,
        change: Callable[[BulkPublishRun], BulkPublishRun],
    ) -> BulkPublishRun:
        async def job(db: Session) -> BulkPublishRun:
            run = await _find_run_to_change(db, leased.identity_pool_id)
            if not await db.rows(SQL.hold_slice, *slice_key(leased)):
                raise _lost(leased)
            return await _put_run(db, change(run))

        return await self.database.write("change_bulk_publish", job)

    async def finish_slice(
        self,
        leased: LeasedSlice,
        finish: Callable[[BulkPublishRun], BulkPublishRun],
        *,
        position: Position | None = None,
        counts: Counts | None = None,
    ) -> BulkPublishRun:
        async def job(db: Session) -> BulkPublishRun:
            if counts is not None:
                # The run first, as everywhere, or two could wait for each other.
                await _find_run_to_change(db, leased.identity_pool_id)
                reached = checkpoint_row(leased, position, counts, lease_until_ms=0)
                await db.run(SQL.checkpoint_slice, *reached)
            run = await _close_slice(db, leased)
            row = await db.row(SQL.count_slices, leased.identity_pool_id)
            return run if row["open"] else await _put_run(db, finish(run))

        return await self.database.write("finish_slice", job)

    async def close_slice(self, leased: LeasedSlice) -> bool:
        async def job(db: Session) -> bool:
            await _find_run_to_change(db, leased.identity_pool_id)
            row = await db.row(SQL.count_slices, leased.identity_pool_id)
            if row["open"] < 2:
                return False
            await _close_slice(db, leased)
            return True

        return await self.database.write("close_slice", job)

    async def postpone_slice(self, leased: LeasedSlice, *, until_ms: int) -> None:
        async with self.database.session("postpone_slice") as db:
            kept = await db.run(SQL.postpone_slice, *slice_key(leased), until_ms)
        if not kept:
            raise _lost(leased)

    async def fail_bulk_publish(
        self,
        leased: LeasedSlice,
        fail: Callable[[BulkPublishRun], BulkPublishRun],
    ) -> BulkPublishRun:
        async def job(db: Session) -> BulkPublishRun:
            run = await _close_slice(db, leased)
            await db.run(SQL.close_slices, leased.identity_pool_id, leased.run_id)
            return await _put_run(db, fail(run))

        return await self.database.write("fail_bulk_publish", job)

    async def release_slices(self, worker: str) -> None:
        async with self.database.session("release_slices") as db:
            await db.run(SQL.release_slices, worker)

    async def scan_datasets(
        self,
        leased: LeasedSlice,
        *,
        position: Position | None,
        limit: int,
        bytes_max: int,
    ) -> list[DatasetSnapshot]:
        behind = position or Position(leased.slice.first or "", "")
        bounds = (
            leased.identity_pool_id,
            behind.identity_id,
            behind.dataset_name,
            leased.slice.end,
            limit,
            bytes_max,
        )
        rows = await self.shards.look_at(leased.slice.hashes, _DATASETS, *bounds)
        # Of one server they are in order; a slice that is not of a shard has several.
        rows.sort(key=lambda row: (row["identity_id"], row["dataset_name"]))
        found: list[DatasetSnapshot] = []
        size = 0
        for row in rows[:limit]:
            found.append(DatasetSnapshot(*row))
            size += len(found[-1].records_json)
            if size >= bytes_max:
                break
        return found


def _row(slice: Slice) -> tuple[int | str | None, ...]:
    hashes = slice.hashes
    bounds = (None, None) if hashes is None else (hashes.lowest, hashes.highest)
    return (slice.number, slice.first, slice.end, *bounds)


async def _find_run_to_change(db: Session, identity_pool_id: str) -> BulkPublishRun:
    """Find a run and let nobody else change it, or its slices' number, meanwhile."""
    stored = await db.value(SQL.find_run_to_change, identity_pool_id)
    return read_run(identity_pool_id, stored)


async def _put_run(db: Session, run: BulkPublishRun) -> BulkPublishRun:
    await db.run(SQL.put_run, run.identity_pool_id, encode_run(run))
    return run


async def _close_slice(db: Session, leased: LeasedSlice) -> BulkPublishRun:
    """Close a slice that its worker still holds; give the run it belongs to."""
    # The run first: of two that close the last two slices, one has to see the other's.
    run = await _find_run_to_change(db, leased.identity_pool_id)
    if not await db.run(SQL.close_slice, *slice_key(leased)):
        raise _lost(leased)
    return run


def _lost(leased: LeasedSlice) -> LeaseLostError:
    return LeaseLostError(f"slice {leased.slice.number} was taken over")


async def _leased(db: Session, row: Any) -> LeasedSlice:
    *row, lowest, highest = row
    pool = row[0]
    run = read_run(pool, await db.value(SQL.find_run, pool))
    slices = await db.value(SQL.count_slices, pool)
    hashes = None if lowest is None else HashRange(lowest, highest)
    return to_leased(row, run, slices=slices, hashes=hashes)
