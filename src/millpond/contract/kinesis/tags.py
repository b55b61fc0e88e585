"""Shapes of the Kinesis API: tags of streams and consumers."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from millpond.contract.kinesis.values import (
    BooleanObject,
    ListTagsForStreamInputLimit,
    ResourceARN,
    StreamARN,
    StreamName,
    TagKey,
    TagKeyList,
    TagMap,
    TagValue,
)
from millpond.contract.shapes import Shape, about


class Tag(Shape, kw_only=True):
    """A tag."""

    key: TagKey
    value: TagValue | None = None


TagList = Annotated[
    list[Tag],
    Meta(title="TagList", min_length=0, max_length=200),  # AWS: model, TagList
]


class AddTagsToStreamRequest(Shape, kw_only=True):
    """
    Add tags to an embedded stream; those whose keys it has already are replaced.

    A stream has at most 50 tags.
    """

    stream_name: StreamName | None = None
    tags: TagMap
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class RemoveTagsFromStreamRequest(Shape, kw_only=True):
    """Remove tags from an embedded stream; unknown keys are passed over."""

    stream_name: StreamName | None = None
    tag_keys: TagKeyList
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class ListTagsForStreamRequest(Shape, kw_only=True):
    """List the tags of an embedded stream, by key."""

    stream_name: StreamName | None = None
    exclusive_start_tag_key: (
        Annotated[TagKey, about("List the tags behind this key.")] | None
    ) = None
    limit: (
        Annotated[ListTagsForStreamInputLimit, about("How many to answer; 50 at most.")]
        | None
    ) = None
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class ListTagsForStreamResponse(Shape, kw_only=True):
    """A page of tags."""

    tags: TagList
    has_more_tags: Annotated[BooleanObject, about("Whether tags are left.")]


class TagResourceRequest(Shape, kw_only=True):
    """
    Add tags to an embedded stream or to a consumer.

    Those whose keys it has already are replaced; it has at most 50.
    """

    tags: TagMap
    resource_arn: ResourceARN = msgspec.field(name="ResourceARN")


class UntagResourceRequest(Shape, kw_only=True):
    """Remove tags from an embedded stream or from a consumer."""

    tag_keys: TagKeyList
    resource_arn: ResourceARN = msgspec.field(name="ResourceARN")


class ListTagsForResourceRequest(Shape, kw_only=True):
    """List the tags of an embedded stream or of a consumer, by key."""

    resource_arn: ResourceARN = msgspec.field(name="ResourceARN")


class ListTagsForResourceResponse(Shape, kw_only=True):
    """The tags."""

    tags: TagList
