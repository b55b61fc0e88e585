"""
How far a bulk publish has got, how fast it goes, and when it may be done.

Theory of operation
-------------------
What is delivered is stored with the checkpoints. How fast it goes is not: a run may
have stood still for an hour because its server was down, so what was delivered since
its start says nothing of its speed. It is taken from looks: what was delivered then,
and what is now. Looks reach back two minutes at most and are kept in memory, so they
forget a pause with the server that made it. The start of a run is a look too, at
nothing; so only a pause in the first two minutes counts, until they are over.

A look is worth nothing once the clock has been set back, or what was delivered has
become less, or another run has begun: then the looks begin anew, and for a moment the
speed is not known. A clock that is set forward by less than two minutes makes a run
look slower until two minutes later.

Source: ours; the API has no progress.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Final

import msgspec

from millpond.core.bulk_publish import BulkPublishRun, BulkPublishStatus, Counts

WINDOW_MS: Final = 120_000
LOOK_INTERVAL_MS: Final = 1000  # looks that are kept are this far apart
ELAPSED_MS_MIN: Final = 500  # between two looks that tell a speed


class SliceState(enum.StrEnum):
    """What happens to a slice, as the API of ours spells it."""

    WAITING = "WAITING"  # nobody holds it: not begun, or left by a worker
    LEASED = "LEASED"
    DONE = "DONE"
    STOPPED = "STOPPED"  # its run has failed


class SliceProgress(msgspec.Struct, frozen=True, gc=False):
    """How far a slice has got."""

    number: int  # from 0
    state: SliceState
    delivered: Counts


def slice_progress(
    run: BulkPublishRun,
    number: int,
    counts: Counts,
    *,
    is_open: bool,
    lease_until_ms: int,
    now_ms: int,
) -> SliceProgress:
    """Say how far a slice is by what a store keeps of it."""
    if run.status is BulkPublishStatus.FAILED:
        state = SliceState.STOPPED  # a failure closes them all, done or not
    elif not is_open:
        state = SliceState.DONE
    else:
        leased = lease_until_ms > now_ms
        state = SliceState.LEASED if leased else SliceState.WAITING
    return SliceProgress(number, state, counts)


class SlicedRun(msgspec.Struct, frozen=True):
    """The last run of a pool and its slices, by number, as of one moment."""

    run: BulkPublishRun
    slices: Sequence[SliceProgress] = ()

    @property
    def delivered(self) -> Counts:
        """What all slices have delivered."""
        return reduce(Counts.plus, (each.delivered for each in self.slices), Counts())


class Look(msgspec.Struct, frozen=True):
    """What a run had delivered at a time."""

    run_id: str
    time_ms: int  # epoch milliseconds
    delivered: Counts


class Speed(msgspec.Struct, frozen=True, gc=False):
    """How fast a run goes, per second."""

    datasets: float
    records: float


def add_look(looks: Iterable[Look], look: Look) -> tuple[Look, ...]:
    """
    Add the newest look, and drop those that tell nothing about it any more.

    Args:
        looks: the oldest first, as this function returned them; empty at first.
    Returns:
        The oldest first, at most about `WINDOW_MS / LOOK_INTERVAL_MS`.
    """
    kept = [*looks]
    if kept and not _goes_on(kept[-1], look):
        kept.clear()
    kept = [each for each in kept if look.time_ms - each.time_ms <= WINDOW_MS]
    if len(kept) > 1 and kept[-1].time_ms - kept[-2].time_ms < LOOK_INTERVAL_MS:
        kept.pop()  # somebody looks very often
    return (*kept, look)


def _goes_on(before: Look, after: Look) -> bool:
    return (
        before.run_id == after.run_id
        and before.time_ms <= after.time_ms
        and before.delivered.datasets <= after.delivered.datasets
        and before.delivered.records <= after.delivered.records
    )


def measure_speed(looks: Sequence[Look]) -> Speed | None:
    """Tell how fast a run goes; None when the looks are too few or too close."""
    if not looks:
        return None
    first, last = looks[0], looks[-1]
    elapsed_ms = last.time_ms - first.time_ms
    if elapsed_ms < ELAPSED_MS_MIN:
        return None
    datasets = last.delivered.datasets - first.delivered.datasets
    records = last.delivered.records - first.delivered.records
    return Speed(1000 * datasets / elapsed_ms, 1000 * records / elapsed_ms)


def estimate_remaining_s(
    speed: Speed | None, *, delivered: int, datasets: int
) -> int | None:
    """
    Tell in how many seconds a run may be done, rounded up.

    Args:
        delivered: datasets that the run has delivered.
        datasets: those of the pool now; of those that were added meanwhile, a part is
            never delivered, so a pool that grows makes the estimate too long.
    Returns:
        None when nothing moves, or nobody knows whether it does.
    """
    if datasets <= delivered:
        return 0
    if speed is None or speed.datasets <= 0:
        return None
    return math.ceil((datasets - delivered) / speed.datasets)
