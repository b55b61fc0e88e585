"""
Positions in a shard: where reading begins, and what is behind a place.

A position is the store's sequence number that reading goes on behind.
"""

from __future__ import annotations

from typing import NamedTuple

from millpond import limits
from millpond.contract import kinesis as contract
from millpond.core import shards
from millpond.errors import InvalidArgumentException
from millpond.service.context import Context
from millpond.service.kinesis.names import shard_not_found
from millpond.service.kinesis.retention import retention_ms
from millpond.stores.base import StoredStreamRecord, Stream


class Start(NamedTuple):
    """Where a request wants to begin."""

    operation: str  # that asks, for its refusals
    shard_id: str
    kind: str  # a ShardIteratorType
    sequence_number: str | None
    timestamp: float | None  # epoch seconds


class Read(NamedTuple):
    """What is behind a position."""

    records: list[contract.Record]
    after: int  # the position to go on at
    millis_behind_latest: int


def find_shard(context: Context, stream: Stream, shard_id: str) -> int:
    """
    Find a shard by its id.

    Raises:
        ResourceNotFoundException: the stream has none of that id.
    """
    shard = shards.parse_shard_id(shard_id, stream.shard_count)
    if shard is None:
        raise shard_not_found(context, stream, shard_id)
    return shard


async def find_position(
    context: Context, stream: Stream, shard: int, start: Start, now_ms: int
) -> int:
    """
    Find where reading begins.

    Raises:
        InvalidArgumentException: the start lacks something, has too much, or names a
            record of another stream or shard, or a time to come.
    """
    _check_arguments(start)
    match start.kind:
        case "LATEST":
            return await context.store.find_sequence_number(stream.stream_id, shard)
        case "TRIM_HORIZON":
            return await _trim_horizon(context, stream, shard, now_ms)
        case "AT_TIMESTAMP":
            assert start.timestamp is not None
            time_ms = round(start.timestamp * 1000)
            if time_ms > now_ms:
                # AWS: this text.
                raise InvalidArgumentException(
                    "The timestampInMillis parameter cannot be greater than the "
                    f"currentTimestampInMillis. timestampInMillis: {time_ms}, "
                    f"currentTimestampInMillis: {now_ms}"
                )
            # What is older than the trim horizon is held back when it is read.
            return await context.store.find_sequence_number(
                stream.stream_id, shard, arrived_before_ms=time_ms
            )
        case "AT_SEQUENCE_NUMBER":
            return max(_starting_number(context, stream, shard, start) - 1, 0)
        case _:
            return _starting_number(context, stream, shard, start)


def _check_arguments(start: Start) -> None:
    """Check that a kind of start comes with what it needs, and with that alone."""
    kind = start.kind
    by_number = kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER")
    if by_number is not (start.sequence_number is not None):
        given = "no" if by_number else "also a"
        # AWS: this text.
        raise InvalidArgumentException(
            "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and "
            "StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no "
            f"StartingSequenceNumber. Request specified {kind} and {given} "
            "StartingSequenceNumber."
        )
    if kind == "AT_TIMESTAMP" and start.timestamp is None:
        # AWS: this text.
        raise InvalidArgumentException(
            "Must specify timestampInMillis parameter for iterator of type "
            "AT_TIMESTAMP. Current request has no timestamp parameter."
        )


def _starting_number(context: Context, stream: Stream, shard: int, start: Start) -> int:
    """Read the sequence number of a start; it must be of this stream and shard."""
    text = start.sequence_number
    assert text is not None
    number = shards.parse_sequence_number(text)
    if number is None or number.stream_id != stream.stream_id:
        reason = "" if number is None else " because it did not come from this stream"
        # AWS: this text.
        raise InvalidArgumentException(
            f"StartingSequenceNumber {text} used in {start.operation} on shard "
            f"{start.shard_id} in stream {stream.stream_name} under account "
            f"{context.settings.account_id} is invalid{reason}."
        )
    if number.shard != shard:
        # AWS: this text.
        raise InvalidArgumentException(
            f"Invalid StartingSequenceNumber. It encodes "
            f"{shards.shard_id(number.shard)}, while it was used in a call to a shard "
            f"with {start.shard_id}"
        )
    return number.number


async def read_behind(
    context: Context,
    stream: Stream,
    shard: int,
    after: int,
    *,
    limit: int = limits.GET_RECORDS_MAX,
    bytes_max: int = limits.GET_RECORDS_BYTES_MAX,
) -> Read:
    """Read records behind a position, those within retention."""
    now_ms = context.now_ms()
    # What is beyond retention is not shown, whether it was purged by now or not.
    after = max(after, await _trim_horizon(context, stream, shard, now_ms))
    found = await context.store.list_stream_records(
        stream.stream_id, shard, after=after, limit=limit, bytes_max=bytes_max
    )
    if not found:
        return Read([], after, 0)
    return Read(
        [_record(stream, shard, each) for each in found],
        found[-1].sequence_number,
        await _millis_behind(context, stream, shard, found[-1], now_ms),
    )


async def _trim_horizon(
    context: Context, stream: Stream, shard: int, now_ms: int
) -> int:
    """Find the last record that is older than retention allows; 0 for none."""
    return await context.store.find_sequence_number(
        stream.stream_id,
        shard,
        arrived_before_ms=now_ms - retention_ms(context.settings, stream),
    )


async def _millis_behind(
    context: Context, stream: Stream, shard: int, last: StoredStreamRecord, now_ms: int
) -> int:
    """Tell how old the last record read is, or 0 when none is left behind it."""
    newest = await context.store.find_sequence_number(stream.stream_id, shard)
    if last.sequence_number >= newest:
        return 0
    return max(now_ms - last.arrival_ms, 1)  # 0 would say that none is left


def _record(stream: Stream, shard: int, stored: StoredStreamRecord) -> contract.Record:
    return contract.Record(
        sequence_number=shards.sequence_number(
            stream.stream_id, stored.sequence_number, shard
        ),
        approximate_arrival_timestamp=stored.arrival_ms / 1000,
        data=stored.data,
        partition_key=stored.partition_key,
    )


def refuse_dry_run(dry_run: bool | None) -> None:
    """Refuse a dry run: doing the real thing instead would be the worst answer."""
    if dry_run:
        raise InvalidArgumentException("DryRun is not available.")
