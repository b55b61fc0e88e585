"""
The newest records of an embedded stream, whoever they are of.

Shards have no order among each other but that of their arrivals, so a page shows some
of each shard; going further back is a matter of one of them.
"""

from __future__ import annotations

from typing import Final

import msgspec

from millpond.core.stream_consumer import ReadEvent, decode_event
from millpond.errors import NotFoundError
from millpond.service.looking.pages import Page, cut
from millpond.stores.base import Store, StoredStreamRecord, Stream

SHARDS_AT_ONCE: Final = 20  # of a stream that has more, the first ones
BYTES_AT_ONCE: Final = 4 * 1024 * 1024


class NewestRecord(msgspec.Struct, frozen=True):
    """A record of a stream; `event` is None when it is none of ours."""

    shard: int  # from 0
    sequence_number: int  # the store's
    arrival_ms: int
    partition_key: str
    data_bytes: int
    event: ReadEvent | None


async def find_stream(store: Store, stream_name: str) -> Stream:
    """
    Find an embedded stream.

    Raises:
        NotFoundError: it does not exist.
    """
    stream = await store.find_stream(stream_name)
    if stream is None:
        raise NotFoundError(f"stream '{stream_name}' does not exist.")
    return stream


async def list_newest(
    store: Store, stream: Stream, *, limit: int
) -> list[NewestRecord]:
    """List the newest records of all shards, about `limit` and as many of each."""
    shards = min(stream.shard_count, SHARDS_AT_ONCE)
    each_limit = max(1, limit // shards)
    found: list[NewestRecord] = []
    for shard in range(shards):
        found += await _read(
            store, stream, shard, None, each_limit, BYTES_AT_ONCE // shards
        )
    return sorted(found, key=lambda e: (e.arrival_ms, e.sequence_number), reverse=True)


async def look_back_in_shard(
    store: Store, stream: Stream, shard: int, *, before: int | None, limit: int
) -> Page[NewestRecord, int]:
    """List records of a shard below a sequence number of the store, newest first."""
    found = await _read(store, stream, shard, before, limit + 1, BYTES_AT_ONCE)
    if found and len(found) <= limit:
        # That was the first record of all, or there were bytes for no more.
        last = found[-1].sequence_number
        rest = await _read(store, stream, shard, last, 1, 1)
        return Page(found, last if rest else None)
    return cut(found, limit, lambda each: each.sequence_number)


async def _read(
    store: Store,
    stream: Stream,
    shard: int,
    before: int | None,
    limit: int,
    bytes_max: int,
) -> list[NewestRecord]:
    rows = await store.list_earlier_stream_records(
        stream.stream_id,
        shard,
        partition_key=None,
        before=before,
        limit=limit,
        bytes_max=bytes_max,
    )
    return [_to_record(shard, each) for each in rows]


def _to_record(shard: int, row: StoredStreamRecord) -> NewestRecord:
    return NewestRecord(
        shard=shard,
        sequence_number=row.sequence_number,
        arrival_ms=row.arrival_ms,
        partition_key=row.partition_key,
        data_bytes=len(row.data),
        event=decode_event(row.data),
    )
