"""GetBulkPublishProgress: how far a bulk publish has got."""

from __future__ import annotations

from millpond.contract import cognito_sync
from millpond.contract import streaming as contract
from millpond.contract.streaming import (
    GetBulkPublishProgressRequest,
    GetBulkPublishProgressResponse,
)
from millpond.core.bulk_publish import BulkPublishStatus
from millpond.core.bulk_publish_progress import (
    SliceProgress,
    estimate_remaining_s,
)
from millpond.service.context import Caller, Context
from millpond.service.refusals import pool_not_found
from millpond.service.times import epoch_seconds


async def get_bulk_publish_progress(
    context: Context, caller: Caller, request: GetBulkPublishProgressRequest
) -> GetBulkPublishProgressResponse:
    """Tell how far the last run has got, and how fast it goes."""
    pool_id = request.identity_pool_id
    sliced = await context.store.find_sliced_run(pool_id, now_ms=context.now_ms())
    if sliced is None:
        raise pool_not_found(pool_id)
    run, delivered = sliced.run, sliced.delivered
    status: cognito_sync.BulkPublishStatus = run.status.value
    if run.status is BulkPublishStatus.NOT_STARTED:
        return GetBulkPublishProgressResponse(
            identity_pool_id=pool_id, bulk_publish_status=status
        )
    now_ms = context.now_ms()  # of a look that is later than any before
    speed = context.progress_looks.look(sliced, now_ms=now_ms)
    datasets = await context.progress_looks.count_datasets(
        context.store, pool_id, now_ms=now_ms
    )
    if datasets is None:  # the pool was deleted meanwhile
        raise pool_not_found(pool_id)
    remaining_s = None
    if run.status is BulkPublishStatus.IN_PROGRESS:
        remaining_s = estimate_remaining_s(
            speed, delivered=delivered.datasets, datasets=datasets
        )
    return GetBulkPublishProgressResponse(
        identity_pool_id=pool_id,
        bulk_publish_status=status,
        stream_name=run.stream_name,
        bulk_publish_start_time=epoch_seconds(run.start_time_ms),
        bulk_publish_complete_time=epoch_seconds(run.complete_time_ms),
        failure_message=run.failure_message,
        datasets_delivered=delivered.datasets,
        records_delivered=delivered.records,
        bytes_delivered=delivered.data_bytes,
        dataset_count=datasets,
        records_per_second=None if speed is None else round(speed.records, 3),
        seconds_remaining=remaining_s,
        slices=[_slice(each) for each in sliced.slices],
    )


def _slice(each: SliceProgress) -> contract.SliceProgress:
    return contract.SliceProgress(
        slice_number=each.number + 1,
        slice_status=each.state.value,
        datasets_delivered=each.delivered.datasets,
        records_delivered=each.delivered.records,
        bytes_delivered=each.delivered.data_bytes,
    )
