"""Bulk-publish runs and slices as rows, which all stores keep alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from millpond.core.bulk_publish import (
    BulkPublishRun,
    Counts,
    HashRange,
    LeasedSlice,
    Position,
    Slice,
)
from millpond.core.bulk_publish_progress import SliceProgress, slice_progress

encode_run = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(BulkPublishRun).decode


def read_run(identity_pool_id: str, stored: bytes | None) -> BulkPublishRun:
    """Read a run back; None stands for that of a pool that never had one."""
    if stored is None:
        return BulkPublishRun(identity_pool_id=identity_pool_id)
    return _decode(stored)


def with_counts(run: BulkPublishRun, counted: Sequence[Any]) -> BulkPublishRun:
    """
    Tell a run what it has delivered.

    Args:
        counted: slices, those that are open, and the sums of their counts.
    """
    _, _, *counts = counted
    return msgspec.structs.replace(run, delivered=Counts(*counts))


def slice_key(leased: LeasedSlice) -> tuple[str, int, str, int]:
    """Name a slice as its worker knows it: pool, number, run and fence."""
    return (
        leased.identity_pool_id,
        leased.slice.number,
        leased.run_id,
        leased.fence,
    )


def checkpoint_row(
    leased: LeasedSlice,
    position: Position | None,
    counts: Counts,
    *,
    lease_until_ms: int,
) -> tuple[str | int | None, ...]:
    """Bind what `checkpoint_slice` asks for."""
    return (
        *slice_key(leased),
        None if position is None else position.identity_id,
        None if position is None else position.dataset_name,
        counts.datasets,
        counts.records,
        counts.data_bytes,
        lease_until_ms,
    )


def to_leased(
    row: Any, run: BulkPublishRun, *, slices: int, hashes: HashRange | None = None
) -> LeasedSlice:
    """
    Make a slice that was just leased.

    Args:
        row: pool, number, run id, bounds, fence, position, counts.
    """
    pool, number, run_id, first, end, fence, identity, dataset, *counts = row
    return LeasedSlice(
        identity_pool_id=pool,
        run_id=run_id,
        stream_name=run.stream_name,
        stream_switches=run.stream_switches,
        stream_mark=run.stream_mark,
        start_time_ms=run.start_time_ms or 0,
        slice=Slice(number, first, end, hashes),
        slices=slices,
        fence=fence,
        position=None if identity is None else Position(identity, dataset),
        counts=Counts(*counts),
    )


def to_progress(row: Any, run: BulkPublishRun, *, now_ms: int) -> SliceProgress:
    """
    Say how far a slice is.

    Args:
        row: number, whether it is open, end of the lease, counts.
    """
    number, is_open, lease_until_ms, *counts = row
    return slice_progress(
        run,
        number,
        Counts(*counts),
        is_open=bool(is_open),
        lease_until_ms=lease_until_ms,
        now_ms=now_ms,
    )
