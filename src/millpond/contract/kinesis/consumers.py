"""Shapes of the Kinesis API: consumers of their own, with subscriptions."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from millpond.contract.kinesis.values import (
    ConsumerARN,
    ConsumerName,
    ConsumerStatus,
    ListStreamConsumersInputLimit,
    NextToken,
    StreamARN,
    TagMap,
    Timestamp,
)
from millpond.contract.shapes import Shape, about


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
