"""Bulk-publish runs and slices in the embedded store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from millpond.core.bulk_publish import (
    BulkPublishRun,
    Counts,
    LeasedSlice,
    Position,
    Slice,
    cut_slices,
)
from millpond.core.bulk_publish_progress import (
    SlicedRun,
)
from millpond.core.identity_pools import IdentityPool
from millpond.errors import LeaseLostError
from millpond.stores.base import BulkPublishProgress, DatasetSnapshot
from millpond.stores.runs import (
    checkpoint_row,
    encode_run,
    read_run,
    slice_key,
    to_leased,
    to_progress,
    with_counts,
)
from millpond.stores.sqlite import identity_pools
from millpond.stores.sqlite.database import Database, Reader, Writer
from millpond.stores.sqlite.queries import Queries

SQL: Final = Queries("bulk_publish.sql")
_FIND_RUN_OF_POOL: Final = SQL.find_run_of_pool
AFTER_EVERY_ID: Final = "\U0010ffff"  # an id is ASCII


class BulkPublishes:
    """The `BulkPublishStore` part of the port."""

    database: Database

    async def cut_bulk_publish(self, region: str, count: int) -> Sequence[Slice]:
        with self.database.reading("cut_bulk_publish"):
            return cut_slices(region, count)

    async def start_bulk_publish(
        self,
        identity_pool_id: str,
        decide: Callable[[IdentityPool, BulkPublishRun], BulkPublishRun],
        slices: Sequence[Slice],
    ) -> BulkPublishRun | None:
        def job(db: Writer) -> BulkPublishRun | None:
            pool = identity_pools.find(db, identity_pool_id)
            if pool is None:
                return None
            last = _find_run(db, identity_pool_id)
            run = decide(pool, with_counts(last, _count_slices(db, identity_pool_id)))
            db.execute(SQL.put_run, (identity_pool_id, encode_run(run)))
            db.execute(SQL.drop_slices, (identity_pool_id,))
            db.executemany(
                SQL.create_slice,
                [
                    (identity_pool_id, each.number, run.run_id, each.first, each.end)
                    for each in slices
                ],
            )
            return run

        return await self.database.write(job)

    async def find_bulk_publish(self, identity_pool_id: str) -> BulkPublishRun | None:
        rows = self.database.look(
            "find_bulk_publish", _FIND_RUN_OF_POOL, (identity_pool_id,)
        )
        return read_run(identity_pool_id, rows[0][0]) if rows else None

    async def find_bulk_publish_progress(
        self, identity_pool_id: str
    ) -> BulkPublishProgress | None:
        def job(cursor: Reader) -> BulkPublishProgress | None:
            if identity_pools.find(cursor, identity_pool_id) is None:
                return None
            slices, still_open, *counts = _count_slices(cursor, identity_pool_id)
            ((datasets,),) = cursor.execute(
                SQL.count_pool_datasets, (identity_pool_id,)
            ).fetchall()
            return BulkPublishProgress(
                Counts(*counts), slices, slices - still_open, datasets
            )

        return await self.database.read_slowly("find_bulk_publish_progress", job)

    async def count_bulk_publishes(self) -> int:
        ((count,),) = self.database.look(
            "count_bulk_publishes", SQL.count_bulk_publishes, ()
        )
        return int(count)

    async def find_sliced_run(
        self, identity_pool_id: str, *, now_ms: int
    ) -> SlicedRun | None:
        pool = (identity_pool_id,)
        with self.database.reading("find_sliced_run") as cursor:
            rows = cursor.execute(_FIND_RUN_OF_POOL, pool).fetchall()
            if not rows:
                return None
            run = read_run(identity_pool_id, rows[0][0])
            slices = cursor.execute(SQL.list_slices, pool).fetchall()
        return SlicedRun(
            run, tuple(to_progress(row, run, now_ms=now_ms) for row in slices)
        )

    async def lease_slice(
        self, worker: str, *, now_ms: int, lease_ms: int
    ) -> LeasedSlice | None:
        def job(db: Writer) -> LeasedSlice | None:
            rows = db.execute(SQL.lease_slice, (worker, now_ms, lease_ms)).fetchall()
            return _leased(db, rows[0]) if rows else None

        return await self.database.write(job)

    async def checkpoint_slice(
        self,
        leased: LeasedSlice,
        position: Position | None,
        counts: Counts,
        *,
        lease_until_ms: int,
    ) -> None:
        row = checkpoint_row(leased, position, counts, lease_until_ms=lease_until_ms)

        def job(db: Writer) -> None:
            if not db.execute(SQL.checkpoint_slice, row).fetchall():
                raise _lost(leased)

        await self.database.write(job)

    async def change_bulk_publish(
        self,
        leased: LeasedSlice,
        change: Callable[[BulkPublishRun], BulkPublishRun],
    ) -> BulkPublishRun:
        def job(db: Writer) -> BulkPublishRun:
            if not db.execute(SQL.hold_slice, slice_key(leased)).fetchall():
                raise _lost(leased)
            return _put_run(db, change(_find_run(db, leased.identity_pool_id)))

        return await self.database.write(job)

    async def finish_slice(
        self,
        leased: LeasedSlice,
        finish: Callable[[BulkPublishRun], BulkPublishRun],
        *,
        position: Position | None = None,
        counts: Counts | None = None,
    ) -> BulkPublishRun:
        def job(db: Writer) -> BulkPublishRun:
            if counts is not None:
                row = checkpoint_row(leased, position, counts, lease_until_ms=0)
                db.execute(SQL.checkpoint_slice, row)
            run = _close_slice(db, leased)
            return run if _count_open(db, leased) else _put_run(db, finish(run))

        return await self.database.write(job)

    async def close_slice(self, leased: LeasedSlice) -> bool:
        def job(db: Writer) -> bool:
            if _count_open(db, leased) < 2:
                return False
            _close_slice(db, leased)
            return True

        return await self.database.write(job)

    async def postpone_slice(self, leased: LeasedSlice, *, until_ms: int) -> None:
        key = slice_key(leased)

        def job(db: Writer) -> None:
            if not db.execute(SQL.postpone_slice, (*key, until_ms)).fetchall():
                raise _lost(leased)

        await self.database.write(job)

    async def fail_bulk_publish(
        self,
        leased: LeasedSlice,
        fail: Callable[[BulkPublishRun], BulkPublishRun],
    ) -> BulkPublishRun:
        def job(db: Writer) -> BulkPublishRun:
            run = _close_slice(db, leased)
            db.execute(SQL.close_slices, (leased.identity_pool_id, leased.run_id))
            return _put_run(db, fail(run))

        return await self.database.write(job)

    async def release_slices(self, worker: str) -> None:
        await self.database.write(lambda db: db.execute(SQL.release_slices, (worker,)))

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
            leased.slice.end or AFTER_EVERY_ID,
            limit,
        )

        def job(cursor: Reader) -> list[DatasetSnapshot]:
            found: list[DatasetSnapshot] = []
            size = 0
            for row in cursor.execute(SQL.scan_datasets, bounds):
                identity, name, count, modified, records, encoded = row
                found.append(
                    DatasetSnapshot(identity, name, count, modified, records, encoded)
                )
                size += len(encoded)
                if size >= bytes_max:
                    break
            return found

        return await self.database.read_slowly("scan_datasets", job)


def _find_run(db: Reader, identity_pool_id: str) -> BulkPublishRun:
    rows = db.execute(SQL.find_run, (identity_pool_id,)).fetchall()
    return read_run(identity_pool_id, rows[0][0] if rows else None)


def _put_run(db: Writer, run: BulkPublishRun) -> BulkPublishRun:
    db.execute(SQL.put_run, (run.identity_pool_id, encode_run(run)))
    return run


def _close_slice(db: Writer, leased: LeasedSlice) -> BulkPublishRun:
    """Close a slice that its worker still holds; give the run it belongs to."""
    if not db.execute(SQL.close_slice, slice_key(leased)).fetchall():
        raise _lost(leased)
    return _find_run(db, leased.identity_pool_id)


def _count_open(db: Reader, leased: LeasedSlice) -> int:
    """Count the slices of a run that are not done."""
    return _count_slices(db, leased.identity_pool_id)[1]


def _count_slices(db: Reader, identity_pool_id: str) -> tuple[int, ...]:
    """Count slices, those that are open, and what they have delivered."""
    (counted,) = db.execute(SQL.count_slices, (identity_pool_id,)).fetchall()
    return tuple(counted)


def _lost(leased: LeasedSlice) -> LeaseLostError:
    return LeaseLostError(f"slice {leased.slice.number} was taken over")


def _leased(db: Writer, row: Sequence[Any]) -> LeasedSlice:
    run = _find_run(db, row[0])
    ((slices, *_),) = db.execute(SQL.count_slices, (row[0],)).fetchall()
    return to_leased(row, run, slices=slices)
