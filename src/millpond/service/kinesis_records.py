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
from millpond.service.kinesis_names import (
    get_stream,
    shard_not_found,
    stream_not_found,
)
from millpond.service.kinesis_retention import retention_ms
from millpond.stores.base import NewStreamRecord, StoredStreamRecord, Stream

# --- Writing ------------------------------------------------------------------------


async def put_record(
    context: Context, caller: Caller, request: contract.PutRecordRequest
) -> contract.PutRecordResponse:
    """Store one record."""
    _refuse_dry_run(request.dry_run)
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
    _refuse_dry_run(request.dry_run)
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
    _refuse_dry_run(request.dry_run)
    stream = await get_stream(context, request.stream_name, request.stream_arn)
    shard = shards.parse_shard_id(request.shard_id, stream.shard_count)
    if shard is None:
        raise shard_not_found(context, stream, request.shard_id)
    now_ms = context.now_ms()
    after = await _position(context, stream, shard, request, now_ms)
    iterator = ShardIterator(stream.stream_name, stream.stream_id, shard, after, now_ms)
    return contract.GetShardIteratorResponse(
        shard_iterator=shard_iterators.seal(context.pages, iterator)
    )


async def _position(
    context: Context,
    stream: Stream,
    shard: int,
    request: contract.GetShardIteratorRequest,
    now_ms: int,
) -> int:
    """Find the sequence number that an iterator of this type goes on behind."""
    _check_arguments(request)
    match request.shard_iterator_type:
        case "LATEST":
            return await context.store.find_sequence_number(stream.stream_id, shard)
        case "TRIM_HORIZON":
            return await _trim_horizon(context, stream, shard, now_ms)
        case "AT_TIMESTAMP":
            assert request.timestamp is not None
            time_ms = round(request.timestamp * 1000)
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
            return max(_starting_number(context, stream, shard, request) - 1, 0)
        case "AFTER_SEQUENCE_NUMBER":
            return _starting_number(context, stream, shard, request)


def _check_arguments(request: contract.GetShardIteratorRequest) -> None:
    """Check that an iterator type comes with what it needs, and with that alone."""
    kind = request.shard_iterator_type
    by_number = kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER")
    if by_number is not (request.starting_sequence_number is not None):
        given = "no" if by_number else "also a"
        # AWS: this text.
        raise InvalidArgumentException(
            "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and "
            "StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no "
            f"StartingSequenceNumber. Request specified {kind} and {given} "
            "StartingSequenceNumber."
        )
    if kind == "AT_TIMESTAMP" and request.timestamp is None:
        # AWS: this text.
        raise InvalidArgumentException(
            "Must specify timestampInMillis parameter for iterator of type "
            "AT_TIMESTAMP. Current request has no timestamp parameter."
        )


def _starting_number(
    context: Context,
    stream: Stream,
    shard: int,
    request: contract.GetShardIteratorRequest,
) -> int:
    """Read the sequence number of a request; it must be of this stream and shard."""
    text = request.starting_sequence_number
    assert text is not None
    number = shards.parse_sequence_number(text)
    if number is None or number.stream_id != stream.stream_id:
        reason = "" if number is None else " because it did not come from this stream"
        # AWS: this text.
        raise InvalidArgumentException(
            f"StartingSequenceNumber {text} used in GetShardIterator on shard "
            f"{request.shard_id} in stream {stream.stream_name} under account "
            f"{context.settings.account_id} is invalid{reason}."
        )
    if number.shard != shard:
        # AWS: this text.
        raise InvalidArgumentException(
            f"Invalid StartingSequenceNumber. It encodes "
            f"{shards.shard_id(number.shard)}, while it was used in a call to a shard "
            f"with {request.shard_id}"
        )
    return number.number


async def get_records(
    context: Context, caller: Caller, request: contract.GetRecordsRequest
) -> contract.GetRecordsResponse:
    """Read records of a shard behind an iterator."""
    _refuse_dry_run(request.dry_run)
    now_ms = context.now_ms()
    iterator = shard_iterators.read(
        context.pages, request.shard_iterator, now_ms=now_ms
    )
    stream = await get_stream(context, iterator.stream_name, request.stream_arn)
    if stream.stream_id != iterator.stream_id:  # deleted and created again
        raise stream_not_found(context.settings, stream.stream_name)
    shard = iterator.shard
    # What is beyond retention is not shown, whether it was purged by now or not.
    after = max(iterator.after, await _trim_horizon(context, stream, shard, now_ms))
    found = await context.store.list_stream_records(
        stream.stream_id,
        shard,
        after=after,
        limit=request.limit or limits.GET_RECORDS_MAX,
        bytes_max=limits.GET_RECORDS_BYTES_MAX,
    )
    behind_ms = await _millis_behind(context, stream, shard, found, now_ms)
    if found:
        after = found[-1].sequence_number
    following = ShardIterator(
        stream.stream_name, stream.stream_id, shard, after, now_ms
    )
    return contract.GetRecordsResponse(
        records=[_record(stream, shard, each) for each in found],
        next_shard_iterator=shard_iterators.seal(context.pages, following),
        millis_behind_latest=behind_ms,
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
    context: Context,
    stream: Stream,
    shard: int,
    found: list[StoredStreamRecord],
    now_ms: int,
) -> int:
    """Tell how old the last record read is, or 0 when none is left behind it."""
    if not found:
        return 0
    newest = await context.store.find_sequence_number(stream.stream_id, shard)
    last = found[-1]
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


def _refuse_dry_run(dry_run: bool | None) -> None:
    """Refuse a dry run: doing the real thing instead would be the worst answer."""
    if dry_run:
        raise InvalidArgumentException("DryRun is not available.")
