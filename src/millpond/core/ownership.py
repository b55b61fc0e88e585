"""
Whose a dataset is while its pool moves in: the source's, or ours.

A dataset belongs to the source until it is first written here. Every write, deletion
and merge here raises the sync count, so a dataset is still the source's exactly when it
stands as it was taken. From the first write here on it is ours, and what the source has
later is kept aside and reported, never applied over it: nobody's write is lost in
silence.

Source: ruling 23.
"""

from __future__ import annotations

import enum

import msgspec

from millpond.core.sync import DatasetState


class Taken(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """
    What was taken of a dataset last, and what it was like at the source then.

    Args:
        sync_count, live: as it stands here since; 0: nothing of it was taken.
        seen_date_ms, seen_records, seen_bytes: as the source listed it; a date of 0
            says that it may have changed since without another date.
        aside: why what the source had then was not taken; empty: it was.
        aside_count: the sync count that it had then.
    """

    sync_count: int
    live: bool
    seen_date_ms: int = 0
    seen_records: int = 0
    seen_bytes: int = 0
    aside: str = ""
    aside_count: int = 0


class Standing(msgspec.Struct, frozen=True, gc=False):
    """A dataset in three places; None: there is not even a row of it."""

    here: DatasetState | None
    taken: Taken | None  # as it was taken last
    there: DatasetState | None  # at the source now


class Verdict(enum.Enum):
    """What is done with what the source has."""

    TAKE = "take"
    SAME = "same"  # it is here already
    ASIDE = "aside"


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What is done, and why not."""

    verdict: Verdict
    reason: str = ""  # for people, of what is kept aside


_TAKE = Decision(Verdict.TAKE)
_SAME = Decision(Verdict.SAME)


def decide(standing: Standing) -> Decision:
    """Decide what is done with what the source has of a dataset."""
    here, taken, there = standing.here, standing.taken, standing.there
    known = taken is not None and taken.sync_count > 0
    if there is None:
        if taken is None or not known or not taken.live:
            return _SAME
        return _TAKE if _is_as_taken(here, taken) else _aside("deleted at the source")
    if not known:
        if here is None:
            return _TAKE
        return _aside("written here before it was copied")
    assert taken is not None
    if (there.sync_count, there.exists) == (taken.sync_count, taken.live):
        return _SAME
    if _is_as_taken(here, taken):
        return _TAKE
    return _aside("changed at the source after it was written here")


def _is_as_taken(here: DatasetState | None, taken: Taken) -> bool:
    """Say whether nobody has written to it here."""
    return here is not None and (here.sync_count, here.exists) == (
        taken.sync_count,
        taken.live,
    )


def _aside(reason: str) -> Decision:
    return Decision(Verdict.ASIDE, reason)
