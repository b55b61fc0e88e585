"""The outbox relay: in order, at least once, and never in the way."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from millpond.core.targets import Property, Target, Words
from millpond.errors import SinkError, SinkUnavailableError, StreamGoneError
from millpond.sinks import SinkRegistry
from millpond.sinks.base import FailedRecord
from millpond.testing.deadlines import seconds
from millpond.testing.fakes import scripted_factories
from millpond.workers import delivery, outbox_relay
from millpond.workers.outbox_relay import OutboxRelay

from .conftest import OTHER_POOL, OTHER_STREAM, POOL, Run, World

ONE = "us-east-1:1"
TWO = "us-east-1:2"
POISON = [FailedRecord(0, "poison", retryable=False)]


def relay_of(world: World) -> OutboxRelay:
    return OutboxRelay(world.context, world.sinks, world.metrics)


async def turn(relay: OutboxRelay) -> None:
    """Let the relay send what it can, until something is wrong or nothing waits."""
    await relay.step()
    await relay.settle()


def keys_taken(world: World) -> list[str]:
    """The keys that arrived, in order."""
    events = [json.loads(record.data) for record in world.sink.taken]
    return [each["key"] for event in events for each in event["kinesisSyncRecords"]]


def test_changes_arrive_in_order_and_leave_the_outbox(run: Run) -> None:
    """Changes reach the stream in the order of their commits and are then forgotten."""

    async def test(world: World) -> None:
        for key in "abc":
            await world.write(ONE, "d", key)

        await turn(relay_of(world))

        assert keys_taken(world) == ["a", "b", "c"]
        assert [r.partition_key for r in world.sink.taken] == [ONE] * 3
        assert await world.waiting() == 0

    run(test)


def test_what_the_sink_could_not_take_is_sent_again(run: Run) -> None:
    """After a failed put the same changes are sent again, under the same message id."""

    async def test(world: World) -> None:
        relay = relay_of(world)
        await world.write(ONE, "d", "a")

        await turn(relay)
        assert await world.waiting() == 1
        await turn(relay)

        assert keys_taken(world) == ["a"]
        assert await world.waiting() == 0
        first, second = world.sink.seen
        assert first == second
        assert first[0].message_id

    run(test, [SinkUnavailableError("down")])


def test_message_ids_differ(run: Run) -> None:
    """No two changes have the same message id, however alike they are."""

    async def test(world: World) -> None:
        for _ in range(3):
            await world.write(ONE, "d", "a")
        await turn(relay_of(world))

        assert len({each.message_id for each in world.sink.taken}) == 3

    run(test)


def test_a_failed_record_is_not_overtaken(run: Run) -> None:
    """Records of other identities pass a failed one; those of its own wait for it."""

    async def test(world: World) -> None:
        relay = relay_of(world)
        await world.write(ONE, "d", "one-a")
        await world.write(TWO, "d", "two-a")
        await world.write(ONE, "d", "one-b")

        await turn(relay)
        await turn(relay)

        assert keys_taken(world) == ["two-a", "one-a", "one-b"]

    run(test, [[FailedRecord(0, "throttled", retryable=True)]])


def test_a_refused_record_is_parked(run: Run) -> None:
    """What the stream refuses for good goes aside, with the reason; others go on."""

    async def test(world: World) -> None:
        await world.write(ONE, "d", "one-a")
        await world.write(ONE, "d", "one-b")
        await world.write(TWO, "d", "two-a")

        await turn(relay_of(world))

        assert keys_taken(world) == ["two-a", "one-b"]
        assert await world.waiting() == 0
        (parked,) = await world.context.store.list_parked_outbox(POOL, after=0, limit=9)
        assert parked.reason == "poison"
        assert json.loads(parked.entry.data)["kinesisSyncRecords"][0]["key"] == "one-a"
        assert (
            world.metrics.registry.get_sample_value("millpond_outbox_parked_total") == 1
        )

    run(test, [POISON, POISON])


def test_a_refusal_is_believed_the_second_time(run: Run) -> None:
    """A sink that is opened anew may know how the record fits."""

    async def test(world: World) -> None:
        await world.write(ONE, "d", "a")
        await world.write(ONE, "d", "b")

        await turn(relay_of(world))

        assert keys_taken(world) == ["a", "b"]
        assert world.sink.closed == 1
        assert (
            await world.context.store.list_parked_outbox(POOL, after=0, limit=9) == []
        )

    run(test, [POISON])


def test_a_parked_record_that_is_returned_is_sent(run: Run) -> None:
    """When the reason is gone, parked changes can be sent after all."""

    async def test(world: World) -> None:
        relay = relay_of(world)
        await world.write(ONE, "d", "a")
        await turn(relay)
        store = world.context.store
        (parked,) = await store.list_parked_outbox(POOL, after=0, limit=9)

        await store.return_parked_outbox(POOL, [parked.entry.outbox_id])
        await turn(relay)

        assert keys_taken(world) == ["a"]

    run(test, [POISON, POISON])


def test_a_stream_that_is_gone_switches_streaming_off(run: Run) -> None:
    """StreamingStatus becomes DISABLED, with why and when; the changes wait."""

    async def test(world: World) -> None:
        relay = relay_of(world)
        await world.write(ONE, "d", "a")

        await turn(relay)

        pool = await world.context.store.find_identity_pool(POOL)
        assert pool is not None
        assert pool.stream is not None
        assert pool.stream.streaming_status == "DISABLED"
        assert pool.stream.disabled_reason == "it was drained"
        assert pool.stream.disabled_date_ms is not None
        await world.write(ONE, "d", "unseen")  # does not fail, and is not streamed
        await world.stream("ENABLED")
        await turn(relay)
        assert keys_taken(world) == ["a"]

    run(test, [StreamGoneError("it was drained")])


def test_a_stream_that_stalls_is_given_up(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A put without an answer ends after a time, and is tried again on a new sink."""
    monkeypatch.setattr(delivery, "PUT_S_MAX", 0.05)

    async def test(world: World) -> None:
        relay = relay_of(world)
        await world.write(ONE, "d", "a")

        await turn(relay)
        assert world.sink.closed == 1
        assert await world.waiting() == 1
        await turn(relay)

        assert keys_taken(world) == ["a"]

    run(test, [lambda: asyncio.Event().wait()])


def test_a_lost_answer_loses_nothing(run: Run) -> None:
    """What was taken without an answer is sent again: a repeat, and no gap."""

    async def test(world: World) -> None:
        relay = relay_of(world)
        await world.write(ONE, "d", "a")
        world.sink.loses_answers = 1

        await turn(relay)
        await turn(relay)

        assert keys_taken(world) == ["a", "a"]
        first, second = world.sink.taken
        assert first == second
        assert await world.waiting() == 0

    run(test)


def test_a_stalled_stream_holds_up_no_other_pool(run: Run) -> None:
    """While one stream does not answer, changes of other pools go out."""

    reached, released = asyncio.Event(), asyncio.Event()

    async def stall() -> None:
        reached.set()
        await released.wait()

    async def test(world: World) -> None:
        relay = relay_of(world)
        await world.add_pool(OTHER_POOL, OTHER_STREAM)
        await world.write(ONE, "d", "stuck")
        await relay.step()
        await reached.wait()

        await world.write(ONE, "d", "free", pool=OTHER_POOL)
        await relay.step()
        await world.other_sink.wait_for(1)

        assert world.sink.taken == []
        released.set()
        await relay.settle()
        assert keys_taken(world) == ["stuck"]

    run(test, [stall])


def test_trouble_of_one_pool_is_not_that_of_another(run: Run) -> None:
    """A sink that fails in a way nobody expected holds up its own pool alone."""

    async def test(world: World) -> None:
        relay = relay_of(world)
        await world.add_pool(OTHER_POOL, OTHER_STREAM)
        await world.write(ONE, "d", "a")
        await world.write(ONE, "d", "b", pool=OTHER_POOL)

        await turn(relay)

        assert len(world.other_sink.taken) == 1
        assert await world.waiting() == 1
        await turn(relay)
        await turn(relay)
        assert keys_taken(world) == ["a"]

    run(test, [ZeroDivisionError("nobody expected it"), SinkError("nor this")])


def test_a_long_queue_is_sent_in_batches(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No put holds more than the sink takes, and no read more than its bound."""
    monkeypatch.setattr(outbox_relay, "ENTRIES_MAX", 4)

    async def test(world: World) -> None:
        world.sink.records_max = 3
        for number in range(9):
            await world.write(ONE, "d", f"{number}")

        await turn(relay_of(world))

        assert keys_taken(world) == [f"{number}" for number in range(9)]
        assert [len(each) for each in world.sink.seen] == [3, 1, 3, 1, 1]

    run(test)


def test_the_relay_runs_until_it_is_cancelled(run: Run) -> None:
    """A running relay sends what is written, at once, and stops when it is told to."""

    async def test(world: World) -> None:
        relay = relay_of(world)
        running = asyncio.create_task(relay.run())
        for number in range(3):
            await world.write(ONE, "d", f"{number}")
            await world.sink.wait_for(number + 1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await world.write(ONE, "d", "later")

        assert keys_taken(world) == ["0", "1", "2"]
        assert await world.waiting() == 1

    run(test)


@pytest.mark.parametrize("assumed", [True, False])
def test_the_role_of_the_pool_is_for_the_sink(run: Run, assumed: bool) -> None:
    """With the setting, the sink is made for the RoleArn of the pool."""

    async def test(world: World) -> None:
        await world.stream("ENABLED", role_arn="arn:aws:iam::000000000000:role/pour")
        await world.write(ONE, "d", "a")

        await turn(relay_of(world))

        assert keys_taken(world) == ["a"]
        wanted = "arn:aws:iam::000000000000:role/pour" if assumed else None
        assert world.roles == [None, None, wanted]  # two when the settings are checked

    run(test, stream_assume_roles=assumed)


def test_a_relay_that_is_cancelled_at_once_ends(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lane that has not begun yet does not keep the relay from ending."""

    async def step_once(
        name: str, step: Callable[[], Awaitable[bool]], **options: Any
    ) -> None:
        await step()
        raise asyncio.CancelledError  # before the lane has had a turn

    monkeypatch.setattr(outbox_relay, "run_steps", step_once)

    async def test(world: World) -> None:
        await world.write(ONE, "d", "a")
        running = asyncio.create_task(relay_of(world).run())
        await asyncio.wait({running}, timeout=seconds(20))

        assert running.cancelled()
        assert await world.waiting() == 1

    run(test)


def test_a_change_that_is_too_large_is_sent_as_a_link(run: Run) -> None:
    """A record over the sink's limit arrives as S3Url, and the link has its records."""

    async def test(world: World) -> None:
        world.sink.record_bytes_max = 400
        await world.write(ONE, "d", *(f"key-{n}" for n in range(10)))

        await turn(relay_of(world))

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


def test_a_large_change_that_is_sent_again_leaves_one_payload(run: Run) -> None:
    """It has the same link each time; another change has another one."""

    async def test(world: World) -> None:
        relay = relay_of(world)
        world.sink.record_bytes_max = 400
        await world.write(ONE, "d", *(f"key-{n}" for n in range(10)))
        await world.write(ONE, "d", *(f"key-{n}" for n in range(10)))

        await turn(relay)
        await turn(relay)

        first, second, *again = [
            json.loads(record.data)["kinesisSyncRecordsURL"]
            for put in world.sink.seen
            for record in put
        ]
        assert first != second
        assert again == [first, second]

    run(test, [SinkUnavailableError("down")])


UNFIT = Target(
    name="The stream",
    properties={Property.NEEDS_A_READER: Words("retention=interest", "Add one.")},
)


def test_a_stream_that_would_not_keep_changes_is_waited_for(run: Run) -> None:
    """People mend it: the changes wait, streaming stays on, and then they are sent."""

    async def test(world: World) -> None:
        world.sink.target = UNFIT
        relay = relay_of(world)
        await world.write(ONE, "d", "a")
        await turn(relay)

        assert world.sink.puts == 0
        assert await world.waiting() == 1
        pool = await world.context.store.find_identity_pool(POOL)
        assert pool is not None
        assert pool.stream is not None
        assert pool.stream.streaming
        world.sink.target = Target(name="The stream")
        await turn(relay)
        assert keys_taken(world) == ["a"]

    run(test)


def test_a_stream_that_is_open_is_looked_at_again(run: Run) -> None:
    """One that comes to drop what it takes gets no more of it."""

    async def test(world: World) -> None:
        world.sinks = SinkRegistry(
            world.context.settings.streams,
            scripted_factories([], scripted=world.sink, other=world.other_sink),
            look_again_s=0,
        )
        relay = relay_of(world)
        await world.write(ONE, "d", "a")
        await turn(relay)
        world.sink.target = UNFIT
        await world.write(ONE, "d", "b")
        await turn(relay)

        assert keys_taken(world) == ["a"]
        assert await world.waiting() == 1
        assert world.sink.closed == 1

    run(test)
