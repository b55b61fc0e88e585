"""GetStreamDetails: how the stream of a pool fares, and what waits for it."""

from __future__ import annotations

from millpond.contract.cognito_sync import CognitoStreams
from millpond.contract.streaming import (
    GetStreamDetailsRequest,
    GetStreamDetailsResponse,
)
from millpond.core.identity_pools import StreamConfiguration
from millpond.service.configuration import get_pool, show_stream
from millpond.service.context import Caller, Context
from millpond.service.times import epoch_seconds
from millpond.sinks.base import sink_url


async def get_stream_details(
    context: Context, caller: Caller, request: GetStreamDetailsRequest
) -> GetStreamDetailsResponse:
    """Tell what is known of the stream and of its outbox."""
    pool = await get_pool(context, request.identity_pool_id)
    usage = await context.store.measure_outbox(pool.identity_pool_id)
    stream = pool.stream or StreamConfiguration()
    shown = show_stream(pool.stream) or CognitoStreams()
    age_s = None
    if usage.oldest_ms is not None:
        age_s = max(0, context.now_ms() - usage.oldest_ms) // 1000
    return GetStreamDetailsResponse(
        identity_pool_id=pool.identity_pool_id,
        stream_name=shown.stream_name,
        streaming_status=shown.streaming_status,
        sink_scheme=_scheme(context, stream.stream_name),
        outbox_entry_count=usage.entries,
        parked_entry_count=usage.parked,
        oldest_entry_age_seconds=age_s,
        disabled_reason=stream.disabled_reason,
        disabled_date=epoch_seconds(stream.disabled_date_ms),
    )


def _scheme(context: Context, stream_name: str | None) -> str | None:
    """Name what is behind a stream, and nothing else: a URL may hold a password."""
    if stream_name is None:
        return None
    return sink_url(context.settings.streams, stream_name).partition(":")[0].lower()
