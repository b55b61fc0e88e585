"""
Stream records that are too large for their sink: the records go aside, a link goes in.

Source: ruling 19; payloadType S3Url of the developer guide.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

from millpond.core import streaming
from millpond.core.streaming import StreamRecord
from millpond.service.context import Context
from millpond.sinks.base import Sink, too_large

PUT_S_MAX: Final = 300  # between the making of a link and the arrival of its record
PUTS_AT_ONCE: Final = 8


async def fit(
    context: Context, sink: Sink, records: Sequence[StreamRecord]
) -> Sequence[StreamRecord]:
    """
    Replace the records of events that the sink cannot take by links to them.

    Raises:
        SinkError, StoreError: as `PayloadStore.put` does, of the first that fails.
    """
    large = [
        (each.index, records[each.index])
        for each in too_large(records, sink.record_bytes_max)
    ]
    if not large:
        return records
    fitting = list(records)
    waiting = iter(large)
    lifetime_s = await link_lifetime_s(context) + PUT_S_MAX

    async def move_out() -> None:
        for index, record in waiting:  # which the tasks share
            fitting[index] = await _moved_out(context, record, lifetime_s)

    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(PUTS_AT_ONCE, len(large))):
                group.create_task(move_out())
    except ExceptionGroup as failures:
        failure = failures.exceptions[0]
    if failure is not None:
        raise failure
    return fitting


async def link_lifetime_s(context: Context) -> int:
    """
    Say for how long a link works: as long as the stream record that holds it, whichever
    embedded stream that is in.
    """
    settings = context.settings
    usage = await context.store.measure_streams()
    return max(
        settings.stream_payload_lifetime_s,
        settings.stream_retention_s,
        (usage.retention_hours_max or 0) * 3600,
    )


async def _moved_out(
    context: Context, record: StreamRecord, lifetime_s: int
) -> StreamRecord:
    url = await context.payloads.put(
        streaming.records_of(record.data),
        name=_name(context, record),
        lifetime_s=lifetime_s,
    )
    data = streaming.move_records_out(record.data, url)
    return msgspec.structs.replace(record, data=data)


def _name(context: Context, record: StreamRecord) -> str:
    """Name a payload: the same when its record is sent again, and hard to guess."""
    if not record.message_id:
        return context.random_bytes(16).hex()
    return hashlib.blake2b(
        record.message_id.encode(), key=context.payload_secret, digest_size=16
    ).hexdigest()
