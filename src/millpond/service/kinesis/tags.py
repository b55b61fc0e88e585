"""Tags of embedded streams and of their consumers."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from millpond import limits
from millpond.contract import kinesis as contract
from millpond.errors import InvalidArgumentException
from millpond.service.context import Caller, Context
from millpond.service.kinesis.names import (
    consumer_not_found,
    get_resource,
    get_stream,
    stream_not_found,
)
from millpond.stores.base import Stream, StreamConsumer

Tags = Mapping[str, str]

_PAGE_MAX: Final = 50  # AWS: model, ListTagsForStreamInputLimit
# AWS: "Unicode letters, digits, white space, _ . / = + - @"; colons and commas came
# later. Marks belong to the letters before them.
_KINDS: Final = frozenset("LMNZ")
_SIGNS: Final = frozenset("_.:,/=+-@")
_RESERVED: Final = "aws:"


async def add_tags_to_stream(
    context: Context, caller: Caller, request: contract.AddTagsToStreamRequest
) -> None:
    """Add tags to a stream; those whose keys it has already are replaced."""
    stream = await get_stream(context, request.stream_name, request.stream_arn)
    await _change(context, stream, None, _adding(request.tags))


async def remove_tags_from_stream(
    context: Context, caller: Caller, request: contract.RemoveTagsFromStreamRequest
) -> None:
    """Remove tags from a stream."""
    stream = await get_stream(context, request.stream_name, request.stream_arn)
    await _change(context, stream, None, _removing(request.tag_keys))


async def list_tags_for_stream(
    context: Context, caller: Caller, request: contract.ListTagsForStreamRequest
) -> contract.ListTagsForStreamResponse:
    """List a page of the tags of a stream."""
    stream = await get_stream(context, request.stream_name, request.stream_arn)
    limit = request.limit or _PAGE_MAX
    after = request.exclusive_start_tag_key
    found = [each for each in _listed(stream.tags) if after is None or each.key > after]
    return contract.ListTagsForStreamResponse(
        tags=found[:limit], has_more_tags=len(found) > limit
    )


async def tag_resource(
    context: Context, caller: Caller, request: contract.TagResourceRequest
) -> None:
    """Add tags to a stream or to a consumer."""
    resource = await get_resource(context, request.resource_arn)
    await _change(context, *resource, _adding(request.tags))


async def untag_resource(
    context: Context, caller: Caller, request: contract.UntagResourceRequest
) -> None:
    """Remove tags from a stream or from a consumer."""
    resource = await get_resource(context, request.resource_arn)
    await _change(context, *resource, _removing(request.tag_keys))


async def list_tags_for_resource(
    context: Context, caller: Caller, request: contract.ListTagsForResourceRequest
) -> contract.ListTagsForResourceResponse:
    """List the tags of a stream or of a consumer."""
    stream, consumer = await get_resource(context, request.resource_arn)
    tags = stream.tags if consumer is None else consumer.tags
    return contract.ListTagsForResourceResponse(tags=_listed(tags))


def check_tags(tags: Tags, whose: str) -> None:
    """
    Check what something is to be tagged with, in all.

    Args:
        whose: names it in the refusal.
    Raises:
        InvalidArgumentException: there are too many, or they have other characters
            than they may.
    """
    if len(tags) > limits.TAGS_MAX:
        raise InvalidArgumentException(
            f"{whose[:1].upper()}{whose[1:]} would have {len(tags)} tags; the limit is "
            f"{limits.TAGS_MAX}."
        )
    for key, value in tags.items():
        if not (_is_plain(key) and _is_plain(value)):
            # AWS: the second sentence of this text.
            raise InvalidArgumentException(
                f"The tag {key!r} of {whose} has a character that tags may not have. "
                "Valid characters: Unicode letters, digits, white space, "
                "_ . : , / = + - @."
            )
        if key.lower().startswith(_RESERVED):
            raise InvalidArgumentException(
                f"The tag {key!r} of {whose} begins with {_RESERVED}, which is "
                "reserved."
            )


def _is_plain(text: str) -> bool:
    return all(
        each in _SIGNS or unicodedata.category(each)[0] in _KINDS for each in text
    )


def _adding(tags: Tags) -> Callable[[Tags], Tags]:
    return lambda before: {**before, **tags}


def _removing(keys: Iterable[str]) -> Callable[[Tags], Tags]:
    removed = set(keys)
    return lambda before: {k: v for k, v in before.items() if k not in removed}


def _listed(tags: Tags) -> list[contract.Tag]:
    return [contract.Tag(key=key, value=value) for key, value in sorted(tags.items())]


async def _change(
    context: Context,
    stream: Stream,
    consumer: StreamConsumer | None,
    change: Callable[[Tags], Tags],
) -> None:
    if consumer is None:

        def changed(stream: Stream) -> Stream:
            tags = dict(change(stream.tags))
            check_tags(tags, f"stream {stream.stream_name}")
            return msgspec.structs.replace(stream, tags=tags)

        if await context.store.update_stream(stream.stream_id, changed) is None:
            raise stream_not_found(context.settings, stream.stream_name)
        return

    def changed_consumer(consumer: StreamConsumer) -> StreamConsumer:
        tags = dict(change(consumer.tags))
        check_tags(tags, f"consumer {consumer.consumer_name}")
        return msgspec.structs.replace(consumer, tags=tags)

    name = consumer.consumer_name
    store = context.store
    if (
        await store.update_stream_consumer(stream.stream_id, name, changed_consumer)
        is None
    ):
        raise consumer_not_found(context, name)
