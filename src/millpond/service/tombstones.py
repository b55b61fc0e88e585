"""Dropping tombstones: those over the limit of a dataset, and those that expired."""

from __future__ import annotations

from typing import Final

from millpond import limits
from millpond.core import sync
from millpond.core.sync import DatasetId
from millpond.service.context import Context

ROWS_MAX: Final = 1000  # per transaction, so that writers hardly wait
DATASETS_MAX: Final = 100  # looked up at a time


async def drop_oldest(context: Context, dataset_id: DatasetId) -> None:
    """Drop the oldest tombstones of a dataset, those over its limit."""
    dropped = ROWS_MAX
    while dropped == ROWS_MAX:
        dropped = await context.store.drop_tombstones(
            dataset_id,
            modified_before_ms=limits.LONG_MAX,
            keep=context.limits.tombstones_per_dataset,
            limit=ROWS_MAX,
            forget=sync.forget,
        )
        context.metrics.tombstones_dropped.labels("number").inc(dropped)


async def expire(context: Context) -> int:
    """Drop some of the tombstones that have expired; return how many."""
    before_ms = context.now_ms() - context.settings.tombstone_lifetime_s * 1000
    found = await context.store.list_expired_tombstones(
        modified_before_ms=before_ms, limit=DATASETS_MAX
    )
    total = 0
    for dataset_id in found:
        if total >= ROWS_MAX:
            break
        dropped = await context.store.drop_tombstones(
            dataset_id,
            modified_before_ms=before_ms,
            keep=0,
            limit=ROWS_MAX,
            forget=sync.forget,
        )
        context.metrics.tombstones_dropped.labels("age").inc(dropped)
        total += dropped
    return total
