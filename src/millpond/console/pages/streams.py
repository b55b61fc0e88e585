"""
Streams: where they are, how far behind, who pours into them, and their newest records.

A key of one pool sees the streams of that pool, and of the records in them only those
of its pool: others may pour into the same stream.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from millpond.console import looking
from millpond.console.base import (
    Ask,
    Console,
    Done,
    Refused,
    Shown,
    Viewer,
    action,
    link,
    page,
)
from millpond.contract import cognito_sync
from millpond.core.stream_consumer import ReadEvent, ReadRecord
from millpond.errors import NotFoundError
from millpond.service.looking import newest_records, streams
from millpond.service.looking.newest_records import NewestRecord
from millpond.service.looking.outbox import COUNT_MAX, bounded
from millpond.service.looking.streams import StreamLook, StreamUser
from millpond.sinks.base import is_embedded
from millpond.stores.base import OutboxUsage

STREAMS_AT_ONCE: Final = 50
RECORDS_AT_ONCE: Final = 20
SHOWN_OF_EVENT_MAX: Final = 10  # records
SHOWN_CHARS_MAX: Final = 500  # of a value; its dataset has the whole
_SEQUENCE_NUMBER_MAX: Final = 2**63 - 1
_CONFIGURE: Final = cognito_sync.API.by_name["SetIdentityPoolConfiguration"]


async def list_streams(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show the streams that there are, that are named, and that pools pour into."""
    after = ask.query.text("after")
    found = [each for each in await _look(console, viewer) if each.stream_name > after]
    listed, more = found[:STREAMS_AT_ONCE], found[STREAMS_AT_ONCE:]
    now_ms = console.context.now_ms()
    return Shown(
        title="Streams",
        data={
            "streams": [_row(each, now_ms) for each in listed],
            "next": listed[-1].stream_name if more else None,
            "is_first": not after,
        },
    )


async def show_stream(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show a stream, and of an embedded one the newest records."""
    name = ask.path["stream"]
    found = [each for each in await _look(console, viewer) if each.stream_name == name]
    if not found:
        raise Refused(404, f"There is no stream '{name}'.")
    (stream,) = found
    records = None
    if is_embedded(console.context.settings.streams, name) and stream.shard_count:
        records = await _records(console, viewer, ask)
    return Shown(
        title=name,
        crumbs=[("Streams", link("/streams"))],
        data={
            **_row(stream, console.context.now_ms()),
            "how_to_show": streams.how_to_show(name, stream.place),
            "records": records,
        },
    )


async def enable_stream(console: Console, viewer: Viewer, ask: Ask) -> Done:
    """Switch the streaming of a pool on again."""
    pool = await looking.get_pool(console, ask.path["pool"])
    stream = pool.stream
    if stream is None or stream.stream_name is None:
        raise Refused(400, "This pool has no stream that could be switched on.")
    configuration = cognito_sync.CognitoStreams(streaming_status="ENABLED")
    request = cognito_sync.SetIdentityPoolConfigurationRequest(
        identity_pool_id=pool.identity_pool_id, cognito_streams=configuration
    )
    await console.call(viewer, _CONFIGURE, request)
    return Done(
        link("/streams/{stream}", stream=stream.stream_name),
        f"Changes of {pool.identity_pool_name} go to the stream again, those that "
        "waited first.",
    )


async def _look(console: Console, viewer: Viewer) -> list[StreamLook]:
    context = console.context
    found = await streams.list_streams(
        context.store, context.settings.streams, count_max=COUNT_MAX + 1
    )
    if viewer.pool is None:
        return found
    own = [
        msgspec.structs.replace(
            each,
            users=tuple(e for e in each.users if e.identity_pool_id == viewer.pool),
        )
        for each in found
    ]
    return [each for each in own if each.users]


def _row(look: StreamLook, now_ms: int) -> dict[str, Any]:
    return {
        "stream_name": look.stream_name,
        "kind": look.kind,
        "place": look.place,
        "shard_count": look.shard_count,
        **_outbox(look.outbox, now_ms),
        "pools": [_user(each, now_ms) for each in look.users],
    }


def _user(user: StreamUser, now_ms: int) -> dict[str, Any]:
    return {
        "identity_pool_id": user.identity_pool_id,
        "identity_pool_name": user.identity_pool_name,
        "streaming_status": user.streaming_status,
        "disabled_reason": user.disabled_reason,
        "disabled_date_ms": user.disabled_date_ms,
        **_outbox(user.outbox, now_ms),
    }


def _outbox(usage: OutboxUsage, now_ms: int) -> dict[str, Any]:
    oldest_ms = usage.oldest_ms
    lag_s = None if oldest_ms is None else max(now_ms - oldest_ms, 0) / 1000
    return {
        "waiting": bounded(usage.entries),
        "parked": bounded(usage.parked),
        "oldest_ms": oldest_ms,
        "lag_seconds": lag_s,
    }


async def _records(console: Console, viewer: Viewer, ask: Ask) -> dict[str, Any]:
    """Read the newest records: some of each shard, or back in one of them."""
    store = console.context.store
    try:
        stream = await newest_records.find_stream(store, ask.path["stream"])
    except NotFoundError as error:  # it was deleted just now
        raise Refused(404, looking.as_sentence(error)) from error
    shard: int | None = None
    following = None
    if "shard" in ask.query or stream.shard_count == 1:
        shard = ask.query.number("shard", 0, most=stream.shard_count - 1)
        before = ask.query.number("before", 0, most=_SEQUENCE_NUMBER_MAX) or None
        page_ = await newest_records.look_back_in_shard(
            store, stream, shard, before=before, limit=RECORDS_AT_ONCE
        )
        found, following = [*page_.items], page_.next_position
    else:
        found = await newest_records.list_newest(store, stream, limit=RECORDS_AT_ONCE)
    return {
        "shard": shard,
        "shard_count": stream.shard_count,
        "next": following,
        "is_first": "before" not in ask.query,
        "items": [_record(each) for each in found if _may_see(viewer, each)],
    }


def _may_see(viewer: Viewer, record: NewestRecord) -> bool:
    event = record.event
    return viewer.pool is None or (
        event is not None and event.identity_pool_id == viewer.pool
    )


def _record(record: NewestRecord) -> dict[str, Any]:
    event = record.event
    return {
        "shard": record.shard,
        "sequence_number": record.sequence_number,
        "arrival_ms": record.arrival_ms,
        "partition_key": record.partition_key,
        "data_bytes": record.data_bytes,
        "event": None if event is None else show_event(event),
    }


def show_event(event: ReadEvent) -> dict[str, Any]:
    """Give an event with the first of its records, long values cut."""
    records = event.kinesis_sync_records or []
    return {
        "identity_pool_id": event.identity_pool_id,
        "identity_id": event.identity_id,
        "dataset_name": event.data_set_name,
        "operation": event.operation,
        "sync_count": event.sync_count,
        "last_modified_date_ms": event.last_modified_date,
        "records_url": event.records_url,
        "record_count": len(records),
        "records": [_of_event(each) for each in records[:SHOWN_OF_EVENT_MAX]],
    }


def _of_event(record: ReadRecord) -> dict[str, Any]:
    value = record.value
    return {
        "key": record.key,
        "op": record.op,
        "sync_count": record.sync_count,
        "value": value if value is None else value[:SHOWN_CHARS_MAX],
        "value_chars": None if value is None else len(value),
    }


ROUTES: Final = (
    page("/streams", list_streams, "streams.html"),
    page("/streams/{stream}", show_stream, "stream.html"),
    action("/pools/{pool}/stream/enable", enable_stream, form_bytes_max=4096),
)
