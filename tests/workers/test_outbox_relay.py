"""The outbox relay: in order, at least once, and never in the way."""

import json

from millpond.errors import SinkUnavailableError, StreamGoneError
from millpond.sinks.base import FailedRecord
from millpond.workers.outbox_relay import OutboxRelay

from .conftest import POOL, Run, World

ONE = "us-east-1:1"
TWO = "us-east-1:2"


def relay_of(world: World) -> OutboxRelay:
    return OutboxRelay(world.context, world.sinks, world.metrics)


def keys_taken(world: World) -> list[str]:
    """The keys that arrived, in order."""
    events = [json.loads(record.data) for record in world.sink.taken]
    return [each["key"] for event in events for each in event["kinesisSyncRecords"]]


def test_changes_arrive_in_order_and_leave_the_outbox(run: Run) -> None:
    """Changes reach the stream in the order of their commits and are then forgotten."""

    async def test(world: World) -> None:
        for key in "abc":
            await world.write(ONE, "d", key)

        sent = await relay_of(world).step()

        assert sent
        assert keys_taken(world) == ["a", "b", "c"]
        assert [r.partition_key for r in world.sink.taken] == [ONE] * 3
        assert await world.context.store.count_outbox() == 0
        assert not await relay_of(world).step()

    run(test)


def test_what_the_sink_could_not_take_is_sent_again(run: Run) -> None:
    """After a failed put the same changes are sent again, none lost."""

    async def test(world: World) -> None:
        relay = relay_of(world)
        await world.write(ONE, "d", "a")

        assert not await relay.step()
        assert await world.context.store.count_outbox() == 1
        assert await relay.step()

        assert keys_taken(world) == ["a"]
        assert await world.context.store.count_outbox() == 0

    run(test, [SinkUnavailableError("down")])


def test_a_failed_record_is_not_overtaken(run: Run) -> None:
    """Records of other identities pass a failed one; those of its own wait for it."""

    async def test(world: World) -> None:
        relay = relay_of(world)
        await world.write(ONE, "d", "one-a")
        await world.write(TWO, "d", "two-a")
        await world.write(ONE, "d", "one-b")

        await relay.step()
        await relay.step()

        assert keys_taken(world) == ["two-a", "one-a", "one-b"]

    run(test, [[FailedRecord(0, "throttled", retryable=True)]])


def test_a_stream_that_is_gone_switches_streaming_off(run: Run) -> None:
    """StreamingStatus becomes DISABLED; the changes wait for better times."""

    async def test(world: World) -> None:
        relay = relay_of(world)
        await world.write(ONE, "d", "a")

        await relay.step()

        pool = await world.context.store.find_identity_pool(POOL)
        assert pool is not None
        assert pool.stream is not None
        assert pool.stream.streaming_status == "DISABLED"
        await world.write(ONE, "d", "unseen")  # does not fail, and is not streamed
        await world.stream("ENABLED")
        await relay.step()
        assert keys_taken(world) == ["a"]

    run(test, [StreamGoneError("gone")])


def test_a_change_that_is_too_large_is_sent_as_a_link(run: Run) -> None:
    """A record over the sink's limit arrives as S3Url, and the link has its records."""

    async def test(world: World) -> None:
        world.sink.record_bytes_max = 400
        await world.write(ONE, "d", *(f"key-{n}" for n in range(10)))

        await relay_of(world).step()

        (record,) = world.sink.taken
        event = json.loads(record.data)
        assert event["payloadType"] == "S3Url"
        assert event["kinesisSyncRecords"] is None
        url = event["kinesisSyncRecordsURL"]
        assert url.startswith("http://millpond.test/stream-payloads/")
        data = await world.context.store.find_stream_payload(
            url.rsplit("/", 1)[1], now_ms=world.context.now_ms()
        )
        assert data is not None
        assert [each["key"] for each in json.loads(data)] == [
            f"key-{n}" for n in range(10)
        ]

    run(test)
