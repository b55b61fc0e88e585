"""Subscriptions to shards, event by event."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from millpond import limits
from millpond.contract import kinesis as contract
from millpond.core import shards
from millpond.errors import (
    InvalidArgumentException,
    LimitExceededException,
    ResourceInUseException,
    ResourceNotFoundException,
)
from millpond.service.subscriptions import Begun, Place, Subscriptions
from millpond.testing.deadlines import seconds

STREAM_ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/changes"
CONSUMER_ARN = f"{STREAM_ARN}/consumer/app:1750000000"
SHARD = shards.shard_id(0)


async def create(server, *names, shard_count=1):
    """Create the stream `changes` with consumers."""
    await server.create(shard_count=shard_count)
    for name in names or ("app",):
        await server.call(
            "register_stream_consumer", stream_arn=STREAM_ARN, consumer_name=name
        )


def request(kind="TRIM_HORIZON", *, consumer="app", shard=SHARD, **position):
    """Spell the members of a subscription."""
    return {
        "consumer_arn": f"{STREAM_ARN}/consumer/{consumer}:1750000000",
        "shard_id": shard,
        "starting_position": contract.StartingPosition(type=kind, **position),
    }


@contextlib.asynccontextmanager
async def subscribed(server, *args, **members):
    """Subscribe, and close the subscription in the end."""
    found = await server.call("subscribe_to_shard", **request(*args, **members))
    try:
        yield found
    finally:
        found.close()


async def next_event(subscription):
    """Wait for the next event."""
    async with asyncio.timeout(seconds(20)):
        return await subscription.next_event()


def data(event):
    """Give the data of the records of an event."""
    return [each.data for each in event.records]


def test_a_subscription_tells_what_is_there_and_what_comes(play):
    """First what is behind its beginning, then records as they are put."""

    async def scene(server):
        await create(server)
        numbers = await server.put(b"1", b"2")
        async with subscribed(server) as subscription:
            first = await next_event(subscription)
            waiting = asyncio.create_task(next_event(subscription))
            await asyncio.sleep(0)
            last = await server.put(b"3")
            second = await waiting

        assert data(first) == [b"1", b"2"]
        assert first.continuation_sequence_number == numbers[-1]
        assert (first.millis_behind_latest, first.child_shards) == (0, None)
        assert data(second) == [b"3"]
        assert second.continuation_sequence_number == last[0]

    play(scene)


def test_an_event_comes_at_once_and_after_a_silence(play):
    """Without records, so that nobody takes the connection for dead."""

    async def scene(server):
        await create(server)
        async with subscribed(server, "LATEST") as subscription:
            first = await next_event(subscription)
            server.now_ms += 5000
            second = await next_event(subscription)

        assert data(first) == data(second) == []
        number = shards.parse_sequence_number(first.continuation_sequence_number)
        assert number is not None
        assert (number.number, number.shard) == (0, 0)

    play(scene)


def test_it_goes_on_where_another_one_ended(play):
    """AFTER the continuation of an event comes what is behind it, AT it its last."""

    async def scene(server):
        await create(server, "app", "other")
        await server.put(b"1", b"2")
        async with subscribed(server) as subscription:
            event = await next_event(subscription)
        await server.put(b"3")
        at = {"sequence_number": event.continuation_sequence_number}
        server.now_ms += 5000
        async with subscribed(server, "AFTER_SEQUENCE_NUMBER", **at) as subscription:
            assert data(await next_event(subscription)) == [b"3"]
        other = {"consumer": "other"}
        async with subscribed(server, "AT_SEQUENCE_NUMBER", **at, **other) as it:
            assert data(await next_event(it)) == [b"2", b"3"]

    play(scene)


def test_it_begins_where_it_is_told(play):
    """At a time, at the end and at the oldest record within retention."""

    async def scene(server):
        await create(server, *(f"app-{n}" for n in range(3)))
        await server.put(b"old")
        server.now_ms += 24 * 3_600_000
        await server.put(b"1")
        server.now_ms += 1000
        await server.put(b"2")
        found = {}
        for n, (kind, position) in enumerate(
            (
                ("TRIM_HORIZON", {}),
                ("AT_TIMESTAMP", {"timestamp": server.now_ms / 1000}),
                ("LATEST", {}),
            )
        ):
            async with subscribed(server, kind, consumer=f"app-{n}", **position) as it:
                found[kind] = data(await next_event(it))

        assert found == {
            "TRIM_HORIZON": [b"1", b"2"],
            "AT_TIMESTAMP": [b"2"],
            "LATEST": [],
        }

    play(scene)


def test_an_event_has_an_end(play, monkeypatch):
    """Many records come in several events, each telling how far behind it is."""
    monkeypatch.setattr(limits, "EVENT_RECORDS_MAX", 3)
    monkeypatch.setattr(limits, "EVENT_BYTES_MAX", 5000)
    put = [b"%d" % n for n in range(7)] + [b"x" * 3000, b"y" * 9000, b"z"]

    async def scene(server):
        await create(server)
        await server.put(*put)
        server.now_ms += 400
        async with subscribed(server) as subscription:
            events = [await next_event(subscription) for _ in range(5)]

        assert [data(each) for each in events] == [
            put[:3],
            put[3:6],
            put[6:8],
            put[8:9],
            put[9:],
        ]
        assert [each.millis_behind_latest for each in events] == [400] * 4 + [0]

    play(scene)


def test_it_ends_after_five_minutes(play):
    """Not a moment before, and without an exception."""

    async def scene(server):
        await create(server)
        async with subscribed(server) as subscription:
            server.now_ms += 299_999
            assert await next_event(subscription) is not None
            server.now_ms += 1
            await server.put(b"late")
            assert await next_event(subscription) is None

    play(scene)


def test_a_second_one_is_refused_for_five_seconds(play):
    """Then it takes over, and the first is told so, whether it waits or reads."""

    async def scene(server):
        await create(server)
        async with subscribed(server) as first:
            assert await next_event(first) is not None
            server.now_ms += 4999
            message = await server.refused(
                ResourceInUseException, "subscribe_to_shard", **request()
            )
            assert "consumer app" in message
            waiting = asyncio.create_task(next_event(first))
            await asyncio.sleep(0)
            server.now_ms += 1
            async with subscribed(server) as second:
                with pytest.raises(ResourceInUseException):
                    await waiting
                await server.put(b"1")
                assert data(await next_event(second)) == [b"1"]
                with pytest.raises(ResourceInUseException):
                    await next_event(first)

    play(scene)


def test_a_place_is_held_though_its_reader_left(play):
    """Five seconds count from the call, as they do at Kinesis."""

    async def scene(server):
        await create(server)
        async with subscribed(server):
            pass
        await server.refused(ResourceInUseException, "subscribe_to_shard", **request())
        server.now_ms += 5000
        async with subscribed(server) as subscription:
            assert await next_event(subscription) is not None

    play(scene)


def test_a_clock_that_was_set_back_holds_no_place(play):
    """Nobody waits for longer than five seconds because of it."""

    async def scene(server):
        await create(server)
        async with subscribed(server):
            pass
        server.now_ms -= 3_600_000
        async with subscribed(server) as first:
            assert await next_event(first) is not None
            server.now_ms -= 3_600_000
            async with subscribed(server) as second:
                assert await next_event(second) is not None
                with pytest.raises(ResourceInUseException):
                    await next_event(first)

    play(scene)


def test_consumers_and_shards_have_places_of_their_own(play):
    """Another consumer and another shard disturb nobody."""

    async def scene(server):
        await create(server, "app", "other", shard_count=2)
        async with (
            subscribed(server) as one,
            subscribed(server, consumer="other") as two,
            subscribed(server, shard="shardId-1") as three,
        ):
            await server.put(b"1")
            found = [data(await next_event(each)) for each in (one, two, three)]

        assert sorted(found) == [[], [b"1"], [b"1"]]

    play(scene)


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("deregister_stream_consumer", {"consumer_arn": CONSUMER_ARN}),
        (
            "delete_stream",
            {"stream_name": "changes", "enforce_consumer_deletion": True},
        ),
    ],
)
def test_it_ends_with_its_consumer_and_its_stream(play, operation, members):
    """The reader is told that it is gone, also when the name is taken again."""

    async def scene(server):
        await create(server)
        await server.put(b"1")
        async with subscribed(server) as subscription:
            await next_event(subscription)
            await server.call(operation, **members)
            if operation == "delete_stream":
                await server.create()
            server.now_ms += 2500
            with pytest.raises(ResourceNotFoundException):
                await next_event(subscription)

    play(scene)


def test_what_is_beyond_retention_is_not_told(play):
    """Also when the retention is shortened meanwhile."""

    async def scene(server):
        await create(server)
        await server.call(
            "increase_stream_retention_period",
            stream_name="changes",
            retention_period_hours=48,
        )
        await server.put(b"old")
        server.now_ms += 47 * 3_600_000
        await server.put(b"young")
        async with subscribed(server) as subscription:
            await server.call(
                "decrease_stream_retention_period",
                stream_name="changes",
                retention_period_hours=24,
            )
            server.now_ms += 2500
            assert data(await next_event(subscription)) == [b"young"]

    play(scene)


@pytest.mark.parametrize(
    ("error", "members"),
    [
        (ResourceNotFoundException, {"consumer": "none"}),
        (ResourceNotFoundException, {"shard": "shardId-000000000001"}),
        (ResourceNotFoundException, {"shard": "x"}),
        (InvalidArgumentException, {"sequence_number": "1"}),
        (InvalidArgumentException, {"kind": "AT_SEQUENCE_NUMBER"}),
        (
            InvalidArgumentException,
            {"kind": "AFTER_SEQUENCE_NUMBER", "sequence_number": "7"},
        ),
        (InvalidArgumentException, {"kind": "AT_TIMESTAMP"}),
        (InvalidArgumentException, {"kind": "AT_TIMESTAMP", "timestamp": 2e9}),
    ],
)
def test_what_cannot_be_read_is_refused(play, error, members):
    """It takes no place: a right request is answered right after it."""

    async def scene(server):
        await create(server)
        await server.refused(error, "subscribe_to_shard", **request(**members))
        message = await server.refused(
            InvalidArgumentException, "subscribe_to_shard", **request(), dry_run=True
        )
        assert message == "DryRun is not available."
        async with subscribed(server) as subscription:
            assert await next_event(subscription) is not None

    play(scene)


def test_it_ends_when_it_is_ended(play):
    """By its reader going away, at once and without an exception."""

    async def scene(server):
        await create(server)
        async with subscribed(server) as subscription:
            await next_event(subscription)
            waiting = asyncio.create_task(next_event(subscription))
            await asyncio.sleep(0)
            subscription.end()

            assert await waiting is None

    play(scene)


PLACE = Place(1, "app", 1000, 0)


def test_there_is_a_limit():
    """One too many is refused, and one that left makes room."""
    subscriptions = Subscriptions(subscriptions_max=2)
    seats = [subscriptions.take(Place(1, "app", 1, n), now_ms=1) for n in range(2)]
    with pytest.raises(LimitExceededException, match="limit is 2"):
        subscriptions.take(PLACE, now_ms=1)
    seats[0].leave()
    seats[0].leave()

    subscriptions.take(PLACE, now_ms=1)

    assert subscriptions.count == 2


@pytest.mark.parametrize(
    ("theirs", "stays"),
    [
        (Begun(99_999, "z"), True),
        (Begun(100_000, "a"), True),
        (Begun(100_000, "z"), False),
        (Begun(100_001, "a"), False),
    ],
)
def test_the_later_one_stays_whichever_server_it_is_at(theirs, stays):
    """Of two servers that begin at once, both come to the same answer."""
    subscriptions = Subscriptions()
    subscriptions.node = "m"
    seat = subscriptions.take(PLACE, now_ms=100_000)

    subscriptions.hear(PLACE, theirs)

    assert seat.taken_over is not stays
    with pytest.raises(ResourceInUseException):
        subscriptions.take(PLACE, now_ms=104_999)
    again = subscriptions.take(PLACE, now_ms=105_001)
    assert seat.taken_over
    assert not again.taken_over


def test_the_clock_of_another_server_may_be_ahead():
    """What has just begun there holds its place here as well."""
    subscriptions = Subscriptions()
    subscriptions.hear(PLACE, Begun(100_300, "n"))

    with pytest.raises(ResourceInUseException):
        subscriptions.take(PLACE, now_ms=100_000)


def test_what_began_is_told_to_other_servers():
    """Each place with the time, once."""
    subscriptions = Subscriptions()
    subscriptions.node = "m"
    told = []
    subscriptions.forward = lambda place, begun: told.append((place, begun))

    subscriptions.take(PLACE, now_ms=7)
    subscriptions.hear(Place(1, "app", 1000, 1), Begun(7, "n"))

    assert told == [(PLACE, Begun(7, "m"))]


def test_a_server_that_goes_takes_nobody_in():
    """Those that are there end, and those that come end at once."""
    subscriptions = Subscriptions()
    early = subscriptions.take(PLACE, now_ms=1)
    subscriptions.close()
    late = subscriptions.take(Place(1, "app", 1, 1), now_ms=1)

    assert early.ended
    assert late.ended
    assert not early.taken_over
