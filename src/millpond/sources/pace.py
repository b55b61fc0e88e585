"""
How fast a source may be asked: as fast as it answers, and no faster than it allows.

Nothing is known of its limits at first, so nothing holds calls back. The first time it
puts a call off, the rate at which it took calls until then becomes the pace. From there
the pace goes up a little while all is well, and down a little when a call is put off
again: it stays just below what is allowed, and finds that again when it changes.
"""

from __future__ import annotations

import asyncio
import collections
import time
from typing import Final

WINDOW_S: Final = 2.0  # in which calls that were taken are counted
DOWN: Final = 0.95  # for a call that was put off, ...
UP_PER_S: Final = 1.02  # ... and for each second without one
RATE_MIN: Final = 0.2  # calls a second: even that will find out some day
SETTLING_S: Final = 1.0  # calls under way do not count against a pace that is newer
FREE_AFTER_S: Final = 300.0  # without any: it is not this that holds us back


class Pace:
    """The pace of one operation."""

    def __init__(self) -> None:
        self.rate: float | None = None
        """Calls a second; None: as many as there are."""
        self._taken: collections.deque[float] = collections.deque()
        self._next_s = 0.0  # when the next call may go
        self._changed_s = 0.0
        self._put_off_s = 0.0

    async def wait(self) -> None:
        """Wait until a call may go."""
        if self.rate is None:
            return
        now_s = time.monotonic()
        self._rise(now_s)
        start_s = max(self._next_s, now_s)
        self._next_s = start_s + 1 / (self.rate or RATE_MIN)
        if start_s > now_s:
            await asyncio.sleep(start_s - now_s)

    def taken(self) -> None:
        """Note that a call was answered."""
        now_s = time.monotonic()
        self._taken.append(now_s)
        self._forget(now_s)

    def put_off(self) -> None:
        """Note that a call was put off."""
        now_s = time.monotonic()
        self._put_off_s = now_s
        self._forget(now_s)
        if self.rate is None:
            since_s = now_s - self._taken[0] if self._taken else WINDOW_S
            measured = len(self._taken) / max(since_s, 0.1)
            self.rate = max(measured, RATE_MIN)
            self._changed_s = now_s
        elif now_s - self._changed_s >= SETTLING_S:
            # What it really took, when it is far less than what we tried.
            measured = len(self._taken) / WINDOW_S
            lower = self.rate * DOWN
            if measured < self.rate / 2:
                lower = max(measured, self.rate / 2)
            self.rate = max(lower, RATE_MIN)
            self._changed_s = now_s

    def measure(self) -> float:
        """Tell how many calls a second were answered of late."""
        self._forget(time.monotonic())
        return len(self._taken) / WINDOW_S

    def _rise(self, now_s: float) -> None:
        assert self.rate is not None
        if now_s - self._put_off_s >= FREE_AFTER_S:
            self.rate = None
            return
        passed_s = now_s - self._changed_s
        if passed_s >= SETTLING_S:
            self.rate *= UP_PER_S**passed_s
            self._changed_s = now_s

    def _forget(self, now_s: float) -> None:
        while self._taken and self._taken[0] < now_s - WINDOW_S:
            self._taken.popleft()
