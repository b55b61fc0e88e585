"""
Records of embedded streams: put them, and read them shard by shard, as Kinesis does.

Two differences that need no change in a client: there is no throughput limit, so
`ProvisionedThroughputExceededException` never comes, and `PutRecords` stores all of its
records in one transaction or none, in the order given.
"""

from __future__ import annotations

from millpond import limits
from millpond.contract import kinesis as contract
from millpond.core import shard_iterators, shards
from millpond.core.shard_iterators import ShardIterator
from millpond.errors import (
    InvalidArgumentException,
    ValidationException,
)
from millpond.service.context import Caller, Context
from millpond.service.kinesis.names import get_stream, stream_not_found
from millpond.service.kinesis.positions import (
    Start,
    find_position,
    find_shard,
    read_behind,
    refuse_dry_run,
)
from millpond.stores.base import NewStreamRecord, Stream

# --- Writing ------------------------------------------------------------------------


async def put_record(
    context: Context, caller: Caller, request: contract.PutRecordRequest
) -> contract.PutRecordResponse:
    """Store one record."""
    refuse_dry_run(request.dry_run)
    stream = await get_stream(context, request.stream_name, request.stream_arn)
    _check_ordering(context, stream, request.sequence_number_for_ordering)
    record = _new_record(
        stream, request.partition_key, request.data, request.explicit_hash_key
    )
    (number,) = await _store(context, stream, [record])
    return contract.PutRecordResponse(
        shard_id=shards.shard_id(record.shard),
        sequence_number=shards.sequence_number(stream.stream_id, number, record.shard),
    )


async def put_records(
    context: Context, caller: Caller, request: contract.PutRecordsRequest
) -> contract.PutRecordsResponse:
    """Store records, all of them or none."""
    refuse_dry_run(request.dry_run)
    stream = await get_stream(context, request.stream_name, request.stream_arn)
    records = [
        _new_record(
            stream, entry.partition_key, entry.data, entry.explicit_hash_key, index
        )
        for index, entry in enumerate(request.records, 1)
    ]
    size = sum(shards.record_bytes(r.partition_key, r.data) for r in records)
    if size > limits.PUT_RECORDS_BYTES_MAX:
        # AWS: this text.
        raise InvalidArgumentException("Records size exceeds 5 MB limit")
    numbers = await _store(context, stream, records)
    return contract.PutRecordsResponse(
        failed_record_count=0,
        records=[
            contract.PutRecordsResultEntry(
                sequence_number=shards.sequence_number(
                    stream.stream_id, number, record.shard
                ),
                shard_id=shards.shard_id(record.shard),
            )
            for record, number in zip(records, numbers, strict=True)
        ],
    )


def _new_record(
    stream: Stream,
    partition_key: str,
    data: bytes,
    explicit_hash_key: str | None,
    position: int | None = None,  # in the request, from 1
) -> NewStreamRecord:
    """Check the size of a record and choose its shard."""
    size = shards.record_bytes(partition_key, data)
    if size > limits.STREAM_RECORD_BYTES_MAX:
        which = "The record" if position is None else f"Record {position}"
        raise ValidationException(
            f"{which} has {size} bytes, its partition key included; the limit is "
            f"{limits.STREAM_RECORD_BYTES_MAX}."
        )
    chosen = None if explicit_hash_key is None else int(explicit_hash_key)
    if chosen is not None and chosen >= shards.HASH_SPACE:
        # AWS: this text.
        raise InvalidArgumentException(
            "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: "
            f"[0, 2^128-1]. Specified value was {explicit_hash_key}"
        )
    shard = shards.place(partition_key, stream.shard_count, explicit_hash_key=chosen)
    return NewStreamRecord(shard, partition_key, data)


async def _store(
    context: Context, stream: Stream, records: list[NewStreamRecord]
) -> list[int]:
    numbers = await context.store.put_stream_records(
        stream.stream_id, records, now_ms=context.now_ms()
    )
    if numbers is None:
        raise stream_not_found(context.settings, stream.stream_name)
    context.subscriptions.wake(stream.stream_id)
    return numbers


def _check_ordering(context: Context, stream: Stream, text: str | None) -> None:
    """Refuse a number of another stream; those of this one are lower in any case."""
    if text is None:
        return
    number = shards.parse_sequence_number(text)
    if number is None or number.stream_id != stream.stream_id:
        # AWS: this text.
        raise InvalidArgumentException(
            f"ExclusiveMinimumSequenceNumber {text} used in PutRecord on stream "
            f"{stream.stream_name} under account {context.settings.account_id} is "
            "invalid."
        )


# --- Reading ------------------------------------------------------------------------


async def get_shard_iterator(
    context: Context, caller: Caller, request: contract.GetShardIteratorRequest
) -> contract.GetShardIteratorResponse:
    """Seal the position that reading a shard begins at."""
    refuse_dry_run(request.dry_run)
    stream = await get_stream(context, request.stream_name, request.stream_arn)
    shard = find_shard(context, stream, request.shard_id)
    now_ms = context.now_ms()
    start = Start(
        "GetShardIterator",
        request.shard_id,
        request.shard_iterator_type,
        request.starting_sequence_number,
        request.timestamp,
    )
    after = await find_position(context, stream, shard, start, now_ms)
    iterator = ShardIterator(stream.stream_name, stream.stream_id, shard, after, now_ms)
    return contract.GetShardIteratorResponse(
        shard_iterator=shard_iterators.seal(context.pages, iterator)
    )


async def get_records(
    context: Context, caller: Caller, request: contract.GetRecordsRequest
) -> contract.GetRecordsResponse:
    """Read records of a shard behind an iterator."""
    refuse_dry_run(request.dry_run)
    now_ms = context.now_ms()
    iterator = shard_iterators.read(
        context.pages, request.shard_iterator, now_ms=now_ms
    )
    stream = await get_stream(context, iterator.stream_name, request.stream_arn)
    if stream.stream_id != iterator.stream_id:  # deleted and created again
        raise stream_not_found(context.settings, stream.stream_name)
    read = await read_behind(
        context,
        stream,
        iterator.shard,
        iterator.after,
        limit=request.limit or limits.GET_RECORDS_MAX,
    )
    following = ShardIterator(
        stream.stream_name, stream.stream_id, iterator.shard, read.after, now_ms
    )
    return contract.GetRecordsResponse(
        records=read.records,
        next_shard_iterator=shard_iterators.seal(context.pages, following),
        millis_behind_latest=read.millis_behind_latest,
    )
