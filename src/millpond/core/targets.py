"""
Targets: what kind of stream stands behind a sink, and what its word is worth.

Theory of operation
-------------------
SUCCEEDED means that somebody can read what was published. An engine may be set up so
that its acknowledgement says less: it may drop what nobody waits for, keep only the
last record of a key, forget after a minute, or lose everything when it starts again. A
sink reads how its stream is set up and tells of it as a `Target`, in the words of its
engine. What follows from that is decided here, alike for all of them:

    PROPERTIES  what a stream may be like, and whether one that is may be written at all
    flaw        why a stream is not written: asked when a sink is opened, and again now
                and then while it is open
    mark, loss  whether a stream still holds everything that came since a moment: noted
                before the first record of a bulk publish, asked before it may succeed

A loss is seen by places. Engines number what they hold and drop the oldest first, so
when the oldest that is left stands behind the place that was the next at the beginning,
something of the run is gone. An engine without such numbers tells for how long it keeps
what it has; that is compared with how long the run took. Both may be told.

What an engine does not tell, nobody can see from outside; docs/streams.md names it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

KEEPS_MS_MIN: Final = 60_000
"""Who keeps records for less has dropped them before a reader can start again."""


class Property(enum.Enum):
    """What a stream may be like."""

    TAKES_NOTHING = enum.auto()
    UNACKNOWLEDGED = enum.auto()
    NEEDS_A_READER = enum.auto()
    KEEPS_THE_LAST = enum.auto()
    DROPS_UNREAD = enum.auto()
    IN_MEMORY = enum.auto()
    FORGETS_LEADERS = enum.auto()
    ENDS_BY_AGE = enum.auto()
    ENDS_WHEN_FULL = enum.auto()


class Rule(NamedTuple):
    """What a property means."""

    says: str  # of the stream, as the end of a sentence
    refused: bool  # whether such a stream is not written at all


PROPERTIES: Final[Mapping[Property, Rule]] = {
    Property.TAKES_NOTHING: Rule("takes no records", refused=True),
    Property.UNACKNOWLEDGED: Rule(
        "acknowledges nothing, so nobody could know what it holds", refused=True
    ),
    Property.NEEDS_A_READER: Rule(
        "drops what no reader waits for, and none waits for these records", refused=True
    ),
    Property.KEEPS_THE_LAST: Rule(
        "keeps the last record of a key and drops those before it", refused=True
    ),
    Property.DROPS_UNREAD: Rule(
        "drops records that nobody has read, and it would not be seen", refused=True
    ),
    Property.IN_MEMORY: Rule(
        "acknowledges what is not on a disk yet, and loses it when it starts again",
        refused=True,
    ),
    Property.FORGETS_LEADERS: Rule(
        "may lose what it has acknowledged when another replica takes the lead",
        refused=True,
    ),
    # Ordinary streams end somewhere. Whether that is too early is seen in `loss`.
    Property.ENDS_BY_AGE: Rule("drops records by their age", refused=False),
    Property.ENDS_WHEN_FULL: Rule("drops its oldest records when full", refused=False),
}


class Words(NamedTuple):
    """A property in the words of an engine."""

    seen: str  # the setting that makes it so, as "retention=interest"
    change: str  # what to do about it, a sentence


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """How a stream is set up, and where it stands."""

    name: str  # as it stands at the beginning of a message: "NATS stream 'changes'"
    properties: Mapping[Property, Words] = {}
    identity: str = ""  # tells it from another of its name; empty: nobody knows
    keeps_ms: int | None = None  # for how long it keeps a record; None: without end
    oldest: Mapping[str, int] = {}  # the number of the oldest record left, by its part
    following: Mapping[str, int] = {}  # the number that the next record gets, by part
    readers: frozenset[str] | None = None  # for whom it keeps records; None: for all


class Mark(msgspec.Struct, frozen=True):
    """Where a stream stood at a moment."""

    identity: str = ""
    following: Mapping[str, int] = {}
    readers: frozenset[str] | None = None


class Fault(NamedTuple):
    """Why a stream does not do."""

    cause: str  # a sentence
    change: str  # what to do about it, a sentence


def flaw(target: Target) -> Fault | None:
    """Say why a stream is not to be written, if so."""
    for each, rule in PROPERTIES.items():
        words = target.properties.get(each)
        if words is not None and rule.refused:
            return Fault(f"{target.name} {rule.says} ({words.seen}).", words.change)
    if target.keeps_ms is not None and target.keeps_ms < KEEPS_MS_MIN:
        seen, change = _ends(target, Property.ENDS_BY_AGE)
        return Fault(
            f"{target.name} keeps a record for {_duration(target.keeps_ms)}{seen}; "
            f"less than {_duration(KEEPS_MS_MIN)} is too short for anybody to read it.",
            change,
        )
    return None


def remarks(target: Target) -> list[str]:
    """Say, a sentence each, by what records may be missing from a stream."""
    return [
        f"{target.name} {rule.says} ({target.properties[each].seen})."
        for each, rule in PROPERTIES.items()
        if each in target.properties
    ]


def mark(target: Target) -> Mark:
    """Note where a stream stands."""
    return Mark(target.identity, target.following, target.readers)


def loss(since: Mark, target: Target, *, elapsed_ms: int) -> Fault | None:
    """
    Say what a stream has lost of what came since a moment, if anything.

    Args:
        since: where it stood at that moment.
        target: what it is like now.
        elapsed_ms: since that moment.
    """
    if since.identity and target.identity and since.identity != target.identity:
        return Fault(
            f"{target.name} was deleted and created again during the run; what came "
            "before that is lost.",
            "Publish again.",
        )
    return (
        _lost_readers(since, target)
        or _dropped(since, target)
        or _outlived(target, elapsed_ms)
    )


def _lost_readers(since: Mark, target: Target) -> Fault | None:
    if target.readers is None or (since.readers and since.readers & target.readers):
        return None
    return Fault(
        f"{target.name} keeps only what a reader waits for, and each of those that "
        "waited when the run began is gone.",
        "Let a reader wait from the beginning of a run to its end.",
    )


def _dropped(since: Mark, target: Target) -> Fault | None:
    for part, first in since.following.items():
        place = f" of {part}" if part else ""
        oldest = target.oldest.get(part)
        if oldest is not None and oldest > first:
            seen, change = _ends(target, Property.ENDS_WHEN_FULL, Property.ENDS_BY_AGE)
            return Fault(
                f"{target.name} has dropped records of this run: they begin at number "
                f"{first}{place}, and what is left begins at {oldest}{seen}.",
                change or "Let nobody purge it during a run.",
            )
        following = target.following.get(part)
        if following is not None and following < first:
            return Fault(
                f"{target.name} has lost records: the next one{place} was to be number "
                f"{first} when the run began, and is to be {following} now.",
                "Publish again.",
            )
    return None


def _outlived(target: Target, elapsed_ms: int) -> Fault | None:
    if target.keeps_ms is None or elapsed_ms < target.keeps_ms:
        return None
    seen, change = _ends(target, Property.ENDS_BY_AGE)
    return Fault(
        f"{target.name} keeps a record for {_duration(target.keeps_ms)}{seen}, and the "
        f"run has taken {_duration(elapsed_ms)}: what came first is dropped.",
        change,
    )


def _ends(target: Target, *properties: Property) -> tuple[str, str]:
    """Name the settings by which a stream drops records, and what to do about them."""
    found = [
        target.properties[each] for each in properties if each in target.properties
    ]
    if not found:
        return "", ""
    seen = ", ".join(each.seen for each in found)
    return f" ({seen})", " ".join(dict.fromkeys(each.change for each in found))


def _duration(time_ms: int) -> str:
    """Say a time in the largest unit that it has at least two of, rounded down."""
    for unit, length_ms in (("days", 86_400_000), ("h", 3_600_000), ("min", 60_000)):
        if time_ms >= 2 * length_ms:
            return f"{time_ms // length_ms} {unit}"
    return f"{time_ms / 1000:g} s"
