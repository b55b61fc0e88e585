"""Shapes of the Kinesis API: consumers of their own, with subscriptions."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from millpond.contract.kinesis.records import RecordList
from millpond.contract.kinesis.streams import HashKeyRange
from millpond.contract.kinesis.values import (
    ConsumerARN,
    ConsumerName,
    ConsumerStatus,
    DryRun,
    ListStreamConsumersInputLimit,
    MillisBehindLatest,
    NextToken,
    SequenceNumber,
    ShardId,
    ShardIdList,
    ShardIteratorType,
    StreamARN,
    TagMap,
    Timestamp,
)
from millpond.contract.shapes import EventStream, Shape, about


class Consumer(Shape, kw_only=True):
    """A registered consumer of a stream."""

    consumer_name: ConsumerName
    consumer_arn: ConsumerARN = msgspec.field(name="ConsumerARN")
    consumer_status: ConsumerStatus
    consumer_creation_timestamp: Annotated[
        Timestamp, about("When the consumer was registered.")
    ]


class ConsumerDescription(Shape, kw_only=True):
    """A registered consumer, with its stream."""

    consumer_name: ConsumerName
    consumer_arn: ConsumerARN = msgspec.field(name="ConsumerARN")
    consumer_status: ConsumerStatus
    consumer_creation_timestamp: Annotated[
        Timestamp, about("When the consumer was registered.")
    ]
    stream_arn: StreamARN = msgspec.field(name="StreamARN")


ConsumerList = Annotated[list[Consumer], Meta(title="ConsumerList")]


class RegisterStreamConsumerRequest(Shape, kw_only=True):
    """
    Register a consumer of an embedded stream, which may then subscribe to its shards.

    It can be used at once. A stream has at most 20 consumers.
    """

    stream_arn: StreamARN = msgspec.field(name="StreamARN")
    consumer_name: ConsumerName
    tags: TagMap | None = None


class RegisterStreamConsumerResponse(Shape, kw_only=True):
    """The consumer."""

    consumer: Consumer


class DescribeStreamConsumerRequest(Shape, kw_only=True):
    """
    Tell what is known about a consumer.

    It is named by its ARN, or by its name and the ARN of its stream.
    """

    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)
    consumer_name: ConsumerName | None = None
    consumer_arn: ConsumerARN | None = msgspec.field(name="ConsumerARN", default=None)


class DescribeStreamConsumerResponse(Shape, kw_only=True):
    """The consumer."""

    consumer_description: ConsumerDescription


class ListStreamConsumersRequest(Shape, kw_only=True):
    """
    List the consumers of an embedded stream, by name.

    A NextToken is good for five minutes.
    """

    stream_arn: StreamARN = msgspec.field(name="StreamARN")
    next_token: NextToken | None = None
    max_results: (
        Annotated[
            ListStreamConsumersInputLimit, about("How many to answer; 100 at most.")
        ]
        | None
    ) = None
    stream_creation_timestamp: (
        Annotated[
            Timestamp,
            about("When the stream was created, to tell it from one of its name."),
        ]
        | None
    ) = None


class ListStreamConsumersResponse(Shape, kw_only=True):
    """A page of consumers."""

    consumers: ConsumerList
    next_token: NextToken | None = None


class DeregisterStreamConsumerRequest(Shape, kw_only=True):
    """
    Forget a consumer; its subscriptions end.

    It is named by its ARN, or by its name and the ARN of its stream.
    """

    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)
    consumer_name: ConsumerName | None = None
    consumer_arn: ConsumerARN | None = msgspec.field(name="ConsumerARN", default=None)


class StartingPosition(Shape, kw_only=True):
    """Where a subscription begins."""

    type: ShardIteratorType
    sequence_number: (
        Annotated[
            SequenceNumber,
            about("With AT_SEQUENCE_NUMBER and AFTER_SEQUENCE_NUMBER."),
        ]
        | None
    ) = None
    timestamp: (
        Annotated[
            Timestamp,
            about("With AT_TIMESTAMP: begin at the first record from this time on."),
        ]
        | None
    ) = None


class SubscribeToShardRequest(Shape, kw_only=True):
    """
    Read a shard as its records come, for five minutes.

    The answer is a stream of events, `application/vnd.amazon.eventstream`. It begins
    with `initial-response`; an event without records comes at once, and whenever there
    were none for a while. A consumer has one subscription to a shard at a time: within
    five seconds of a call another one is refused with ResourceInUseException, later it
    takes over.
    """

    consumer_arn: ConsumerARN = msgspec.field(name="ConsumerARN")
    shard_id: ShardId
    starting_position: StartingPosition
    dry_run: DryRun | None = None


class ChildShard(Shape, kw_only=True):
    """A shard that goes on where another one was closed; there are none here."""

    shard_id: ShardId
    parent_shards: ShardIdList
    hash_key_range: HashKeyRange


ChildShardList = Annotated[list[ChildShard], Meta(title="ChildShardList")]


class SubscribeToShardEvent(Shape, kw_only=True):
    """Records of a shard, and where to go on."""

    records: RecordList
    continuation_sequence_number: Annotated[
        SequenceNumber,
        about("Subscribe AFTER_SEQUENCE_NUMBER this one to go on behind the event."),
    ]
    millis_behind_latest: Annotated[
        MillisBehindLatest,
        about("The age of the last record of the event; 0 when none is left."),
    ]
    child_shards: (
        Annotated[ChildShardList, about("Left out: no shard is ever closed.")] | None
    ) = None


class SubscribeToShardEventStream(EventStream, kw_only=True):
    """
    The events.

    In the place of one there may be a ResourceInUseException (another subscription took
    over), a ResourceNotFoundException (the stream or the consumer is gone) or an
    InternalFailureException; it is the last.
    """

    subscribe_to_shard_event: SubscribeToShardEvent | None = None


class SubscribeToShardResponse(Shape, kw_only=True):
    """The stream of events."""

    event_stream: SubscribeToShardEventStream
