"""The bulk-publish runner: everything arrives, or the run says why not."""

import asyncio
import dataclasses
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from millpond.core.bulk_publish import Counts, LeasedSlice, cut_slices
from millpond.core.targets import Property, Target, Words
from millpond.errors import (
    LeaseLostError,
    SinkUnavailableError,
    StoreUnavailableError,
    StreamGoneError,
)
from millpond.sinks.base import FailedRecord
from millpond.testing.deadlines import Deadline
from millpond.workers import bulk_publish_runner, delivery
from millpond.workers.bulk_publish_runner import BulkPublishRunner
from millpond.workers.outbox_relay import OutboxRelay

from .conftest import OTHER_STREAM, POOL, Run, World


class Clock:
    """The clock of a world, which stands still until it is told to step."""

    def __init__(self, world: World) -> None:
        self.now_ms = world.context.now_ms()
        world.context = dataclasses.replace(world.context, now_ms=lambda: self.now_ms)

    def step(self, by_ms: int) -> None:
        """Step forward, or back."""
        self.now_ms += by_ms


def runner_of(world: World, worker: str = "local-0") -> BulkPublishRunner:
    return BulkPublishRunner(world.context, world.sinks, world.metrics, worker=worker)


async def fill(world: World, identities: int = 16) -> set[tuple[str, str]]:
    """Write two datasets for each of some identities, spread over all slices."""
    await world.stream("DISABLED")  # nothing by the outbox
    names = set()
    for number in range(identities):
        identity_id = f"us-east-1:{number * 256 // identities:02x}"
        for dataset_name in ("one", "two"):
            await world.write(identity_id, dataset_name, "a", "b")
            names.add((identity_id, dataset_name))
    await world.stream("ENABLED")
    return names


def arrived(world: World) -> list[tuple[str, str]]:
    events = [json.loads(record.data) for record in world.sink.taken]
    return [(each["identityId"], each["dataSetName"]) for each in events]


async def delivered(world: World) -> Counts:
    """What the progress of the run says that has been delivered."""
    progress = await world.context.store.find_bulk_publish_progress(POOL)
    assert progress is not None
    return progress.delivered


async def publish(world: World) -> None:
    runner = runner_of(world)
    while await runner.step():
        pass


def test_every_dataset_arrives_once_and_the_run_succeeds(run: Run) -> None:
    """A run without trouble puts every dataset once, in order for each identity."""

    async def test(world: World) -> None:
        names = await fill(world)
        await world.start_bulk_publish()

        await publish(world)

        assert sorted(arrived(world)) == sorted(names)
        assert arrived(world) == sorted(arrived(world))  # one worker, slice by slice
        details = await world.details()
        assert details.bulk_publish_status == "SUCCEEDED"
        assert details.bulk_publish_complete_time is not None
        assert details.failure_message is None

    run(test)


def test_trouble_that_passes_loses_nothing(run: Run) -> None:
    """Refusals, partial failures and outages are survived; the run still succeeds."""

    async def test(world: World) -> None:
        names = await fill(world)
        await world.start_bulk_publish()

        await publish(world)

        assert set(arrived(world)) == names
        assert (await world.details()).bulk_publish_status == "SUCCEEDED"

    run(
        test,
        [
            SinkUnavailableError("down"),
            [FailedRecord(0, "throttled", retryable=True)],
            [FailedRecord(1, "throttled", retryable=True)],
            None,
            SinkUnavailableError("down again"),
        ],
    )


def test_a_run_fails_when_retries_are_spent(run: Run) -> None:
    """FailureMessage names the stream, the cause, the slice and how far it got."""

    async def test(world: World) -> None:
        await fill(world)
        await world.start_bulk_publish()

        await publish(world)

        details = await world.details()
        assert details.bulk_publish_status == "FAILED"
        assert details.bulk_publish_complete_time is None
        message = details.failure_message or ""
        assert "Stream 'changes'" in message
        assert "slice 2 of 4" in message
        assert "the dam broke" in message
        assert "8 of 32 datasets" in message

    run(
        test,
        [None, *[SinkUnavailableError("the dam broke")] * 3],
        bulk_publish_retries_max=2,
    )


def test_a_stream_that_is_gone_fails_the_run_at_once(run: Run) -> None:
    """Nothing is tried again, and the run can be started anew at once."""

    async def test(world: World) -> None:
        names = await fill(world)
        await world.start_bulk_publish()

        await publish(world)

        assert world.sink.puts == 1
        assert (await world.details()).bulk_publish_status == "FAILED"
        await world.start_bulk_publish()
        assert (await world.details()).bulk_publish_status == "IN_PROGRESS"
        await publish(world)
        assert set(arrived(world)) == names
        assert (await world.details()).bulk_publish_status == "SUCCEEDED"

    run(test, [StreamGoneError("gone")])


def test_a_record_refused_for_good_fails_the_run(run: Run) -> None:
    """A record that can never be taken ends the run; it is not dropped in silence."""

    async def test(world: World) -> None:
        await fill(world)
        await world.start_bulk_publish()

        await publish(world)

        message = (await world.details()).failure_message or ""
        assert "poison" in message

    run(test, [[FailedRecord(0, "poison", retryable=False)]] * 2)


def test_an_interrupted_slice_goes_on_from_its_checkpoint(run: Run) -> None:
    """What a dead worker had checkpointed is not put again; the rest is, by another."""

    class Died(BaseException):
        """Not an Exception, so that nothing handles it, as with a real death."""

    async def test(world: World) -> None:
        names = await fill(world)
        await world.start_bulk_publish()
        world.sink.records_max = 4

        def die_at_the_third() -> None:
            if world.sink.puts == 3:
                raise Died

        world.sink.before_put = die_at_the_third
        with pytest.raises(Died):
            await publish(world)
        before = len(world.sink.taken)
        world.sink.before_put = None
        await world.context.store.release_slices("local-0")

        await publish(world)

        assert before == 8
        assert set(arrived(world)) == names
        assert len(arrived(world)) == len(names)  # nothing acknowledged was repeated
        assert (await world.details()).bulk_publish_status == "SUCCEEDED"

    run(test)


def test_a_worker_that_lost_its_lease_stops(run: Run) -> None:
    """A second worker takes an expired lease over; the first one's checkpoint fails."""

    async def test(world: World) -> None:
        names = await fill(world)
        await world.start_bulk_publish()
        store = world.context.store
        held = await store.lease_slice(
            "sleeper", now_ms=world.context.now_ms(), lease_ms=0
        )
        assert held is not None

        await publish(world)

        with pytest.raises(LeaseLostError):
            await store.checkpoint_slice(
                held, None, held.counts, lease_until_ms=world.context.now_ms()
            )
        assert set(arrived(world)) == names
        assert (await world.details()).bulk_publish_status == "SUCCEEDED"

    run(test)


def test_an_error_of_ours_fails_the_run(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody expected ends the run; it does not stay IN_PROGRESS for ever."""

    async def broken(*args: object) -> None:
        raise ZeroDivisionError

    async def test(world: World) -> None:
        await fill(world)
        await world.start_bulk_publish()
        monkeypatch.setattr(delivery, "fit", broken)

        await publish(world)

        details = await world.details()
        assert details.bulk_publish_status == "FAILED"
        assert "internal error" in (details.failure_message or "")

    run(test)


def test_a_store_that_fails_for_a_while_delays_the_run(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that cannot answer is tried again; the worker and the run live on."""

    async def test(world: World) -> None:
        names = await fill(world)
        await world.start_bulk_publish()
        store = type(world.context.store)
        for method in ("release_slices", "lease_slice", "scan_datasets"):
            original = getattr(store, method)
            failures = [StoreUnavailableError("busy")]

            async def flaky(
                *args: object, original=original, failures=failures, **named: object
            ) -> object:
                if failures:
                    raise failures.pop()
                return await original(*args, **named)

            monkeypatch.setattr(store, method, flaky)
        monkeypatch.setattr(bulk_publish_runner, "POSTPONED_MS", 0)
        runner = runner_of(world)
        for _ in range(2):
            with pytest.raises(StoreUnavailableError):
                await runner.step()

        while await runner.step():
            pass

        assert set(arrived(world)) == names
        assert (await world.details()).bulk_publish_status == "SUCCEEDED"

    run(test)


def test_a_slice_out_of_reach_lets_others_go_on(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its data comes once it can be read; meanwhile all that others have arrives."""

    async def test(world: World) -> None:
        names = await fill(world)
        clock = Clock(world)
        await world.start_bulk_publish()
        away = {0}
        store = type(world.context.store)
        scan = store.scan_datasets

        async def scan_some(store: Any, leased: LeasedSlice, **bounds: Any) -> Any:
            if leased.slice.number in away:
                raise StoreUnavailableError("A server is away.")
            return await scan(store, leased, **bounds)

        monkeypatch.setattr(store, "scan_datasets", scan_some)
        await publish(world)

        count = world.context.settings.bulk_publish_slices
        end = cut_slices("us-east-1", count)[0].end
        assert end is not None
        missing = names - set(arrived(world))
        assert missing == {name for name in names if name[0] < end}
        assert (await world.details()).bulk_publish_status == "IN_PROGRESS"

        away.clear()
        clock.step(bulk_publish_runner.POSTPONED_MS)
        await publish(world)

        assert sorted(arrived(world)) == sorted(names)
        assert (await world.details()).bulk_publish_status == "SUCCEEDED"

    run(test)


def test_the_end_of_a_slice_is_kept_when_it_is_done(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slice of one page takes no commit for its checkpoint; all of it is counted."""

    async def test(world: World) -> None:
        names = await fill(world)
        await world.start_bulk_publish()
        store = type(world.context.store)
        checkpoint = store.checkpoint_slice
        kept: list[int] = []

        async def watched(
            store: Any, leased: LeasedSlice, *args: Any, **to: Any
        ) -> None:
            kept.append(leased.slice.number)
            await checkpoint(store, leased, *args, **to)

        monkeypatch.setattr(store, "checkpoint_slice", watched)

        await publish(world)

        assert kept == [3]  # the last one, which looks at the stream once more
        assert sorted(arrived(world)) == sorted(names)
        counts = await delivered(world)
        assert (counts.datasets, counts.records) == (len(names), 2 * len(names))

    run(test)


def test_a_slice_whose_end_cannot_be_kept_is_put_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was put behind the last checkpoint comes twice, under the same ids."""

    async def test(world: World) -> None:
        names = await fill(world)
        await world.start_bulk_publish()
        store = type(world.context.store)
        finish = store.finish_slice
        failures = [StoreUnavailableError("busy")]

        async def flaky(*args: Any, **reached: Any) -> Any:
            if failures:
                raise failures.pop()
            return await finish(*args, **reached)

        monkeypatch.setattr(store, "finish_slice", flaky)
        monkeypatch.setattr(bulk_publish_runner, "POSTPONED_MS", 0)

        await publish(world)

        assert set(arrived(world)) == names
        ids = Counter(each.message_id for each in world.sink.taken)
        assert Counter(ids.values()) == {1: len(names) - 8, 2: 8}  # of one slice
        assert (await delivered(world)).datasets == len(names)
        assert (await world.details()).bulk_publish_status == "SUCCEEDED"

    run(test)


def test_the_next_page_is_read_while_one_is_put(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One page ahead and no further; and what was only read is no checkpoint."""

    async def test(world: World) -> None:
        names = await fill(world)
        await world.start_bulk_publish()
        world.sink.records_max = 2
        pages = watch_scans(world, monkeypatch)
        behind: list[int] = []

        async def look_around() -> None:
            await until(lambda: len(pages) > len(behind) % 4 + 1)
            for _ in range(20):  # in which one more would be asked for
                await asyncio.sleep(0)
            behind.append(len(pages))
            assert (await delivered(world)).datasets == len(world.sink.taken)
            if len(behind) % 4 == 0:
                pages.clear()

        world.sink.script = [look_around] * 16

        await publish(world)

        assert behind == [2, 3, 4, 5] * 4  # the last one of a slice is empty
        assert sorted(arrived(world)) == sorted(names)
        assert (await world.details()).bulk_publish_status == "SUCCEEDED"

    run(test)


def test_a_page_that_cannot_be_read_takes_nothing_from_the_one_before(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is being put meanwhile is acknowledged, and not put again."""

    async def test(world: World) -> None:
        names = await fill(world)
        await world.start_bulk_publish()
        world.sink.records_max = 4
        store = type(world.context.store)
        scan = store.scan_datasets
        failed = asyncio.Event()

        async def scan_once(
            store: Any, leased: LeasedSlice, *, position: Any, **bounds: Any
        ) -> Any:
            if position is not None and not failed.is_set():
                failed.set()
                raise StoreUnavailableError("A server is away.")
            return await scan(store, leased, position=position, **bounds)

        async def wait_for_failure() -> None:
            await failed.wait()

        monkeypatch.setattr(store, "scan_datasets", scan_once)
        monkeypatch.setattr(bulk_publish_runner, "POSTPONED_MS", 0)
        world.sink.script = [wait_for_failure]

        await publish(world)

        assert sorted(arrived(world)) == sorted(names)  # each of them once
        assert (await world.details()).bulk_publish_status == "SUCCEEDED"

    run(test)


def test_a_put_that_fails_ends_the_reading_beside_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of a run that is over goes on, however long it would take."""

    async def test(world: World) -> None:
        await fill(world)
        await world.start_bulk_publish()
        world.sink.records_max = 4
        store = type(world.context.store)
        scan = store.scan_datasets
        reading, given_up = asyncio.Event(), asyncio.Event()

        async def scan_for_ever(
            store: Any, leased: LeasedSlice, *, position: Any, **bounds: Any
        ) -> Any:
            if position is None:
                return await scan(store, leased, position=position, **bounds)
            reading.set()
            try:
                await asyncio.Event().wait()
            finally:
                given_up.set()

        async def fail_meanwhile() -> None:
            await reading.wait()
            raise StreamGoneError("gone")

        monkeypatch.setattr(store, "scan_datasets", scan_for_ever)
        world.sink.script = [fail_meanwhile]

        await publish(world)

        assert given_up.is_set()
        assert (await world.details()).bulk_publish_status == "FAILED"

    run(test)


def watch_scans(world: World, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how many datasets each scan found."""
    found: list[int] = []
    store = type(world.context.store)
    scan = store.scan_datasets

    async def watched(*args: Any, **bounds: Any) -> Any:
        page = await scan(*args, **bounds)
        found.append(len(page))
        return page

    monkeypatch.setattr(store, "scan_datasets", watched)
    return found


async def until(condition: Callable[[], bool]) -> None:
    deadline = Deadline(10)
    while not condition():
        assert not deadline.passed()
        await asyncio.sleep(0.001)


def test_a_lost_answer_repeats_and_loses_nothing(run: Run) -> None:
    """A put that was taken without an answer is repeated under the same message ids."""

    async def test(world: World) -> None:
        names = await fill(world)
        await world.start_bulk_publish()
        world.sink.loses_answers = 2

        await publish(world)

        assert set(arrived(world)) == names
        ids = Counter(each.message_id for each in world.sink.taken)
        assert len(ids) == len(names)
        assert max(ids.values()) > 1
        assert (await world.details()).bulk_publish_status == "SUCCEEDED"

    run(test)


def test_a_stall_is_given_up_and_tried_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sink that does not answer delays the run, and then it goes on."""
    monkeypatch.setattr(delivery, "PUT_S_MAX", 0.05)

    async def test(world: World) -> None:
        names = await fill(world)
        await world.start_bulk_publish()

        await publish(world)

        assert set(arrived(world)) == names
        assert world.sink.closed == 1
        assert (await world.details()).bulk_publish_status == "SUCCEEDED"

    run(test, [None, lambda: asyncio.Event().wait()])


def test_two_workers_that_hold_one_slice_do_no_harm(run: Run) -> None:
    """The one that was away too long delivers again and is stopped; all arrives."""
    reached, released = asyncio.Event(), asyncio.Event()

    async def sleep() -> None:
        reached.set()
        await released.wait()

    async def test(world: World) -> None:
        names = await fill(world)
        await world.start_bulk_publish()
        clock = Clock(world)
        sleeper, other = runner_of(world, "sleeper"), runner_of(world, "other")
        asleep = asyncio.create_task(sleeper.step())
        await reached.wait()  # in the middle of its put
        clock.step(bulk_publish_runner.LEASE_MS + 1)

        while await other.step():
            pass
        assert (await world.details()).bulk_publish_status == "SUCCEEDED"
        ended = await world.details()
        assert set(arrived(world)) == names

        released.set()
        await asleep
        assert set(arrived(world)) == names
        assert ended == await world.details()
        assert not await sleeper.step()

    run(test, [sleep])


@pytest.mark.parametrize("back_ms", [1, 1000, 86_400_000])
def test_a_clock_that_steps_back_delays_nothing(run: Run, back_ms: int) -> None:
    """A slice of a dead worker is taken over at once, and the end is not too early."""

    async def test(world: World) -> None:
        names = await fill(world)
        await world.start_bulk_publish()
        clock = Clock(world)
        dead = await world.context.store.lease_slice(
            "dead", now_ms=clock.now_ms, lease_ms=bulk_publish_runner.LEASE_MS
        )
        assert dead is not None
        clock.step(-back_ms)

        await publish(world)

        assert set(arrived(world)) == names
        details = await world.details()
        assert details.bulk_publish_status == "SUCCEEDED"
        assert details.bulk_publish_start_time is not None
        assert details.bulk_publish_complete_time is not None
        assert details.bulk_publish_start_time <= details.bulk_publish_complete_time

    run(test)


def test_streaming_that_is_switched_off_fails_the_run(run: Run) -> None:
    """What is written meanwhile would not come by the outbox, so no success is told."""

    async def test(world: World) -> None:
        await fill(world)
        await world.start_bulk_publish()
        runner = runner_of(world)
        await runner.step()
        await world.stream("DISABLED")

        while await runner.step():
            pass

        details = await world.details()
        assert details.bulk_publish_status == "FAILED"
        assert "switched off during the run" in (details.failure_message or "")
        assert len(arrived(world)) == 8

    run(test)


def test_another_stream_in_the_middle_fails_the_run(run: Run) -> None:
    """Half of a pool in one stream and its changes in another are no success."""

    async def test(world: World) -> None:
        await fill(world)
        await world.start_bulk_publish()
        await world.stream("ENABLED", stream=OTHER_STREAM)

        await publish(world)

        details = await world.details()
        assert details.bulk_publish_status == "FAILED"
        assert f"another stream, '{OTHER_STREAM}'" in (details.failure_message or "")
        assert arrived(world) == []
        assert world.other_sink.taken == []

    run(test)


def test_streaming_that_was_off_for_a_while_fails_the_run(run: Run) -> None:
    """What a merge moved meanwhile would be missing, though streaming is on again."""

    async def test(world: World) -> None:
        await fill(world)
        await world.configure("ENABLED")
        await world.start_bulk_publish()
        runner = runner_of(world)
        await runner.step()
        await world.configure("DISABLED")
        await world.configure("ENABLED")

        while await runner.step():
            pass

        details = await world.details()
        assert details.bulk_publish_status == "FAILED"
        assert "for a while during the run" in (details.failure_message or "")
        await world.start_bulk_publish()
        await publish(world)
        assert (await world.details()).bulk_publish_status == "SUCCEEDED"

    run(test)


def test_configuring_the_same_again_disturbs_no_run(run: Run) -> None:
    """Only a switch counts."""

    async def test(world: World) -> None:
        await fill(world)
        await world.configure("ENABLED")
        await world.start_bulk_publish()
        runner = runner_of(world)
        await runner.step()
        await world.configure("ENABLED")

        while await runner.step():
            pass

        assert (await world.details()).bulk_publish_status == "SUCCEEDED"

    run(test)


def test_a_run_ends_when_what_waited_has_arrived(run: Run) -> None:
    """SUCCEEDED is told after the changes that waited, not before."""

    async def test(world: World) -> None:
        await fill(world)
        await world.write("us-east-1:00", "moved", "k")
        await world.start_bulk_publish()
        publishing = asyncio.create_task(publish(world))
        await world.sink.wait_for(1)
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert (await world.details()).bulk_publish_status == "IN_PROGRESS"

        relay = OutboxRelay(world.context, world.sinks, world.metrics)
        await relay.step()
        await relay.settle()
        await world.write("us-east-1:00", "moved", "later")  # need not be waited for
        await relay.step()
        await relay.settle()
        await publishing

        assert (await world.details()).bulk_publish_status == "SUCCEEDED"

    run(test, bulk_publish_slices=1)


def test_a_worker_that_fails_does_not_fail_the_other(run: Run) -> None:
    """One that gives up a sink closes it under the other, which tries again."""

    async def closed_meanwhile() -> None:
        raise SinkUnavailableError("closed in the middle of a put")

    async def test(world: World) -> None:
        names = await fill(world)
        await world.start_bulk_publish()
        one, two = runner_of(world, "one"), runner_of(world, "two")

        async def work(runner: BulkPublishRunner) -> None:
            while await runner.step():
                pass

        await asyncio.gather(work(one), work(two))

        assert set(arrived(world)) == names
        assert (await world.details()).bulk_publish_status == "SUCCEEDED"

    run(test, [SinkUnavailableError("stalled"), closed_meanwhile])


def test_a_deleted_pool_ends_its_run_quietly(run: Run) -> None:
    """A pool that is deleted in the middle leaves nothing to publish and no error."""

    async def test(world: World) -> None:
        await fill(world)
        await world.start_bulk_publish()
        await world.context.store.delete_identity_pool(POOL)

        await publish(world)

        assert world.sink.taken == []

    run(test)


NO_READER = {Property.NEEDS_A_READER: Words("retention=interest", "Add a consumer.")}


def test_a_stream_that_would_not_keep_it_fails_the_run_before_a_record(
    run: Run,
) -> None:
    """Nothing is put and nothing retried; the message says what to change."""

    async def test(world: World) -> None:
        await fill(world)
        world.sink.target = Target(name="The stream", properties=NO_READER)
        await world.start_bulk_publish()

        await publish(world)

        details = await world.details()
        assert details.bulk_publish_status == "FAILED"
        assert world.sink.puts == 0
        message = details.failure_message or ""
        assert "retention=interest" in message
        assert "Add a consumer." in message
        world.sink.target = Target(name="The stream")
        await world.start_bulk_publish()
        await publish(world)
        assert (await world.details()).bulk_publish_status == "SUCCEEDED"

    run(test)


@pytest.mark.parametrize(
    ("after", "cause"),
    [
        (Target(name="It", identity="two", oldest={"": 1}), "created again"),
        (Target(name="It", identity="one", oldest={"": 2}), "dropped records"),
        (Target(name="It", identity="one", properties=NO_READER), "no reader waits"),
    ],
)
def test_a_run_whose_stream_lost_records_does_not_succeed(
    run: Run, after: Target, cause: str
) -> None:
    """What becomes of the stream after the first record is seen at the end."""

    async def test(world: World) -> None:
        await fill(world)
        world.sink.target = Target(name="It", identity="one", following={"": 1})
        await world.start_bulk_publish()

        def change() -> None:
            world.sink.target = after

        world.sink.before_put = change
        await publish(world)

        details = await world.details()
        assert details.bulk_publish_status == "FAILED"
        assert cause in (details.failure_message or "")

    run(test)


def test_the_mark_of_a_run_outlives_its_worker(run: Run) -> None:
    """A stream that is created again while nobody works is noticed all the same."""

    class Died(BaseException):
        """Not an Exception, so that nothing handles it, as with a real death."""

    def die() -> None:
        raise Died

    async def test(world: World) -> None:
        await fill(world)
        world.sink.target = Target(name="It", identity="one")
        await world.start_bulk_publish()
        world.sink.before_put = die
        with pytest.raises(Died):
            await publish(world)
        world.sink.before_put = None
        world.sink.target = Target(name="It", identity="two")
        await world.context.store.release_slices("local-0")

        await publish(world)

        details = await world.details()
        assert details.bulk_publish_status == "FAILED"
        assert "created again" in (details.failure_message or "")

    run(test)


def test_a_long_run_is_looked_at_in_between(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss ends a run when it is seen, not only when all has been sent."""
    monkeypatch.setattr(bulk_publish_runner, "LOOK_S", 0.0)

    async def test(world: World) -> None:
        await fill(world)
        world.sink.records_max = 1
        world.sink.target = Target(name="It", following={"": 1})
        await world.start_bulk_publish()

        def drop() -> None:
            if world.sink.puts == 3:
                world.sink.target = Target(name="It", oldest={"": 2})

        world.sink.before_put = drop
        await publish(world)

        assert (await world.details()).bulk_publish_status == "FAILED"
        assert world.sink.puts == 3

    run(test)


def test_a_look_that_gets_no_answer_is_tried_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the stream cannot be asked for a moment is no loss."""

    async def test(world: World) -> None:
        await fill(world)
        await world.start_bulk_publish()
        look, answers = world.sink.look, iter([False, True, False])

        async def sometimes() -> Target:
            if next(answers, True):
                return await look()
            raise SinkUnavailableError("No answer.")

        monkeypatch.setattr(world.sink, "look", sometimes)
        await publish(world)

        assert (await world.details()).bulk_publish_status == "SUCCEEDED"

    run(test)


def test_a_run_that_takes_longer_than_the_stream_keeps_fails(run: Run) -> None:
    """Its first records are dropped when its last ones arrive."""

    async def test(world: World) -> None:
        await fill(world)
        clock = Clock(world)
        world.sink.target = Target(name="It", keeps_ms=3_600_000)
        await world.start_bulk_publish()
        world.sink.before_put = lambda: clock.step(1_000_000)

        await publish(world)

        details = await world.details()
        assert details.bulk_publish_status == "FAILED"
        assert "It keeps a record for 60 min" in (details.failure_message or "")

    run(test)


def test_a_stream_is_not_asked_at_the_end_of_every_slice(run: Run) -> None:
    """A run of many small slices asks at its beginning and at its end."""

    async def test(world: World) -> None:
        await fill(world)
        await world.start_bulk_publish()

        await publish(world)

        assert (await world.details()).bulk_publish_status == "SUCCEEDED"
        assert world.sink.looks == 2

    run(test, bulk_publish_slices=64)
