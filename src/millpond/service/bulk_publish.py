"""Bulk publish: BulkPublish and GetBulkPublishDetails."""

from __future__ import annotations

from millpond.contract.cognito_sync import (
    BulkPublishRequest,
    BulkPublishResponse,
    GetBulkPublishDetailsRequest,
    GetBulkPublishDetailsResponse,
)
from millpond.core import bulk_publish as rules
from millpond.core.bulk_publish import BulkPublishRun
from millpond.core.identity_pools import IdentityPool, StreamConfiguration
from millpond.service.context import Caller, Context
from millpond.service.refusals import pool_not_found
from millpond.service.times import epoch_seconds


async def bulk_publish(
    context: Context, caller: Caller, request: BulkPublishRequest
) -> BulkPublishResponse:
    """Start a run, if one may start; a worker does the rest."""
    now_ms = context.now_ms()
    run_id = str(context.new_uuid())

    def decide(pool: IdentityPool, last: BulkPublishRun) -> BulkPublishRun:
        stream = pool.stream or StreamConfiguration()
        return rules.start(
            last,
            run_id=run_id,
            stream=stream,
            now_ms=now_ms,
            pause_s=context.settings.bulk_publish_pause_s,
        )

    slices = await context.store.cut_bulk_publish(
        context.settings.region, context.settings.bulk_publish_slices
    )
    run = await context.store.start_bulk_publish(
        request.identity_pool_id, decide, slices
    )
    if run is None:
        raise pool_not_found(request.identity_pool_id)
    context.bulk_publish_started.send()
    return BulkPublishResponse(identity_pool_id=run.identity_pool_id)


async def get_bulk_publish_details(
    context: Context, caller: Caller, request: GetBulkPublishDetailsRequest
) -> GetBulkPublishDetailsResponse:
    """
    Tell how the last run went. A member is present with its status alone (ruling 17).
    """
    run = await context.store.find_bulk_publish(request.identity_pool_id)
    if run is None:
        raise pool_not_found(request.identity_pool_id)
    return GetBulkPublishDetailsResponse(
        identity_pool_id=run.identity_pool_id,
        bulk_publish_start_time=epoch_seconds(run.start_time_ms),
        bulk_publish_complete_time=epoch_seconds(run.complete_time_ms),
        bulk_publish_status=run.status.value,
        failure_message=run.failure_message,
    )
