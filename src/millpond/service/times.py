"""Times as the APIs send them, and as documents and people get them."""

from __future__ import annotations

import datetime


def epoch_seconds(time_ms: int | None) -> float | None:
    """Give epoch milliseconds as epoch seconds; None stays None."""
    return None if time_ms is None else time_ms / 1000


def iso_date(time_ms: int | None) -> str | None:
    """Write a time to the millisecond; None when there is none in the calendar."""
    if time_ms is None:
        return None
    try:
        moment = datetime.datetime.fromtimestamp(time_ms / 1000, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds")


def ago(age_ms: int) -> str:
    """Say for people how long something is ago."""
    seconds = max(age_ms, 0) // 1000
    if seconds < 120:
        return f"{seconds} s ago"
    if seconds < 7200:
        return f"{seconds // 60} min ago"
    return f"{seconds // 3600} h ago"
