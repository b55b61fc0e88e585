"""What kinds of streams are written, and when one has lost what it acknowledged."""

from __future__ import annotations

import msgspec
import pytest

from millpond.core.targets import (
    KEEPS_MS_MIN,
    PROPERTIES,
    Mark,
    Property,
    Target,
    Words,
    flaw,
    loss,
    mark,
)

NAME = "NATS stream 'changes'"
MINUTE_MS = 60_000


def a_target(**facts: object) -> Target:
    return msgspec.structs.replace(Target(name=NAME), **facts)


def test_every_property_has_a_rule():
    """The table says of each property what it means."""
    assert set(PROPERTIES) == set(Property)


@pytest.mark.parametrize("each", [p for p in Property if PROPERTIES[p].refused])
def test_a_stream_that_keeps_less_than_it_acknowledges_is_refused(each):
    """The cause names the stream and the setting; the change says what to do."""
    words = Words("retention=interest", "Add a consumer.")
    fault = flaw(a_target(properties={each: words}))

    assert fault is not None
    assert fault.cause.startswith(f"{NAME} ")
    assert fault.cause.endswith("(retention=interest).")
    assert fault.change == "Add a consumer."


def test_an_ordinary_stream_is_written():
    """Streams end somewhere; that alone is no reason."""
    ends = {
        Property.ENDS_BY_AGE: Words("max_age=1h", "-"),
        Property.ENDS_WHEN_FULL: Words("max_msgs=10", "-"),
    }

    assert flaw(a_target()) is None
    assert flaw(a_target(properties=ends, keeps_ms=3_600_000)) is None
    assert flaw(a_target(keeps_ms=KEEPS_MS_MIN)) is None


def test_a_stream_that_forgets_at_once_is_refused():
    """What is gone before a reader can start again was never readable."""
    ends = {Property.ENDS_BY_AGE: Words("max_age=2s", "Raise it.")}
    fault = flaw(a_target(properties=ends, keeps_ms=2000))

    assert fault is not None
    assert "keeps a record for 2 s (max_age=2s)" in fault.cause
    assert fault.change == "Raise it."


def test_a_run_that_outlasts_the_retention_has_lost_its_beginning():
    """It is compared with how long the run took, to the millisecond."""
    target = a_target(keeps_ms=5 * MINUTE_MS)

    assert loss(mark(target), target, elapsed_ms=5 * MINUTE_MS - 1) is None
    fault = loss(mark(target), target, elapsed_ms=5 * MINUTE_MS)
    assert fault is not None
    assert "for 5 min, and the run has taken 5 min" in fault.cause


def test_what_a_full_stream_dropped_is_seen_by_its_numbers():
    """The record that came first must still be the oldest, or behind it."""
    ends = {Property.ENDS_WHEN_FULL: Words("max_msgs=3", "Let it wait.")}
    before = mark(a_target(oldest={"": 5}, following={"": 8}))

    def after(oldest: int) -> Target:
        return a_target(properties=ends, oldest={"": oldest}, following={"": 20})

    assert loss(before, after(8), elapsed_ms=0) is None
    fault = loss(before, after(9), elapsed_ms=0)
    assert fault is not None
    assert "begin at number 8, and what is left begins at 9 (max_msgs=3)" in fault.cause
    assert fault.change == "Let it wait."


def test_a_purge_is_a_loss_though_no_setting_made_it():
    """Somebody emptied the stream in the middle of the run."""
    fault = loss(
        Mark("", {"": 1}), a_target(oldest={"": 7}, following={"": 7}), elapsed_ms=0
    )

    assert fault is not None
    assert "purge" in fault.change


def test_each_part_of_a_stream_counts_for_itself():
    """One partition that dropped something is enough; one that was added is not."""
    before = Mark("", {"partition 0": 0, "partition 1": 10})
    kept = {"partition 0": 0, "partition 1": 10, "partition 2": 4}

    def after(**changed: int) -> Target:
        oldest = kept | {name.replace("_", " "): n for name, n in changed.items()}
        return a_target(oldest=oldest, following=dict.fromkeys(oldest, 50))

    assert loss(before, after(), elapsed_ms=0) is None
    fault = loss(before, after(partition_1=11), elapsed_ms=0)
    assert fault is not None
    assert "number 10 of partition 1" in fault.cause


def test_a_stream_whose_numbers_went_back_has_lost_records():
    """A leader that did not have them counts on from where it stood."""
    before = Mark("", {"": 100})

    assert loss(before, a_target(following={"": 100}), elapsed_ms=0) is None
    assert loss(before, a_target(following={"": 99}), elapsed_ms=0) is not None


def test_a_stream_of_the_same_name_is_not_the_same_stream():
    """One that was created again is told; one that tells no identity is believed."""
    before = Mark("created at one")

    assert loss(before, a_target(identity="created at one"), elapsed_ms=0) is None
    assert loss(before, a_target(), elapsed_ms=0) is None
    assert loss(Mark(), a_target(identity="x"), elapsed_ms=0) is None
    fault = loss(before, a_target(identity="created at two"), elapsed_ms=0)
    assert fault is not None
    assert "created again during the run" in fault.cause


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        (None, None, False),  # it keeps everything
        ({"a"}, {"a"}, False),
        ({"a"}, {"a", "b"}, False),
        ({"a", "b"}, {"b", "c"}, False),
        ({"a"}, {"b"}, True),  # between them there was a gap
        ({"a"}, set(), True),
        (None, {"a"}, True),  # it kept everything when the run began, and does no more
        ({"a"}, None, False),
    ],
)
def test_a_reader_must_wait_from_the_beginning_to_the_end(before, after, lost):
    """Where only the awaited is kept, one and the same reader saw all of the run."""
    since = Mark(readers=None if before is None else frozenset(before))
    target = a_target(readers=None if after is None else frozenset(after))

    assert (loss(since, target, elapsed_ms=0) is not None) is lost
