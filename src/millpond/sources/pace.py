"""
How fast a source may be asked: as fast as it answers, and no faster than it allows.

Nothing is known of its limits at first, so nothing holds calls back. The first time it
puts a call off, the rate at which it took calls until then becomes the pace. From there
on, while calls are put off, the source answers as many as it allows: that, and a little
more, is the pace then. While none is put off the pace goes up: a little at first, and
more and more, so that what is allowed is found again soon.

A little more than what is allowed costs a few calls that are put off; a little less
would leave unused what the source does not keep for later. It takes some calls to tell
a rate, so a slow pace is judged over a longer time than a quick one.
"""

from __future__ import annotations

import asyncio
import collections
import time
from collections.abc import Callable
from typing import Final

WINDOW_S: Final = 2.0  # in which calls that were taken are counted
OVER: Final = 1.1  # times what was answered while calls were put off
DOWN_MOST: Final = 0.5  # at once
UP: Final = 0.05  # in the first second without any; twice that in the next, ...
UP_MOST: Final = 0.5  # ... up to this
RATE_MIN: Final = 0.2  # calls a second: even that will find out some day
RATE_FIRST: Final = 5.0  # as little is no limit of anybody
SETTLING_S: Final = 1.0  # a pace is judged after so long, ...
SETTLING_CALLS: Final = 10  # ... and so many calls, ...
SETTLING_MOST_S: Final = 10.0  # ... or when there are fewer in this time
FREE_AFTER_S: Final = 300.0  # without any: it is not this that holds us back


class Pace:
    """The pace of one operation."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.rate: float | None = None
        """Calls a second; None: as many as there are."""
        self._taken: collections.deque[float] = collections.deque()
        self._next_s = 0.0  # when the next call may go
        self._number = 0
        self._changed_s = 0.0
        self._put_off_s = 0.0
        self._quiet = 0  # seconds without a call that was put off
        self._answers = 0  # since the pace was changed
        self._refusals = 0

    async def wait(self) -> int:
        """Wait until a call may go; give which pace it goes by."""
        if self.rate is None:
            return self._number
        now_s = self._clock()
        self._settle(now_s)
        start_s = max(self._next_s, now_s)
        self._next_s = start_s + 1 / (self.rate or RATE_MIN)
        if start_s > now_s:
            await asyncio.sleep(start_s - now_s)
        return self._number

    def taken(self) -> None:
        """Note that a call was answered."""
        now_s = self._clock()
        self._answers += 1
        self._taken.append(now_s)
        self._forget(now_s)

    def put_off(self, number: int) -> None:
        """
        Note that a call was put off.

        Args:
            number: the pace it went by; one of before tells nothing of this one.
        """
        now_s = self._clock()
        self._put_off_s = now_s
        if number != self._number:
            return
        self._refusals += 1
        self._forget(now_s)
        if self.rate is None:
            since_s = now_s - self._taken[0] if self._taken else WINDOW_S
            rate = len(self._taken) / max(since_s, 0.1)
            self._change(max(rate, RATE_FIRST), now_s)
        else:
            self._settle(now_s)

    def measure(self) -> float:
        """Tell how many calls a second were answered of late."""
        self._forget(self._clock())
        return len(self._taken) / WINDOW_S

    def _settle(self, now_s: float) -> None:
        """Change the pace by what has become of the calls that went by it."""
        assert self.rate is not None
        since_s = now_s - self._changed_s
        calls = self._answers + self._refusals
        least_s = SETTLING_S if calls >= SETTLING_CALLS else SETTLING_MOST_S
        if since_s < least_s:
            return
        if now_s - self._put_off_s >= FREE_AFTER_S:
            self.rate = None
        elif self._refusals:
            answered = self._answers / since_s * OVER
            rate = max(min(answered, self.rate), self.rate * DOWN_MOST, RATE_MIN)
            self._quiet = 0
            self._change(rate, now_s)
        elif self._answers:
            factor = 1 + min(UP * 2**self._quiet, UP_MOST)
            self._quiet = min(self._quiet + 1, 10)
            self._change(self.rate * factor, now_s)

    def _change(self, rate: float, now_s: float) -> None:
        self.rate = rate
        self._number += 1
        self._changed_s = now_s
        self._answers = self._refusals = 0

    def _forget(self, now_s: float) -> None:
        while self._taken and self._taken[0] < now_s - WINDOW_S:
            self._taken.popleft()
