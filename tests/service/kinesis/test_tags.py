"""Tags of embedded streams and of their consumers."""

from __future__ import annotations

import asyncio

import pytest

from millpond.errors import InvalidArgumentException, ResourceNotFoundException

STREAM_ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/changes"
CONSUMER_ARN = f"{STREAM_ARN}/consumer/app:1750000000"


async def tags_of(server, resource_arn=STREAM_ARN):
    """List the tags of a resource, as a dictionary that keeps their order."""
    answer = await server.call("list_tags_for_resource", resource_arn=resource_arn)
    return {each.key: each.value for each in answer.tags}


async def create_both(server):
    """Create a stream and a consumer of it."""
    await server.create()
    await server.call(
        "register_stream_consumer", stream_arn=STREAM_ARN, consumer_name="app"
    )


def test_tags_of_a_stream_are_kept(play):
    """Added ones replace those of their keys; removed ones need not be there."""

    async def scene(server):
        await server.call(
            "create_stream", stream_name="changes", shard_count=1, tags={"b": "1"}
        )
        named = {"stream_name": "changes"}
        await server.call("add_tags_to_stream", **named, tags={"a": "", "b": "2 é"})
        assert await tags_of(server) == {"a": "", "b": "2 é"}
        await server.call(
            "remove_tags_from_stream", stream_arn=STREAM_ARN, tag_keys=["b", "none"]
        )

        assert await tags_of(server) == {"a": ""}

    play(scene)


def test_tags_of_a_stream_are_listed_in_pages(play):
    """By key, behind the one named, and it is told whether any are left."""

    async def scene(server):
        await server.create()
        tags = {f"k{n:02}": str(n) for n in range(50)}
        await server.call("add_tags_to_stream", stream_name="changes", tags=tags)

        async def page(**members):
            answer = await server.call(
                "list_tags_for_stream", stream_name="changes", **members
            )
            return [each.key for each in answer.tags], answer.has_more_tags

        keys = list(tags)
        assert await page() == (keys, False)
        assert await page(limit=20) == (keys[:20], True)
        assert await page(limit=30, exclusive_start_tag_key="k19") == (keys[20:], False)
        assert await page(exclusive_start_tag_key="z") == ([], False)

    play(scene)


def test_stream_and_consumer_have_tags_of_their_own(play):
    """The ARN says whose they are."""

    async def scene(server):
        await server.create()
        await server.call(
            "register_stream_consumer",
            stream_arn=STREAM_ARN,
            consumer_name="app",
            tags={"born": "with"},
        )
        for arn, tags in ((STREAM_ARN, {"s": "1"}), (CONSUMER_ARN, {"c": "2"})):
            await server.call("tag_resource", resource_arn=arn, tags=tags)
        assert await tags_of(server) == {"s": "1"}
        assert await tags_of(server, CONSUMER_ARN) == {"born": "with", "c": "2"}
        await server.call(
            "untag_resource", resource_arn=CONSUMER_ARN, tag_keys=["born", "s"]
        )

        assert await tags_of(server) == {"s": "1"}
        assert await tags_of(server, CONSUMER_ARN) == {"c": "2"}

    play(scene)


def test_many_at_once_lose_nothing(play):
    """Tags that are added at the same time are all there."""

    async def scene(server):
        await create_both(server)
        for arn in (STREAM_ARN, CONSUMER_ARN):
            await asyncio.gather(
                *(
                    server.call("tag_resource", resource_arn=arn, tags={f"k{n}": "v"})
                    for n in range(10)
                )
            )
            assert len(await tags_of(server, arn)) == 10

    play(scene)


@pytest.mark.parametrize(
    "tags",
    [
        {"50%": "x"},
        {"k": "a<b>"},
        {"k": "line\nbreak"},
        {"aws:cloudformation:stack-name": "x"},
        {f"k{n}": "" for n in range(51)},
    ],
)
def test_tags_that_may_not_be_are_refused(play, tags):
    """Characters, reserved keys and more than fifty: nothing of it is kept."""

    async def scene(server):
        await create_both(server)
        for arn in (STREAM_ARN, CONSUMER_ARN):
            await server.refused(
                InvalidArgumentException, "tag_resource", resource_arn=arn, tags=tags
            )
            assert await tags_of(server, arn) == {}
        await server.refused(
            InvalidArgumentException,
            "add_tags_to_stream",
            stream_name="changes",
            tags=tags,
        )
        await server.refused(
            InvalidArgumentException,
            "create_stream",
            stream_name="other",
            shard_count=1,
            tags=tags,
        )
        await server.refused(
            InvalidArgumentException,
            "register_stream_consumer",
            stream_arn=STREAM_ARN,
            consumer_name="other",
            tags=tags,
        )
        assert await tags_of(server) == {}

    play(scene)


def test_fifty_tags_are_all(play):
    """The fifty-first is refused, also when it comes alone."""

    async def scene(server):
        await server.create()
        tags = {f"k{n}": "" for n in range(50)}
        await server.call("tag_resource", resource_arn=STREAM_ARN, tags=tags)
        message = await server.refused(
            InvalidArgumentException,
            "tag_resource",
            resource_arn=STREAM_ARN,
            tags={"one more": ""},
        )

        assert message == "Stream changes would have 51 tags; the limit is 50."
        await server.call("tag_resource", resource_arn=STREAM_ARN, tags={"k3": "new"})
        assert len(await tags_of(server)) == 50

    play(scene)


@pytest.mark.parametrize(
    "resource_arn",
    [
        "arn:aws:kinesis:us-east-1:000000000000:stream/other",
        "arn:aws:kinesis:eu-west-1:000000000000:stream/changes",
        "arn:aws:kinesis:us-east-1:111111111111:stream/changes",
        f"{STREAM_ARN}/consumer/other:1750000000",
        f"{STREAM_ARN}/consumer/app:1",
        f"{STREAM_ARN}/consumer/app",
        "arn:aws:kinesis:us-east-1:000000000000:channel/changes",
        "arn:aws:kinesis:us-east-1:000000000000:my-queue/changes",
    ],
)
def test_what_is_not_here_has_no_tags(play, resource_arn):
    """An ARN that names nothing here is not found."""

    async def scene(server):
        await create_both(server)
        for operation, members in (
            ("tag_resource", {"tags": {"k": "v"}}),
            ("untag_resource", {"tag_keys": ["k"]}),
            ("list_tags_for_resource", {}),
        ):
            await server.refused(
                ResourceNotFoundException,
                operation,
                resource_arn=resource_arn,
                **members,
            )

    play(scene)
