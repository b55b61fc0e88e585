"""What a server remembers of the sync triggers that it called."""

from __future__ import annotations

from millpond.service.trigger_notes import REASON_CHARS_MAX, TriggerNote, TriggerNotes


def test_failures_in_a_row_are_counted() -> None:
    """An answer ends the row; what failed last is kept."""
    notes = TriggerNotes()
    notes.failed("p", "t", "It is away.", "Start it.", now_ms=10)
    notes.failed("p", "t", "It is busy.", "", now_ms=20)
    assert notes.find("p", "t") == TriggerNote(
        target="t", calls=2, failures=2, failed_ms=20, failure="It is busy."
    )

    notes.answered("p", "t", now_ms=30)

    assert notes.find("p", "t") == TriggerNote(
        target="t", calls=3, answered_ms=30, failed_ms=20, failure="It is busy."
    )


def test_another_target_begins_anew() -> None:
    """What was noted of the one before tells nothing of it."""
    notes = TriggerNotes()
    notes.failed("p", "t", "It is away.", "", now_ms=10)

    assert notes.find("p", "other") == TriggerNote(target="other")
    notes.answered("p", "other", now_ms=20)
    assert notes.find("p", "t") == TriggerNote(target="t")


def test_notes_are_bounded() -> None:
    """So many pools are remembered, those used last; and a reason has an end."""
    notes = TriggerNotes(pools_max=2)
    notes.answered("a", "t", now_ms=1)
    notes.answered("b", "t", now_ms=2)
    notes.answered("a", "t", now_ms=3)
    notes.failed("c", "t", "x" * 10 * REASON_CHARS_MAX, "", now_ms=4)

    assert [notes.find(each, "t").calls for each in "abc"] == [2, 0, 1]
    assert len(notes.find("c", "t").failure) == REASON_CHARS_MAX
