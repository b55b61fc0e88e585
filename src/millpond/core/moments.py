"""Moments that people type: a date, a time, or how far it is from now."""

from __future__ import annotations

import datetime
import re
from typing import Final

_SPAN: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_UNITS_MS: Final = {
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 7 * 86_400_000,
}
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DAY_MS: Final = 86_400_000


def read_end(text: str, *, now_ms: int) -> int | None:
    """
    Read when something ends, in epoch milliseconds: a span from now (90d), a date (the
    end of that day, UTC) or a time in ISO 8601 (UTC, unless it says otherwise). None:
    it is none of these.
    """
    span = _span_ms(text)
    if span is not None:
        return now_ms + span
    time_ms = _read_time(text)
    if time_ms is None:
        return None
    return time_ms + _DAY_MS if _DATE.fullmatch(text) else time_ms


def read_since(text: str, *, now_ms: int) -> int | None:
    """Read a moment of the past in the same way: a span before now, a date, a time."""
    span = _span_ms(text)
    return now_ms - span if span is not None else _read_time(text)


def _span_ms(text: str) -> int | None:
    found = _SPAN.fullmatch(text)
    return None if found is None else int(found[1]) * _UNITS_MS[found[2]]


def _read_time(text: str) -> int | None:
    try:
        moment = datetime.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
