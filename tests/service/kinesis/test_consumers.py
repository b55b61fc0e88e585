"""Registered consumers of embedded streams."""

from __future__ import annotations

import asyncio

import pytest

from millpond.contract import kinesis as contract
from millpond.errors import (
    ExpiredNextTokenException,
    InvalidArgumentException,
    LimitExceededException,
    ResourceInUseException,
    ResourceNotFoundException,
    ServiceException,
)

STREAM_ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/changes"
CONSUMER_ARN = f"{STREAM_ARN}/consumer/app:1750000000"
OTHERS = [
    "arn:aws:kinesis:eu-west-1:000000000000:stream/changes",  # another region
    "arn:aws:kinesis:us-east-1:111111111111:stream/changes",  # another account
    "arn:aws:kinesis:us-east-1:000000000000:stream/other",
    "arn:aws-cn:kinesis:us-east-1:000000000000:stream/changes",
]


async def register(server, *names, **members):
    """Register consumers of the stream `changes`; answer the last."""
    for name in names:
        answer = await server.call(
            "register_stream_consumer",
            stream_arn=STREAM_ARN,
            consumer_name=name,
            **members,
        )
    return answer.consumer


def test_a_consumer_is_active_at_once(play):
    """It is described as it was registered, by its ARN and by its name."""

    async def scene(server):
        await server.create()
        consumer = await register(server, "app")

        assert consumer == contract.Consumer(
            consumer_name="app",
            consumer_arn=CONSUMER_ARN,
            consumer_status="ACTIVE",
            consumer_creation_timestamp=1_750_000_000.25,
        )
        by_arn = {"consumer_arn": CONSUMER_ARN}
        by_name = {"stream_arn": STREAM_ARN, "consumer_name": "app"}
        for named in (by_arn, by_name, by_arn | by_name):
            answer = await server.call("describe_stream_consumer", **named)
            assert answer.consumer_description == contract.ConsumerDescription(
                consumer_name="app",
                consumer_arn=CONSUMER_ARN,
                consumer_status="ACTIVE",
                consumer_creation_timestamp=1_750_000_000.25,
                stream_arn=STREAM_ARN,
            )

    play(scene)


def test_a_name_is_taken_once(play):
    """The second is refused in Kinesis's words; of many at once, one gets it."""

    async def scene(server):
        await server.create()
        answers = await asyncio.gather(
            *(register(server, "app") for _ in range(5)), return_exceptions=True
        )
        refusals = [each for each in answers if isinstance(each, ServiceException)]

        assert len(refusals) == 4
        assert {type(each) for each in refusals} == {ResourceInUseException}
        assert refusals[0].message == (
            "Consumer app under stream changes already exists for account 000000000000."
        )

    play(scene)


def test_a_stream_has_at_most_twenty_consumers(play):
    """The next one is refused, and one that leaves makes room."""

    async def scene(server):
        await server.create()
        await register(server, *(f"app-{n}" for n in range(20)))
        wanted = {"stream_arn": STREAM_ARN, "consumer_name": "late"}
        message = await server.refused(
            LimitExceededException, "register_stream_consumer", **wanted
        )

        assert message == "Stream changes has 20 consumers; the limit is 20."
        await server.call(
            "deregister_stream_consumer", stream_arn=STREAM_ARN, consumer_name="app-3"
        )
        await server.call("register_stream_consumer", **wanted)

    play(scene)


def test_consumers_are_listed_in_pages(play):
    """By name; the token goes on, of this stream and for five minutes."""

    async def scene(server):
        await server.create()
        await server.create("other")
        await register(server, "c", "a", "b")

        async def page(stream_arn=STREAM_ARN, **members):
            answer = await server.call(
                "list_stream_consumers", stream_arn=stream_arn, **members
            )
            return [each.consumer_name for each in answer.consumers], answer.next_token

        assert await page() == (["a", "b", "c"], None)
        names, token = await page(max_results=2)
        assert names == ["a", "b"]
        assert await page(next_token=token) == (["c"], None)
        assert await page(stream_creation_timestamp=1_750_000_000) == (
            ["a", "b", "c"],
            None,
        )
        listing = "list_stream_consumers"
        here = {"stream_arn": STREAM_ARN}
        for error, members in (
            (ResourceNotFoundException, {"stream_creation_timestamp": 1_749_999_000.0}),
            (InvalidArgumentException, {"next_token": "x"}),
            (
                InvalidArgumentException,
                {"next_token": token, "stream_creation_timestamp": 1.0},
            ),
            (
                InvalidArgumentException,
                {"next_token": token, "stream_arn": OTHERS[2]},
            ),
        ):
            await server.refused(error, listing, **(here | members))
        server.now_ms += 300_001
        await server.refused(
            ExpiredNextTokenException, listing, next_token=token, **here
        )

    play(scene)


def test_a_consumer_is_forgotten(play):
    """Its ARN names nobody any more, nor the one that takes its name later."""

    async def scene(server):
        await server.create()
        await register(server, "app")
        await server.call("deregister_stream_consumer", consumer_arn=CONSUMER_ARN)
        for operation in ("describe_stream_consumer", "deregister_stream_consumer"):
            message = await server.refused(
                ResourceNotFoundException, operation, consumer_arn=CONSUMER_ARN
            )
            assert message == (
                f"Consumer {CONSUMER_ARN}, account 000000000000 not found."
            )
        server.now_ms += 5000
        again = await register(server, "app")

        assert again.consumer_arn != CONSUMER_ARN
        await server.refused(
            ResourceNotFoundException,
            "describe_stream_consumer",
            consumer_arn=CONSUMER_ARN,
        )

    play(scene)


@pytest.mark.parametrize("stream_arn", OTHERS)
def test_a_stream_that_is_not_here_is_not_found(play, stream_arn):
    """An ARN of another region, account or partition names nothing here."""

    async def scene(server):
        await server.create()
        await register(server, "app")
        for operation, members in (
            (
                "register_stream_consumer",
                {"stream_arn": stream_arn, "consumer_name": "x"},
            ),
            (
                "describe_stream_consumer",
                {"stream_arn": stream_arn, "consumer_name": "app"},
            ),
            (
                "deregister_stream_consumer",
                {"consumer_arn": f"{stream_arn}/consumer/app:1750000000"},
            ),
            ("list_stream_consumers", {"stream_arn": stream_arn}),
        ):
            await server.refused(ResourceNotFoundException, operation, **members)

    play(scene)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"stream_arn": STREAM_ARN},
        {"consumer_name": "app"},
        {"consumer_arn": CONSUMER_ARN, "consumer_name": "other"},
        {"consumer_arn": CONSUMER_ARN, "stream_arn": OTHERS[2]},
    ],
)
def test_a_consumer_must_be_named(play, members):
    """By its ARN, or by its name and that of its stream, and these must agree."""

    async def scene(server):
        await server.create()
        await register(server, "app", "other")
        for operation in ("describe_stream_consumer", "deregister_stream_consumer"):
            await server.refused(InvalidArgumentException, operation, **members)

    play(scene)


def test_a_stream_with_consumers_is_not_deleted_by_accident(play):
    """It takes EnforceConsumerDeletion; the stream of its name begins without any."""

    async def scene(server):
        await server.create()
        await register(server, "app", "other")
        named = {"stream_name": "changes"}
        for members in ({}, {"enforce_consumer_deletion": False}):
            message = await server.refused(
                ResourceInUseException, "delete_stream", **named, **members
            )
            assert message.startswith("Stream changes has 2 registered consumers;")
        summary = await server.call("describe_stream_summary", **named)
        assert summary.stream_description_summary.consumer_count == 2

        await server.call("delete_stream", **named, enforce_consumer_deletion=True)

        await server.create()
        summary = await server.call("describe_stream_summary", **named)
        assert summary.stream_description_summary.consumer_count == 0
        await server.refused(
            ResourceNotFoundException,
            "describe_stream_consumer",
            consumer_arn=CONSUMER_ARN,
        )

    play(scene)
