"""
What requests of the Kinesis API name: streams and consumers, by name or by ARN.

An ARN of another region or account names nothing here, and is not found.
"""

from __future__ import annotations

import re
from typing import Final

from millpond.errors import InvalidArgumentException, ResourceNotFoundException
from millpond.service.context import Context
from millpond.settings import Settings
from millpond.stores.base import Stream, StreamConsumer

_CONSUMER_ARN: Final = re.compile(
    r"(?a)(arn:[\w-]+:kinesis:[\w-]*:\d+:stream/[\w.-]+)/consumer/([\w.-]+):(\d+)"
)


async def get_stream(
    context: Context, stream_name: str | None, stream_arn: str | None
) -> Stream:
    """
    Find the embedded stream that a request names.

    Raises:
        InvalidArgumentException: neither name nor ARN is given, or they disagree.
        ResourceNotFoundException: there is no such stream here.
    """
    settings = context.settings
    account_id = settings.account_id
    if stream_arn is not None:
        prefix, _, name = stream_arn.partition(":stream/")
        if stream_name not in (None, name):
            raise InvalidArgumentException(
                f"StreamARN {stream_arn} is not the ARN of stream {stream_name}."
            )
        if stream_arn != spell_arn(settings, name):
            raise stream_not_found(settings, name, prefix.rpartition(":")[2])
        stream_name = name
    if stream_name is None:
        raise InvalidArgumentException("Either StreamName or StreamARN is needed.")
    stream = await context.store.find_stream(stream_name)
    if stream is None:
        raise stream_not_found(settings, stream_name, account_id)
    return stream


def stream_not_found(
    settings: Settings, stream_name: str, account_id: str | None = None
) -> ResourceNotFoundException:
    """Say that there is no such stream, in the words of Kinesis."""
    account_id = account_id or settings.account_id
    return ResourceNotFoundException(
        f"Stream {stream_name} under account {account_id} not found."
    )


def spell_arn(settings: Settings, stream_name: str) -> str:
    """Spell the ARN of an embedded stream."""
    return (
        f"arn:aws:kinesis:{settings.region}:{settings.account_id}:stream/{stream_name}"
    )


def spell_consumer_arn(
    settings: Settings, stream_name: str, consumer: StreamConsumer
) -> str:
    """Spell the ARN of a consumer; it ends with the second of its registration."""
    return (
        f"{spell_arn(settings, stream_name)}/consumer/{consumer.consumer_name}:"
        f"{consumer.creation_date_ms // 1000}"
    )


async def get_consumer(
    context: Context,
    *,
    stream_arn: str | None = None,
    consumer_name: str | None = None,
    consumer_arn: str | None = None,
) -> tuple[Stream, StreamConsumer]:
    """
    Find the consumer that a request names, and its stream.

    Raises:
        InvalidArgumentException: neither its ARN nor its name and the ARN of its stream
            are given, or they disagree.
        ResourceNotFoundException: there is no such consumer, or stream.
    """
    if consumer_arn is not None:
        found = _CONSUMER_ARN.fullmatch(consumer_arn)
        if found is None:
            raise consumer_not_found(context, consumer_arn)
        for given, name in ((stream_arn, found[1]), (consumer_name, found[2])):
            if given not in (None, name):
                raise InvalidArgumentException(
                    f"ConsumerARN {consumer_arn} is not the ARN of {given}."
                )
        stream_arn, consumer_name = found[1], found[2]
    if stream_arn is None or consumer_name is None:
        raise InvalidArgumentException(
            "Either ConsumerARN, or StreamARN and ConsumerName, are needed."
        )
    stream = await get_stream(context, None, stream_arn)
    consumer = await context.store.find_stream_consumer(stream.stream_id, consumer_name)
    if consumer is None or consumer_arn not in (
        None,
        spell_consumer_arn(context.settings, stream.stream_name, consumer),
    ):
        raise consumer_not_found(context, consumer_arn or consumer_name)
    return stream, consumer


async def get_resource(
    context: Context, resource_arn: str
) -> tuple[Stream, StreamConsumer | None]:
    """
    Find the stream, or the consumer with its stream, that an ARN names.

    Raises:
        ResourceNotFoundException: there is neither.
    """
    if _CONSUMER_ARN.fullmatch(resource_arn):
        return await get_consumer(context, consumer_arn=resource_arn)
    if ":stream/" not in resource_arn:
        raise ResourceNotFoundException(f"Resource {resource_arn} not found.")
    return await get_stream(context, None, resource_arn), None


def consumer_not_found(context: Context, consumer: str) -> ResourceNotFoundException:
    """Say that there is no such consumer, in the words of Kinesis."""
    return ResourceNotFoundException(
        f"Consumer {consumer}, account {context.settings.account_id} not found."
    )


def shard_not_found(
    context: Context, stream: Stream, shard_id: str
) -> ResourceNotFoundException:
    """Say that a stream has no such shard, in the words of Kinesis."""
    # AWS: this text.
    return ResourceNotFoundException(
        f"Shard {shard_id} in stream {stream.stream_name} under account "
        f"{context.settings.account_id} does not exist"
    )
