"""
What a stream tells of the last changes of a dataset, the newest first.

An embedded stream is read backwards, in the one shard that has the identity, and no
further than it takes; each look reads so many records at the most. Other streams can
only be read from their beginning.

A stream may repeat itself, and a bulk publish puts whole datasets between the changes;
what an event says again is left out, and a whole dataset is told from a change.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from millpond.core import shards
from millpond.core.stream_consumer import ReadEvent, ReadRecord, decode_event
from millpond.core.sync import DatasetId
from millpond.errors import NotFoundError
from millpond.service.looking.pages import Page
from millpond.sinks.base import SinkReader
from millpond.stores.base import Store

LOOKED_AT_MAX: Final = 50_000  # stream records, in one look
_ROWS_AT_ONCE: Final = 1000
_BYTES_AT_ONCE: Final = 4 * 1024 * 1024


class HistoryEvent(msgspec.Struct, frozen=True):
    """
    A change of a dataset, or all of it.

    Args:
        records: those that the change set or removed; of a snapshot all live ones.
        snapshot: it is what a bulk publish sent, or as good as that.
        records_url: where the records are that were too large for the stream.
    """

    last_modified_date_ms: int
    sync_count: int
    deleted: bool
    records: Sequence[ReadRecord]
    snapshot: bool
    records_url: str | None


async def look_back(
    store: Store,
    stream_name: str,
    dataset_id: DatasetId,
    *,
    before: int | None,
    limit: int,
    look_at_max: int = LOOKED_AT_MAX,
) -> Page[HistoryEvent, int]:
    """
    Read an embedded stream backwards, from a position or from the end.

    Args:
        look_at_max: after about so many stream records it ends, with a position to go
            on from, whatever was found.
    Raises:
        NotFoundError: there is no such stream.
    """
    stream = await store.find_stream(stream_name)
    if stream is None:
        raise NotFoundError(f"stream '{stream_name}' does not exist.")
    key = dataset_id.identity_id
    shard = shards.place(key, stream.shard_count)
    found: dict[tuple[object, ...], HistoryEvent] = {}
    looked_at = 0
    while looked_at < look_at_max:
        rows = await store.list_earlier_stream_records(
            stream.stream_id,
            shard,
            partition_key=key,
            before=before,
            limit=min(_ROWS_AT_ONCE, look_at_max),
            bytes_max=_BYTES_AT_ONCE,
        )
        if not rows:
            return Page(list(found.values()))
        for row in rows:
            before = row.sequence_number
            _take(found, row.data, dataset_id)
            if len(found) == limit:
                return Page(list(found.values()), before)
        looked_at += len(rows)
    return Page(list(found.values()), before)


async def read_through(
    reader: SinkReader, dataset_id: DatasetId, *, limit: int, wait_s: float
) -> list[HistoryEvent]:
    """
    Read any stream from its beginning to its end; keep the last changes of the dataset.

    Args:
        reader: open, at the beginning.
        wait_s: how long nothing comes at the end.
    """
    last: deque[bytes] = deque(maxlen=4 * limit)  # among them may be repeats
    while records := await reader.read(wait_s=wait_s):
        last += [each.data for each in records if _is_of(each.data, dataset_id)]
    found: dict[tuple[object, ...], HistoryEvent] = {}
    for data in reversed(last):
        _take(found, data, dataset_id)
    return list(found.values())[:limit]


def _is_of(data: bytes, dataset_id: DatasetId) -> bool:
    # Decoding everything that goes by would take most of the time.
    if dataset_id.identity_id.encode() not in data:
        return False
    event = decode_event(data)
    return event is not None and event.dataset_id == dataset_id


def _take(
    found: dict[tuple[object, ...], HistoryEvent], data: bytes, dataset_id: DatasetId
) -> None:
    """Add an event of the dataset, unless it says what another one has said."""
    event = decode_event(data) if data else None
    if event is None or event.dataset_id != dataset_id:
        return
    records = event.kinesis_sync_records or ()
    said = (
        event.sync_count,
        event.operation,
        event.payload_type,
        *((each.key, each.sync_count) for each in records),
    )
    found.setdefault(said, _to_history(event, records))


def _to_history(event: ReadEvent, records: Sequence[ReadRecord]) -> HistoryEvent:
    # A change stamps its records with its own count; others were there before.
    snapshot = any(each.sync_count < event.sync_count for each in records)
    return HistoryEvent(
        last_modified_date_ms=event.last_modified_date,
        sync_count=event.sync_count,
        deleted=event.is_deletion,
        records=records,
        snapshot=snapshot,
        records_url=event.records_url,
    )
