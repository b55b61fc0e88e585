"""
Stream records that are too large for their sink: the records go aside, a link goes in.

Anyone who holds the link can fetch the records until it expires, as with the presigned
links of AWS; so its last part is 128 random bits and opens nothing else.

Source: ruling 19; payloadType S3Url of the developer guide.
"""

from __future__ import annotations

from typing import Final

from millpond.core import streaming
from millpond.core.shards import record_bytes
from millpond.core.streaming import StreamRecord
from millpond.service.context import Context
from millpond.sinks.base import Sink

PAYLOAD_PATH: Final = "/stream-payloads/"
PUT_S_MAX: Final = 300  # between the making of a link and the arrival of its record


async def fit(
    context: Context, sink: Sink, records: list[StreamRecord]
) -> list[StreamRecord]:
    """Replace the records of events that the sink cannot take by links to them."""
    return [
        record
        if record_bytes(record.partition_key, record.data) <= sink.record_bytes_max
        else await _moved_out(context, record)
        for record in records
    ]


async def _moved_out(context: Context, record: StreamRecord) -> StreamRecord:
    payload_id = context.random_bytes(16).hex()
    settings = context.settings
    # Not before the stream record that holds the link is gone, too.
    lifetime_s = max(settings.stream_payload_lifetime_s, settings.stream_retention_s)
    await context.store.put_stream_payload(
        payload_id,
        streaming.records_of(record.data),
        expires_ms=context.now_ms() + (lifetime_s + PUT_S_MAX) * 1000,
    )
    url = f"{settings.public_url.rstrip('/')}{PAYLOAD_PATH}{payload_id}"
    return StreamRecord(
        record.partition_key, streaming.move_records_out(record.data, url)
    )
