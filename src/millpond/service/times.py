"""Times as the APIs send them."""

from __future__ import annotations


def epoch_seconds(time_ms: int | None) -> float | None:
    """Give epoch milliseconds as epoch seconds; None stays None."""
    return None if time_ms is None else time_ms / 1000
