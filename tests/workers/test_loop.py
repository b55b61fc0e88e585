"""The loop of the workers, and its pauses."""

import asyncio
import contextlib

import pytest

from millpond.service.context import Signal
from millpond.testing.deadlines import seconds
from millpond.workers.loop import Backoff, run_steps


def test_backoff_doubles_up_to_its_limit_with_jitter() -> None:
    """Delays lie between half and all of a doubling, bounded figure."""
    backoff = Backoff(0.2, 10.0)

    for failures in [*range(1, 40), 2000]:
        whole = min(0.2 * 2 ** min(failures - 1, 50), 10.0)
        assert whole / 2 <= backoff.delay_s(failures) <= whole


def test_a_signal_ends_the_pause() -> None:
    """A worker that waits for long is woken at once."""

    async def main() -> None:
        stepped = asyncio.Event()

        async def step() -> bool:
            stepped.set()
            return False

        signal = Signal()
        worker = asyncio.create_task(run_steps("test", step, pause_s=3600, wake=signal))
        for _ in range(3):
            async with asyncio.timeout(seconds(20)):
                await stepped.wait()
            stepped.clear()
            await asyncio.sleep(0)  # the worker goes from its step into its pause
            signal.send()
        worker.cancel()

    asyncio.run(main())


@pytest.mark.parametrize("turns", range(5))
def test_a_worker_ends_however_near_a_signal_is(turns: int) -> None:
    """A cancellation that meets a signal is not lost."""

    async def main() -> None:
        async def step() -> bool:
            return False

        signal = Signal()
        worker = asyncio.create_task(run_steps("test", step, pause_s=3600, wake=signal))
        for _ in range(5):
            await asyncio.sleep(0)
        signal.send()
        for _ in range(turns):
            await asyncio.sleep(0)
        worker.cancel()
        await asyncio.wait({worker}, timeout=seconds(20))

        assert worker.cancelled()

    asyncio.run(main())


@pytest.mark.parametrize("more", [True, False])
def test_a_step_that_swallows_a_cancellation_ends_the_worker(more: bool) -> None:
    """Drivers do so; the worker ends behind the step."""

    async def main() -> None:
        begun = asyncio.Event()

        async def step() -> bool:
            begun.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
            return more

        worker = asyncio.create_task(run_steps("test", step, pause_s=3600))
        await begun.wait()
        worker.cancel()
        await asyncio.wait({worker}, timeout=seconds(20))

        assert worker.cancelled()

    asyncio.run(main())


def test_a_step_that_fails_does_not_end_the_worker(monkeypatch) -> None:
    """A worker outlives an error of one of its steps."""
    monkeypatch.setattr("millpond.workers.loop.FAILED_PAUSE_S", 0)
    outcomes = iter([RuntimeError("once"), True])
    done = asyncio.Event()

    async def step() -> bool:
        outcome = next(outcomes, None)
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is None:
            done.set()
        return bool(outcome)

    async def main() -> None:
        worker = asyncio.create_task(run_steps("test", step, pause_s=0))
        async with asyncio.timeout(seconds(20)):
            await done.wait()
        worker.cancel()

    asyncio.run(main())
