"""
How values look to people: the filters of the templates.

Each gives text, or markup of which every value is a number or escaped.
"""

from __future__ import annotations

import datetime
from typing import Any, Final

from markupsafe import Markup

NOTHING: Final = "\N{EN DASH}"
CUT_CHARS: Final = 2000  # of a value that is shown; the whole is a download
_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")


def time(ms: int | None) -> Markup | str:
    """Show epoch milliseconds, in UTC."""
    if ms is None or ms == 0:
        return NOTHING
    try:
        moment = datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return str(ms)
    text = moment.isoformat(timespec="milliseconds")[:23]  # digits, and what is between
    shown = f"{text[:10]} {text[11:19]} UTC"
    return Markup(f'<time datetime="{text}Z">{shown}</time>')


def size(count: float | None) -> str:
    """Show bytes."""
    if count is None:
        return NOTHING
    if abs(count) < 1024:
        return f"{count:g} bytes" if count != 1 else "1 byte"
    unit = 0
    while abs(count) >= 1024 and unit < len(_UNITS) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:.1f} {_UNITS[unit]}"


def count(number: float | None) -> str:
    """Show a number of things, thousands apart."""
    if number is None:
        return NOTHING
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.2f}"


def duration(seconds: float | None) -> str:
    """Show a length of time."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, hours = seconds / 60, seconds / 3600
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"


def cut(text: Any, chars: int = CUT_CHARS) -> str:
    """Cut a long text; say how much there is more."""
    whole = str(text)
    if len(whole) <= chars:
        return whole
    return f"{whole[:chars]}… ({len(whole) - chars:,} characters more)"


def is_cut(text: Any, chars: int = CUT_CHARS) -> bool:
    """Say whether a text is shown cut."""
    return len(str(text)) > chars
