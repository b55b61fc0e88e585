"""
Token buckets, in a table whose size is fixed.

Theory of operation. A bucket is one number: the time at which it will be full again
(the "virtual scheduling" of ATM's generic cell rate algorithm). A call moves it on by
the time that a token takes to come; a call is over the rate when that would bring it
further ahead of now than the whole bucket takes.

The numbers stand in two rows of cells, and the hash of a key points at one cell in
each. Whoever shares a cell with others sees it ahead of what he took himself, never
behind, so what counts is the lower one of the two, and only what is lower than it
should be is raised (the conservative update of a count-min sketch). So nothing is ever
put out to make room: there is no way to get a fresh bucket by having others fill the
table, memory is what it was at the start, and somebody is held back for the deeds of
others only if *both* of his cells are shared with somebody over the rate. With `n` of
those at a time that has the probability (n / 65,536)**2.
"""

from __future__ import annotations

import mmap
from collections.abc import MutableSequence
from typing import Final, cast

CELLS: Final = 65_536  # in a row, a power of two; 1 MiB for both
BURST_S: Final = 60.0  # a full bucket holds what comes in a minute
_ROUNDING_S: Final = 1e-6  # what thousands of sums may be off


def make_cells() -> MutableSequence[float]:
    """
    Make a table of zeros: 2 * CELLS of them.

    It is mapped: what nobody counts in takes no memory, and processes that are forked
    after this share it.
    """
    return cast(
        "MutableSequence[float]", memoryview(mmap.mmap(-1, 2 * CELLS * 8)).cast("d")
    )


class Buckets:
    """The token buckets of one class of operations, by key, all of one rate."""

    def __init__(
        self, rate: float, *, cells: MutableSequence[float] | None = None
    ) -> None:
        """
        Args:
            rate: tokens a second, more than 0. A full bucket has those of a minute.
            cells: 2 * CELLS zeros, which others may count in as well; None: its own.
        """
        self.rate = rate
        self._full_s = make_cells() if cells is None else cells

    def __sizeof__(self) -> int:
        return len(self._full_s) * 8

    def wait_s(self, key: str, now_s: float) -> float:
        """Say how long `take` would have a key wait, and take nothing."""
        hashed = hash(key)
        one, other = hashed & 0xFFFF, 0x10000 | (hashed >> 16 & 0xFFFF)
        full_s = max(min(self._full_s[one], self._full_s[other]), now_s)
        wait_s = full_s + 1.0 / self.rate - now_s - BURST_S
        return wait_s if wait_s > _ROUNDING_S else 0.0

    def take(self, key: str, now_s: float) -> float:
        """
        Take a token out of the bucket of a key.

        Args:
            now_s: of a clock that never goes back.
        Returns:
            0 when there was one, else the seconds until there is one. Nothing is taken
            then: who goes on asking does not wait longer for it.
        """
        cells = self._full_s
        hashed = hash(key)
        one, other = hashed & 0xFFFF, 0x10000 | (hashed >> 16 & 0xFFFF)
        in_one, in_other = cells[one], cells[other]
        full_s = in_one if in_one < in_other else in_other
        if full_s < now_s:
            full_s = now_s
        full_s += 1.0 / self.rate
        wait_s = full_s - now_s - BURST_S
        if wait_s > _ROUNDING_S:
            return wait_s
        if in_one < full_s:
            cells[one] = full_s
        if in_other < full_s:
            cells[other] = full_s
        return 0.0
