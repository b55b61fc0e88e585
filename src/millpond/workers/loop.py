"""
The loop that every worker runs in: step, and when there is nothing to do, wait.

A step that fails is logged and tried again later; one that is cancelled ends the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from asyncio import Future
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

import structlog

from millpond.service.context import Context, Signal
from millpond.stores.base import Neighbours

_log = structlog.get_logger()

T = TypeVar("T")

FAILED_PAUSE_S: Final = 1.0


async def run_steps(
    name: str,
    step: Callable[[], Awaitable[bool]],
    *,
    pause_s: float,
    pause_s_max: float | None = None,
    hurry: Callable[[], bool] = lambda: False,
    wake: Signal | None = None,
    rest_s: float = 0.0,
) -> None:
    """
    Run a worker until it is cancelled.

    Args:
        step: returns whether there may be more to do at once.
        pause_s: how long to wait after a step that found nothing to do.
        pause_s_max: to which the wait grows, by half each time, while there is nothing
            to do and nobody wakes; None: it does not grow.
        hurry: whether something is about to be due, so that the wait must not grow.
        wake: ends the wait early.
        rest_s: how long to wait after a step in any case, so that many signals in a
            row do not make as many steps.
    """
    woken = asyncio.Event()
    pace_s = pause_s
    if wake is not None:
        wake.listen(woken.set)
    while True:
        woken.clear()
        try:
            more = await step()
        except Exception as error:
            _log.error("worker.failed", worker=name, error=str(error), exc_info=error)
            more = False
            pace_s = pause_s
            await asyncio.sleep(FAILED_PAUSE_S)
        heed_cancellation()
        if more:
            pace_s = pause_s
            continue
        if rest_s:
            await asyncio.sleep(rest_s)
        with contextlib.suppress(TimeoutError):
            # Not wait_for: in Python 3.11 it may swallow the cancellation.
            async with asyncio.timeout(pace_s):
                await woken.wait()
        if woken.is_set() or hurry():
            pace_s = pause_s
        else:
            pace_s = max(pause_s, min(1.5 * pace_s, pause_s_max or pause_s))


def heed_cancellation() -> None:
    """
    End this task if it was cancelled; a driver may have kept that to itself.

    Raises:
        asyncio.CancelledError: it was.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@contextlib.asynccontextmanager
async def doing_meanwhile(work: Coroutine[Any, Any, T]) -> AsyncIterator[Future[T]]:
    """
    Do something beside a block of code, which gets a future of it.

    The block goes on when it fails. When the block fails, the work is given up.
    """
    task = asyncio.create_task(work)
    try:
        yield task
    except BaseException:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # nobody needs it any more, and so it is not logged
        raise


def pause_s_max(context: Context, pause_s: float, longest_s: float = 10.0) -> float:
    """
    Say to what the wait of a worker may grow.

    Servers that share a store tell each other what they wrote, and so do commands; to
    ask it all the time would cost a database that many share. Beside an embedded store
    nobody tells what a command has written.
    """
    return longest_s if isinstance(context.store, Neighbours) else pause_s


class Backoff:
    """Waiting times that double from `first_s` to `last_s`, with jitter."""

    def __init__(self, first_s: float, last_s: float) -> None:
        self._first_s = first_s
        self._last_s = last_s

    def delay_s(self, failures: int) -> float:
        """Say how long to wait after so many failures in a row, one or more."""
        whole: float = min(self._first_s * 2 ** min(failures - 1, 30), self._last_s)
        return whole * random.uniform(0.5, 1.0)  # not all workers at the same moment
