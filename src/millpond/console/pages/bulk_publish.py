"""
The bulk publish of a pool: start one, see how it goes, and how the last ones went.

Words are those of GetBulkPublishDetails and GetBulkPublishProgress, and a start that
would be refused is refused in the API's own words before anybody tries.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import msgspec

from millpond.console import looking
from millpond.console.base import (
    Ask,
    Console,
    Done,
    Shown,
    Viewer,
    action,
    link,
    live,
    page,
)
from millpond.contract import cognito_sync, streaming
from millpond.core import bulk_publish as rules
from millpond.core.bulk_publish import BulkPublishRun, BulkPublishStatus, EarlierRun
from millpond.core.identity_pools import IdentityPool, StreamConfiguration
from millpond.errors import ServiceException

LOOK_S: Final = 1.0  # between two looks at a run that somebody watches
REFRESH_S: Final = 3  # for whoever has no script
_START: Final = cognito_sync.API.by_name["BulkPublish"]
_PROGRESS: Final = streaming.API.by_name["GetBulkPublishProgress"]


async def show_bulk_publish(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show the last run of a pool, those before it, and whether one may start."""
    pool = await looking.get_pool(console, ask.path["pool"])
    pool_id = pool.identity_pool_id
    store = console.context.store
    run = await store.find_bulk_publish(pool_id) or BulkPublishRun(
        identity_pool_id=pool_id
    )
    stream = pool.stream or StreamConfiguration()
    progress = await _look(console, viewer, pool_id)
    is_running = progress["bulk_publish_status"] == BulkPublishStatus.IN_PROGRESS
    return Shown(
        title="Bulk publish",
        crumbs=[
            ("Pools", link("/pools")),
            (pool.identity_pool_name, link("/pools/{pool}", pool=pool_id)),
        ],
        data={
            "identity_pool_id": pool_id,
            "identity_pool_name": pool.identity_pool_name,
            "stream_name": stream.stream_name,
            "streaming_status": stream.streaming_status,
            "disabled_reason": stream.disabled_reason,
            "progress": progress,
            "refusal": _refusal(console, pool, run),
            "bulk_publish_pause_s": console.context.settings.bulk_publish_pause_s,
            "earlier": [_earlier(each) for each in run.earlier],
            "is_running": is_running,
        },
        refresh_s=REFRESH_S if is_running else 0,
    )


async def start_bulk_publish(
    console: Console, viewer: Viewer, ask: Ask
) -> Done | Shown:
    """Start a run, as BulkPublish does."""
    pool_id = ask.path["pool"]
    request = cognito_sync.BulkPublishRequest(identity_pool_id=pool_id)
    await console.call(viewer, _START, request)
    here = link("/pools/{pool}/publish", pool=pool_id)
    return Done(here, "The bulk publish has started.")


async def watch_bulk_publish(
    console: Console, viewer: Viewer, ask: Ask
) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
    """Tell how the run goes whenever that has changed, until it is over."""
    shown: dict[str, Any] | None = None
    while True:
        progress = await _look(console, viewer, ask.path["pool"])
        if progress["bulk_publish_status"] != BulkPublishStatus.IN_PROGRESS:
            yield "end", progress
            return
        if progress != shown:
            shown = progress
            yield "part", progress
        await asyncio.sleep(LOOK_S)


async def _look(console: Console, viewer: Viewer, pool_id: str) -> dict[str, Any]:
    request = streaming.GetBulkPublishProgressRequest(identity_pool_id=pool_id)
    answer = await console.call(viewer, _PROGRESS, request)
    counts = dict.fromkeys(("WAITING", "LEASED", "DONE", "STOPPED"), 0)
    for each in answer.slices or ():
        counts[each.slice_status] += 1
    return {
        **{
            name: value
            for name, value in msgspec.structs.asdict(answer).items()
            if not name.endswith("_time")
        },
        "bulk_publish_start_time_ms": _ms(answer.bulk_publish_start_time),
        "bulk_publish_complete_time_ms": _ms(answer.bulk_publish_complete_time),
        "slices": [msgspec.structs.asdict(each) for each in answer.slices or ()],
        "slice_counts": counts,
        "done": _part_done(answer),
    }


def _part_done(answer: streaming.GetBulkPublishProgressResponse) -> float | None:
    """Say which part of the run is done, 0 to 1; None: nobody knows."""
    if answer.bulk_publish_status == BulkPublishStatus.SUCCEEDED:
        return 1.0
    if not answer.dataset_count or answer.datasets_delivered is None:
        return None
    # What was deleted meanwhile is not counted any more, and was delivered.
    return min(answer.datasets_delivered / answer.dataset_count, 1.0)


def _refusal(console: Console, pool: IdentityPool, run: BulkPublishRun) -> str | None:
    """Say what BulkPublish would say now; None: it would start."""
    context = console.context
    try:
        rules.start(
            run,
            run_id="",
            stream=pool.stream or StreamConfiguration(),
            now_ms=context.now_ms(),
            pause_s=context.settings.bulk_publish_pause_s,
        )
    except ServiceException as error:
        return error.message
    return None


def _earlier(run: EarlierRun) -> dict[str, Any]:
    return {
        "bulk_publish_status": run.status.value,
        "stream_name": run.stream_name,
        "bulk_publish_start_time_ms": run.start_time_ms,
        "bulk_publish_complete_time_ms": run.complete_time_ms,
        "failure_message": run.failure_message,
        "datasets_delivered": run.delivered.datasets,
        "records_delivered": run.delivered.records,
        "bytes_delivered": run.delivered.data_bytes,
    }


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


ROUTES: Final = (
    page("/pools/{pool}/publish", show_bulk_publish, "bulk_publish.html"),
    action("/pools/{pool}/publish", start_bulk_publish, form_bytes_max=4096),
    live("/pools/{pool}/publish/live", watch_bulk_publish, "bulk_publish_part.html"),
)
