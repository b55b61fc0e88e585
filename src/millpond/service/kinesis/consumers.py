"""Registered consumers of embedded streams; what they read is in `subscriptions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from millpond import limits
from millpond.contract import kinesis as contract
from millpond.errors import (
    ExpiredNextTokenException,
    InvalidArgumentException,
    LimitExceededException,
    ResourceInUseException,
)
from millpond.service.context import Caller, Context
from millpond.service.kinesis.names import (
    consumer_not_found,
    get_consumer,
    get_stream,
    spell_arn,
    spell_consumer_arn,
    stream_not_found,
)
from millpond.service.kinesis.streams import NEXT_TOKEN_LIFETIME_MS, read_token
from millpond.service.kinesis.tags import check_tags
from millpond.settings import Settings
from millpond.stores.base import Stream, StreamConsumer

_PAGE_MAX: Final = 100  # AWS: ListStreamConsumers, the default of MaxResults
_LISTING: Final = "ListStreamConsumers"


async def register_stream_consumer(
    context: Context, caller: Caller, request: contract.RegisterStreamConsumerRequest
) -> contract.RegisterStreamConsumerResponse:
    """Register a consumer; it is ACTIVE at once."""
    stream = await get_stream(context, None, request.stream_arn)
    name, tags = request.consumer_name, request.tags or {}
    check_tags(tags, f"consumer {name}")
    consumer = StreamConsumer(
        stream_id=stream.stream_id,
        consumer_name=name,
        creation_date_ms=context.now_ms(),
        tags=tags,
    )

    def decide(others: Sequence[StreamConsumer]) -> None:
        if any(each.consumer_name == name for each in others):
            # AWS: this text.
            raise ResourceInUseException(
                f"Consumer {name} under stream {stream.stream_name} already exists for "
                f"account {context.settings.account_id}."
            )
        if len(others) >= limits.STREAM_CONSUMERS_MAX:
            raise LimitExceededException(
                f"Stream {stream.stream_name} has {len(others)} consumers; the limit "
                f"is {limits.STREAM_CONSUMERS_MAX}."
            )

    if not await context.store.create_stream_consumer(consumer, decide):
        raise stream_not_found(context.settings, stream.stream_name)
    return contract.RegisterStreamConsumerResponse(
        consumer=contract.Consumer(**_told(context.settings, stream, consumer))
    )


async def describe_stream_consumer(
    context: Context, caller: Caller, request: contract.DescribeStreamConsumerRequest
) -> contract.DescribeStreamConsumerResponse:
    """Tell what is known about a consumer."""
    stream, consumer = await get_consumer(
        context,
        stream_arn=request.stream_arn,
        consumer_name=request.consumer_name,
        consumer_arn=request.consumer_arn,
    )
    return contract.DescribeStreamConsumerResponse(
        consumer_description=contract.ConsumerDescription(
            **_told(context.settings, stream, consumer),
            stream_arn=spell_arn(context.settings, stream.stream_name),
        )
    )


class _Position(msgspec.Struct, frozen=True, array_like=True):
    """Where a listing of consumers goes on."""

    stream_id: int
    after: str
    created_ms: int


async def list_stream_consumers(
    context: Context, caller: Caller, request: contract.ListStreamConsumersRequest
) -> contract.ListStreamConsumersResponse:
    """List a page of the consumers of a stream."""
    stream = await get_stream(context, None, request.stream_arn)
    after, created = None, request.stream_creation_timestamp
    if request.next_token is not None:
        if created is not None:
            raise InvalidArgumentException(
                "NextToken and StreamCreationTimestamp cannot be provided together."
            )
        position = read_token(context, request.next_token, _Position, _LISTING)
        if context.now_ms() - position.created_ms > NEXT_TOKEN_LIFETIME_MS:
            raise ExpiredNextTokenException("The NextToken is older than 300 seconds.")
        if position.stream_id != stream.stream_id:
            raise InvalidArgumentException("The NextToken is that of another stream.")
        after = position.after
    # Many clients cut the time that they were told to whole seconds.
    if created is not None and abs(stream.creation_date_ms / 1000 - created) >= 1:
        raise stream_not_found(context.settings, stream.stream_name)
    limit = min(request.max_results or _PAGE_MAX, _PAGE_MAX)
    found = await context.store.list_stream_consumers(
        stream.stream_id, after=after, limit=limit + 1
    )
    page, token = found[:limit], None
    if len(found) > limit:
        last = page[-1].consumer_name
        here = _Position(stream.stream_id, last, context.now_ms())
        token = context.pages.seal(here, _LISTING)
    return contract.ListStreamConsumersResponse(
        consumers=[
            contract.Consumer(**_told(context.settings, stream, each)) for each in page
        ],
        next_token=token,
    )


async def deregister_stream_consumer(
    context: Context, caller: Caller, request: contract.DeregisterStreamConsumerRequest
) -> None:
    """Forget a consumer."""
    stream, consumer = await get_consumer(
        context,
        stream_arn=request.stream_arn,
        consumer_name=request.consumer_name,
        consumer_arn=request.consumer_arn,
    )
    name = consumer.consumer_name
    if not await context.store.delete_stream_consumer(stream.stream_id, name):
        raise consumer_not_found(context, name)


def _told(
    settings: Settings, stream: Stream, consumer: StreamConsumer
) -> dict[str, Any]:
    return {
        "consumer_name": consumer.consumer_name,
        "consumer_arn": spell_consumer_arn(settings, stream.stream_name, consumer),
        "consumer_status": "ACTIVE",
        "consumer_creation_timestamp": consumer.creation_date_ms / 1000,
    }
