"""Shapes of the Kinesis API: streams and their shards."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from millpond.contract.kinesis.values import (
    BooleanObject,
    ConsumerCountObject,
    DescribeStreamInputLimit,
    EncryptionType,
    HashKey,
    ListShardsInputLimit,
    ListStreamsInputLimit,
    MaxRecordSizeInKiB,
    MetricsNameList,
    NaturalIntegerObject,
    NextToken,
    PositiveIntegerObject,
    RecordDistributionStrategy,
    RetentionPeriodHours,
    SequenceNumber,
    ShardCountObject,
    ShardFilterType,
    ShardId,
    StreamARN,
    StreamMode,
    StreamName,
    StreamStatus,
    TagMap,
    Timestamp,
)
from millpond.contract.shapes import Shape, about


class StreamModeDetails(Shape, kw_only=True):
    """How the shards of a stream are provided."""

    stream_mode: StreamMode


class StreamSummary(Shape, kw_only=True):
    """A stream in a list."""

    stream_name: StreamName
    stream_arn: StreamARN = msgspec.field(name="StreamARN")
    stream_status: StreamStatus
    stream_mode_details: StreamModeDetails | None = None
    stream_creation_timestamp: (
        Annotated[Timestamp, about("When the stream was created.")] | None
    ) = None


class HashKeyRange(Shape, kw_only=True):
    """The hash keys that belong to a shard, both ends included."""

    starting_hash_key: HashKey
    ending_hash_key: HashKey


class SequenceNumberRange(Shape, kw_only=True):
    """The sequence numbers of a shard. It is open, so there is no end."""

    starting_sequence_number: SequenceNumber
    ending_sequence_number: SequenceNumber | None = None


class Shard(Shape, kw_only=True):
    """A shard of a stream."""

    shard_id: ShardId
    hash_key_range: HashKeyRange
    sequence_number_range: SequenceNumberRange


class EnhancedMetrics(Shape, kw_only=True):
    """The metrics that are kept for every shard: none."""

    shard_level_metrics: Annotated[MetricsNameList, about("Always empty here.")]


ShardList = Annotated[list[Shard], Meta(title="ShardList")]
EnhancedMonitoringList = Annotated[
    list[EnhancedMetrics], Meta(title="EnhancedMonitoringList")
]
StreamNameList = Annotated[list[StreamName], Meta(title="StreamNameList")]
StreamSummaryList = Annotated[list[StreamSummary], Meta(title="StreamSummaryList")]


class StreamDescription(Shape, kw_only=True):
    """A stream and some of its shards."""

    stream_name: StreamName
    stream_arn: StreamARN = msgspec.field(name="StreamARN")
    stream_status: StreamStatus
    stream_mode_details: StreamModeDetails | None = None
    shards: ShardList
    has_more_shards: Annotated[BooleanObject, about("Whether shards are left.")]
    retention_period_hours: Annotated[
        RetentionPeriodHours, about("How long records are kept, in whole hours.")
    ]
    stream_creation_timestamp: Annotated[
        Timestamp, about("When the stream was created.")
    ]
    enhanced_monitoring: EnhancedMonitoringList
    encryption_type: EncryptionType | None = None


class StreamDescriptionSummary(Shape, kw_only=True):
    """A stream, without its shards."""

    stream_name: StreamName
    stream_arn: StreamARN = msgspec.field(name="StreamARN")
    stream_status: StreamStatus
    stream_mode_details: StreamModeDetails | None = None
    retention_period_hours: Annotated[
        RetentionPeriodHours, about("How long records are kept, in whole hours.")
    ]
    stream_creation_timestamp: Annotated[
        Timestamp, about("When the stream was created.")
    ]
    enhanced_monitoring: EnhancedMonitoringList
    encryption_type: EncryptionType | None = None
    open_shard_count: Annotated[ShardCountObject, about("Number of shards.")]
    consumer_count: (
        Annotated[ConsumerCountObject, about("Number of registered consumers.")] | None
    ) = None
    max_record_size_in_kib: (
        Annotated[MaxRecordSizeInKiB, about("Size of the largest record.")] | None
    ) = msgspec.field(name="MaxRecordSizeInKiB", default=None)
    record_distribution_strategy: RecordDistributionStrategy | None = None


class ShardFilter(Shape, kw_only=True):
    """Which shards to list."""

    type: ShardFilterType
    shard_id: (
        Annotated[ShardId, about("With AFTER_SHARD_ID: list those behind it.")] | None
    ) = None
    timestamp: (
        Annotated[Timestamp, about("With AT_TIMESTAMP and FROM_TIMESTAMP.")] | None
    ) = None


class CreateStreamRequest(Shape, kw_only=True):
    """
    Create an embedded stream with a number of shards.

    The stream can be used at once. A name that the server's settings map to another
    sink is refused: such a stream is created where it lives.
    """

    stream_name: StreamName
    shard_count: (
        Annotated[
            PositiveIntegerObject,
            about("Number of shards; needed, but for ON_DEMAND, where it is 4."),
        ]
        | None
    ) = None
    stream_mode_details: (
        Annotated[StreamModeDetails, about("PROVISIONED when it is not given.")] | None
    ) = None
    tags: TagMap | None = None
    warm_throughput_mibps: (
        Annotated[
            NaturalIntegerObject,
            about("Not available: a request that sets it is refused."),
        ]
        | None
    ) = msgspec.field(name="WarmThroughputMiBps", default=None)
    max_record_size_in_kib: (
        Annotated[MaxRecordSizeInKiB, about("1024; anything else is refused.")] | None
    ) = msgspec.field(name="MaxRecordSizeInKiB", default=None)
    record_distribution_strategy: (
        Annotated[
            RecordDistributionStrategy,
            about("USER_PARTITION_KEY; anything else is refused."),
        ]
        | None
    ) = None


class DeleteStreamRequest(Shape, kw_only=True):
    """
    Delete an embedded stream with all its records.

    One that has registered consumers is deleted only with EnforceConsumerDeletion.
    """

    stream_name: StreamName | None = None
    enforce_consumer_deletion: (
        Annotated[
            BooleanObject,
            about("Without it a stream that has consumers is not deleted."),
        ]
        | None
    ) = None
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class ListStreamsRequest(Shape, kw_only=True):
    """List the embedded streams, by name."""

    limit: (
        Annotated[ListStreamsInputLimit, about("How many to answer; 100 at most.")]
        | None
    ) = None
    exclusive_start_stream_name: (
        Annotated[StreamName, about("List the streams behind this name.")] | None
    ) = None
    next_token: NextToken | None = None


class ListStreamsResponse(Shape, kw_only=True):
    """A page of streams."""

    stream_names: StreamNameList
    has_more_streams: Annotated[BooleanObject, about("Whether streams are left.")]
    next_token: NextToken | None = None
    stream_summaries: StreamSummaryList | None = None


class DescribeStreamRequest(Shape, kw_only=True):
    """Tell what is known about an embedded stream, with its shards."""

    stream_name: StreamName | None = None
    limit: (
        Annotated[
            DescribeStreamInputLimit, about("How many shards to answer; 100 at most.")
        ]
        | None
    ) = None
    exclusive_start_shard_id: (
        Annotated[ShardId, about("Answer the shards behind this one.")] | None
    ) = None
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class DescribeStreamResponse(Shape, kw_only=True):
    """The stream."""

    stream_description: StreamDescription


class DescribeStreamSummaryRequest(Shape, kw_only=True):
    """Tell what is known about an embedded stream, without its shards."""

    stream_name: StreamName | None = None
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class DescribeStreamSummaryResponse(Shape, kw_only=True):
    """The stream."""

    stream_description_summary: StreamDescriptionSummary


class ListShardsRequest(Shape, kw_only=True):
    """
    List the shards of an embedded stream.

    The first request names the stream; those that go on give the NextToken in its
    place. The token is good for five minutes.
    """

    stream_name: StreamName | None = None
    next_token: NextToken | None = None
    exclusive_start_shard_id: (
        Annotated[ShardId, about("List the shards behind this one.")] | None
    ) = None
    max_results: (
        Annotated[ListShardsInputLimit, about("How many to answer; 1000 at most.")]
        | None
    ) = None
    stream_creation_timestamp: (
        Annotated[
            Timestamp,
            about("When the stream was created, to tell it from one of its name."),
        ]
        | None
    ) = None
    shard_filter: ShardFilter | None = None
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class ListShardsResponse(Shape, kw_only=True):
    """A page of shards."""

    shards: ShardList
    next_token: NextToken | None = None
