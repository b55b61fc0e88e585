"""
The loop that every worker runs in: step, and when there is nothing to do, wait.

A step that fails is logged and tried again later; one that is cancelled ends the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from millpond.service.context import Signal

_log = structlog.get_logger()

FAILED_PAUSE_S: Final = 1.0


async def run_steps(
    name: str,
    step: Callable[[], Awaitable[bool]],
    *,
    pause_s: float,
    wake: Signal | None = None,
    rest_s: float = 0.0,
) -> None:
    """
    Run a worker until it is cancelled.

    Args:
        step: returns whether there may be more to do at once.
        pause_s: how long to wait after a step that found nothing to do.
        wake: ends the wait early.
        rest_s: how long to wait after a step in any case, so that many signals in a
            row do not make as many steps.
    """
    woken = asyncio.Event()
    if wake is not None:
        wake.listen(woken.set)
    while True:
        woken.clear()
        try:
            if await step():
                continue
        except Exception as error:
            _log.error("worker.failed", worker=name, error=str(error), exc_info=error)
            await asyncio.sleep(FAILED_PAUSE_S)
        if rest_s:
            await asyncio.sleep(rest_s)
        with contextlib.suppress(TimeoutError):
            # Not wait_for: in Python 3.11 it may swallow the cancellation.
            async with asyncio.timeout(pause_s):
                await woken.wait()


class Backoff:
    """Waiting times that double from `first_s` to `last_s`, with jitter."""

    def __init__(self, first_s: float, last_s: float) -> None:
        self._first_s = first_s
        self._last_s = last_s

    def delay_s(self, failures: int) -> float:
        """Say how long to wait after so many failures in a row, one or more."""
        whole: float = min(self._first_s * 2 ** min(failures - 1, 30), self._last_s)
        return whole * random.uniform(0.5, 1.0)  # not all workers at the same moment
