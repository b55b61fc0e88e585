"""
Times: numbers of epoch seconds, and all the ways to write a date.

AWS: `parse_timestamp` of botocore/utils.py. Numbers are read here; dates are left to
dateutil, which botocore brings along and which is slow to load.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from millpond.client.api.faults import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 - AWS: tzutc


class Exact(float):
    """Epoch seconds that are sent with their fraction, which devices compare."""

    __slots__ = ()


def to_json(value: Any) -> float:
    """Give a time as JSON has it; AWS: its fraction is cut."""
    return float(value) if isinstance(value, Exact) else whole_epoch_s(value)


def parse(value: Any) -> datetime:
    """
    Read a time; a number is given in the local zone, a date in its own, if it has one.

    Raises:
        ValueError: it is neither a number nor a date.
        Fault: it is beyond all calendars.
    """
    if isinstance(value, datetime):
        return value
    if isinstance(value, (int, float)):
        return _from_epoch_s(value, value)
    try:
        return _from_epoch_s(float(value), value)
    except (TypeError, ValueError):
        pass
    from dateutil import parser, tz  # type: ignore[import-untyped]

    try:
        when: datetime = parser.parse(value, tzinfos={"GMT": tz.tzutc()})
    except (TypeError, ValueError) as error:
        raise ValueError(f'Invalid timestamp "{value}": {error}') from None
    return when


def whole_epoch_s(value: Any) -> int:
    """Read a time as whole seconds; a fraction is cut. Without a zone, it is UTC."""
    when = parse(value)
    if when.tzinfo is None:
        when = when.replace(tzinfo=_EPOCH.tzinfo)
    return (when - _EPOCH) // timedelta(seconds=1)


def utc(value: Any) -> str:
    """Write a time as ISO 8601 in whole seconds, in UTC."""
    when = _EPOCH + timedelta(seconds=whole_epoch_s(value))
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def iso8601(value: Any) -> str:
    """Write a time as ISO 8601 does."""
    return parse(value).isoformat()


def _from_epoch_s(number: float, given: Any) -> datetime:
    try:
        return datetime.fromtimestamp(number, _EPOCH.tzinfo).astimezone()
    except (OSError, OverflowError):
        pass
    try:
        return (_EPOCH + timedelta(seconds=number)).astimezone()
    except OverflowError:
        raise Fault(
            f'Unable to calculate correct timezone offset for "{given}"'
        ) from None
