"""
Embedded streams: create, delete, list and describe them, as Kinesis does.

An embedded stream is ACTIVE as soon as it is created, and its shards stay as they are
for as long as it lives. Reading and writing records is in `records`; what may be
changed about a stream in `retention`, `tags` and `management`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from millpond import limits
from millpond.contract import kinesis as contract
from millpond.contract.kinesis.values import StreamName
from millpond.core import shards
from millpond.errors import (
    ExpiredNextTokenException,
    InvalidArgumentException,
    InvalidParameterException,
    LimitExceededException,
    ResourceInUseException,
)
from millpond.service.context import Caller, Context
from millpond.service.forms import why_not
from millpond.service.kinesis.names import get_stream, spell_arn, stream_not_found
from millpond.service.kinesis.retention import retention_hours
from millpond.service.kinesis.tags import check_tags
from millpond.settings import Settings
from millpond.sinks.base import is_embedded, sink_url, without_secrets
from millpond.stores.base import Stream, StreamStore

_LIST_STREAMS_MAX: Final = 100  # AWS: ListStreams, default and cap of Limit
_DESCRIBE_STREAM_SHARDS_MAX: Final = 100  # AWS: DescribeStream, the same
_LIST_SHARDS_MAX: Final = 1000  # AWS: ListShards, the same
NEXT_TOKEN_LIFETIME_MS: Final = 300_000  # AWS: ListShards, "expire after 300 seconds"
_RECORD_KIB_MAX: Final = limits.STREAM_RECORD_BYTES_MAX // 1024

T = TypeVar("T")


async def create_stream(
    context: Context, caller: Caller, request: contract.CreateStreamRequest
) -> None:
    """Create an embedded stream."""
    settings = context.settings
    name = request.stream_name
    shard_count = _shard_count(request)
    if not is_embedded(settings.streams, name):
        raise InvalidArgumentException(
            f"Stream {name} is mapped to another sink by the setting 'streams'; create "
            "it there."
        )
    tags = request.tags or {}
    check_tags(tags, f"stream {name}")
    mode = request.stream_mode_details
    created = await context.store.create_stream(
        name,
        shard_count=shard_count,
        now_ms=context.now_ms(),
        stream_mode=mode.stream_mode if mode else "PROVISIONED",
        tags=tags,
    )
    if not created:
        # AWS: this text.
        raise ResourceInUseException(
            f"Stream {name} under account {settings.account_id} already exists."
        )


async def create_embedded_stream(
    store: StreamStore,
    streams: Mapping[str, str],
    stream_name: str,
    *,
    shard_count: int,
    now_ms: int,
) -> str | None:
    """
    Create an embedded stream, for an administrator.

    Args:
        streams: the setting `streams`.
    Returns:
        Why it was refused; None when it was created.
    """
    if not is_embedded(streams, stream_name):
        place = without_secrets(sink_url(streams, stream_name))
        return (
            f"stream '{stream_name}' is {place} by the setting 'streams'; create it "
            "there, with the tools of its kind."
        )
    reason = why_not(stream_name, StreamName)
    if reason is not None:
        return f"it cannot be created: {reason}."
    given = {"StreamName": stream_name, "ShardCount": shard_count}
    try:
        request = msgspec.convert(given, contract.CreateStreamRequest)
        _shard_count(request)
    except (msgspec.ValidationError, LimitExceededException) as error:
        return f"it cannot be created: {str(error).removesuffix('.')}."
    if not await store.create_stream(
        stream_name, shard_count=shard_count, now_ms=now_ms
    ):
        return f"stream '{stream_name}' exists already."
    return None


def _shard_count(request: contract.CreateStreamRequest) -> int:
    """Refuse what an embedded stream cannot be, and give its number of shards."""
    # Ours: an embedded stream is as fast as the disk, whatever the number of shards, so
    # there is nothing that warm throughput could mean.
    if request.warm_throughput_mibps is not None:
        raise InvalidArgumentException("WarmThroughputMiBps is not available.")
    if request.max_record_size_in_kib not in (None, _RECORD_KIB_MAX):
        raise InvalidArgumentException(
            f"MaxRecordSizeInKiB is always {_RECORD_KIB_MAX}."
        )
    if request.record_distribution_strategy not in (None, "USER_PARTITION_KEY"):
        raise InvalidArgumentException(
            "RecordDistributionStrategy is always USER_PARTITION_KEY."
        )
    mode = request.stream_mode_details
    if mode is not None and mode.stream_mode == "ON_DEMAND":
        if request.shard_count is not None:
            raise InvalidArgumentException(
                "ShardCount cannot be given together with StreamMode ON_DEMAND."
            )
        return limits.ON_DEMAND_SHARDS
    if request.shard_count is None:
        raise InvalidArgumentException("ShardCount is needed.")
    if request.shard_count > limits.SHARDS_PER_STREAM_MAX:
        raise LimitExceededException(
            f"Stream {request.stream_name} would have {request.shard_count} shards; "
            f"the limit is {limits.SHARDS_PER_STREAM_MAX}."
        )
    return request.shard_count


async def delete_stream(
    context: Context, caller: Caller, request: contract.DeleteStreamRequest
) -> None:
    """Delete an embedded stream with all its records."""
    stream = await get_stream(context, request.stream_name, request.stream_arn)
    if not request.enforce_consumer_deletion and (
        count := await _count_consumers(context, stream)
    ):
        raise ResourceInUseException(
            f"Stream {stream.stream_name} has {count} registered consumers; "
            "deregister them first, or delete it with EnforceConsumerDeletion."
        )
    if not await context.store.delete_stream(stream.stream_name):
        raise stream_not_found(context.settings, stream.stream_name)


async def list_streams(
    context: Context, caller: Caller, request: contract.ListStreamsRequest
) -> contract.ListStreamsResponse:
    """List the embedded streams, by name."""
    after = request.exclusive_start_stream_name
    if request.next_token is not None:
        after = read_token(context, request.next_token, str, "ListStreams")
    limit = min(request.limit or _LIST_STREAMS_MAX, _LIST_STREAMS_MAX)
    found = await context.store.list_streams(after=after, limit=limit + 1)
    page, more = found[:limit], len(found) > limit
    return contract.ListStreamsResponse(
        stream_names=[each.stream_name for each in page],
        has_more_streams=more,
        next_token=(
            context.pages.seal(page[-1].stream_name, "ListStreams") if more else None
        ),
        stream_summaries=[_summary(context.settings, each) for each in page],
    )


def _summary(settings: Settings, stream: Stream) -> contract.StreamSummary:
    return contract.StreamSummary(
        stream_name=stream.stream_name,
        stream_arn=spell_arn(settings, stream.stream_name),
        stream_status="ACTIVE",
        stream_mode_details=_mode(stream),
        stream_creation_timestamp=stream.creation_date_ms / 1000,
    )


def _mode(stream: Stream) -> contract.StreamModeDetails:
    return msgspec.convert(
        {"StreamMode": stream.stream_mode}, contract.StreamModeDetails
    )


async def _count_consumers(context: Context, stream: Stream) -> int:
    found = await context.store.list_stream_consumers(
        stream.stream_id, after=None, limit=limits.STREAM_CONSUMERS_MAX
    )
    return len(found)


async def describe_stream(
    context: Context, caller: Caller, request: contract.DescribeStreamRequest
) -> contract.DescribeStreamResponse:
    """Tell what is known about an embedded stream, with a page of its shards."""
    settings = context.settings
    stream = await get_stream(context, request.stream_name, request.stream_arn)
    limit = min(
        request.limit or _DESCRIBE_STREAM_SHARDS_MAX, _DESCRIBE_STREAM_SHARDS_MAX
    )
    first = _shard_behind(stream, request.exclusive_start_shard_id)
    end = min(first + limit, stream.shard_count)
    return contract.DescribeStreamResponse(
        stream_description=contract.StreamDescription(
            stream_name=stream.stream_name,
            stream_arn=spell_arn(settings, stream.stream_name),
            stream_status="ACTIVE",
            stream_mode_details=_mode(stream),
            shards=[_shard(stream, shard) for shard in range(first, end)],
            has_more_shards=end < stream.shard_count,
            retention_period_hours=retention_hours(settings, stream),
            stream_creation_timestamp=stream.creation_date_ms / 1000,
            enhanced_monitoring=[contract.EnhancedMetrics(shard_level_metrics=[])],
            encryption_type="NONE",
        )
    )


async def describe_stream_summary(
    context: Context, caller: Caller, request: contract.DescribeStreamSummaryRequest
) -> contract.DescribeStreamSummaryResponse:
    """Tell what is known about an embedded stream, without its shards."""
    settings = context.settings
    stream = await get_stream(context, request.stream_name, request.stream_arn)
    return contract.DescribeStreamSummaryResponse(
        stream_description_summary=contract.StreamDescriptionSummary(
            stream_name=stream.stream_name,
            stream_arn=spell_arn(settings, stream.stream_name),
            stream_status="ACTIVE",
            stream_mode_details=_mode(stream),
            retention_period_hours=retention_hours(settings, stream),
            stream_creation_timestamp=stream.creation_date_ms / 1000,
            enhanced_monitoring=[contract.EnhancedMetrics(shard_level_metrics=[])],
            encryption_type="NONE",
            open_shard_count=stream.shard_count,
            consumer_count=await _count_consumers(context, stream),
            max_record_size_in_kib=_RECORD_KIB_MAX,
            record_distribution_strategy="USER_PARTITION_KEY",
        )
    )


class _ShardPosition(msgspec.Struct, frozen=True, array_like=True):
    """Where a listing of shards goes on."""

    stream_name: str
    stream_id: int
    first: int
    created_ms: int


async def list_shards(
    context: Context, caller: Caller, request: contract.ListShardsRequest
) -> contract.ListShardsResponse:
    """List the shards of an embedded stream."""
    if request.next_token is not None:
        stream, first = await _go_on(context, request)
    else:
        stream, first = await _begin(context, request)
    limit = min(request.max_results or _LIST_SHARDS_MAX, _LIST_SHARDS_MAX)
    end = min(first + limit, stream.shard_count)
    token = None
    if end < stream.shard_count:
        position = _ShardPosition(
            stream.stream_name, stream.stream_id, end, context.now_ms()
        )
        token = context.pages.seal(position, "ListShards")
    return contract.ListShardsResponse(
        shards=[_shard(stream, shard) for shard in range(first, end)],
        next_token=token,
    )


async def _begin(
    context: Context, request: contract.ListShardsRequest
) -> tuple[Stream, int]:
    """Find the stream of a first request, and the shard to begin with."""
    if request.stream_name is None and request.stream_arn is None:
        # AWS: this text.
        raise InvalidArgumentException(
            "Either NextToken or StreamName should be provided."
        )
    stream = await get_stream(context, request.stream_name, request.stream_arn)
    created = request.stream_creation_timestamp
    # Many clients cut the time that they were told to whole seconds.
    if created is not None and abs(stream.creation_date_ms / 1000 - created) >= 1:
        raise stream_not_found(context.settings, stream.stream_name)
    behind = request.exclusive_start_shard_id
    if request.shard_filter is not None:
        behind = _filtered(request.shard_filter) or behind
    return stream, _shard_behind(stream, behind)


def _filtered(shard_filter: contract.ShardFilter) -> str | None:
    """Give the shard to begin behind; no shard is ever closed, so the rest is all."""
    if shard_filter.type == "AFTER_SHARD_ID":
        if shard_filter.shard_id is None:
            raise InvalidArgumentException(
                "ShardFilter AFTER_SHARD_ID needs a ShardId."
            )
        return shard_filter.shard_id
    if "TIMESTAMP" in shard_filter.type and shard_filter.timestamp is None:
        raise InvalidArgumentException(
            f"ShardFilter {shard_filter.type} needs a Timestamp."
        )
    return None


async def _go_on(
    context: Context, request: contract.ListShardsRequest
) -> tuple[Stream, int]:
    """Find the stream and the shard that a next token names."""
    for name, value in (
        ("StreamName", request.stream_name),
        ("StreamARN", request.stream_arn),
        ("StreamCreationTimestamp", request.stream_creation_timestamp),
        ("ExclusiveStartShardId", request.exclusive_start_shard_id),
    ):
        if value is not None:
            # AWS: this text, for StreamName.
            raise InvalidArgumentException(
                f"NextToken and {name} cannot be provided together."
            )
    assert request.next_token is not None
    position = read_token(context, request.next_token, _ShardPosition, "ListShards")
    if context.now_ms() - position.created_ms > NEXT_TOKEN_LIFETIME_MS:
        raise ExpiredNextTokenException("The NextToken is older than 300 seconds.")
    stream = await get_stream(context, position.stream_name, None)
    if stream.stream_id != position.stream_id:
        raise stream_not_found(context.settings, position.stream_name)
    return stream, position.first


def read_token(context: Context, token: str, kind: type[T], listing: str) -> T:
    """
    Read a NextToken back.

    Raises:
        InvalidArgumentException: it is none of this listing.
    """
    try:
        return context.pages.read(token, kind, listing)
    except InvalidParameterException:
        raise InvalidArgumentException("Invalid NextToken.") from None


def _shard_behind(stream: Stream, shard_id: str | None) -> int:
    """Give the first shard behind an id, which need not be that of a shard."""
    if shard_id is None:
        return 0
    count = stream.shard_count
    number = shards.read_shard_number(shard_id)
    if number is not None:
        return min(number + 1, count)
    # Ids have one length, so they sort as their numbers do.
    return next((s for s in range(count) if shards.shard_id(s) > shard_id), count)


def _shard(stream: Stream, shard: int) -> contract.Shard:
    first, last = shards.hash_key_range(shard, stream.shard_count)
    return contract.Shard(
        shard_id=shards.shard_id(shard),
        hash_key_range=contract.HashKeyRange(
            starting_hash_key=str(first), ending_hash_key=str(last)
        ),
        sequence_number_range=contract.SequenceNumberRange(
            starting_sequence_number=shards.sequence_number(stream.stream_id, 0, shard)
        ),
    )
