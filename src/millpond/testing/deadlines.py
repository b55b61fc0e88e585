"""
How long a test waits: by how slow this machine is just now.

A deadline finds what never comes; it should say nothing about the machine. So times
are written as they are on a quiet machine, and stretched by how much longer a fixed
piece of work takes here and now than it takes there. A machine that is busy or slow
gets more time; a quiet and fast one gets what is written.

    process.communicate(timeout=seconds(20))

    deadline = Deadline(20)
    while not deadline.passed():
        ...
"""

from __future__ import annotations

import os
import time
from typing import Final

_WORK: Final = 400_000
_QUIET_S: Final = 0.05  # what the work takes on a quiet machine of 2025
_FACTOR_MAX: Final = 20.0
_NEW_S: Final = 3.0  # so long a measurement is not repeated
_OLD_S: Final = 60.0  # so long it counts: load comes and goes

_measured: list[tuple[float, float]] = []  # when, and the factor; in seconds, monotonic


def factor() -> float:
    """Measure how many times slower than a quiet machine this one is: 1 to 20."""
    now_s = time.monotonic()
    if not _measured or now_s - _measured[-1][0] > _NEW_S:
        _measured[:] = [each for each in _measured if now_s - each[0] < _OLD_S]
        _measured.append((now_s, _measure()))
    return max(each for _, each in _measured)


def seconds(quiet_s: float) -> float:
    """Stretch a time of a quiet machine to what it may take here and now."""
    return quiet_s * factor()


class Deadline:
    """A time by which something must have happened; it moves while load grows."""

    def __init__(self, quiet_s: float) -> None:
        """
        Args:
            quiet_s: how long it may take on a quiet machine.
        """
        self._quiet_s = quiet_s
        self._since_s = time.monotonic()

    def __repr__(self) -> str:
        return f"<Deadline {self._quiet_s:g} s, times {factor():.1f} here>"

    def left_s(self) -> float:
        """Give the seconds that are left, none when it has passed."""
        gone_s = time.monotonic() - self._since_s
        if gone_s < self._quiet_s:
            return self._quiet_s - gone_s
        return max(0.0, seconds(self._quiet_s) - gone_s)

    def passed(self) -> bool:
        """Tell whether there is no time left."""
        return self.left_s() == 0


def _measure() -> float:
    began_s = time.perf_counter()
    total = 0
    for number in range(_WORK):
        total += number * number % 7
    slow = (time.perf_counter() - began_s) / _QUIET_S
    # Work of less than a slice of the scheduler may see nothing of the others.
    waiting = os.getloadavg()[0] / (os.cpu_count() or 1)
    return min(_FACTOR_MAX, max(1.0, slow, waiting))
