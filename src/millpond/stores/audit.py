"""What the stores share of the audit: which entries are wanted, as SQL has it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Final

import msgspec

from millpond.stores.base import Along, AuditEntry, AuditFilter

_COLUMNS: Final = ("identity_pool_id", "identity_id", "access_key_id", "operation")
_FIELDS: Final = AuditEntry.__struct_fields__
_FREQUENT: Final = _FIELDS.index("frequent")
_MS_MAX: Final = 2**48 - 1  # that the beginning of an id has room for
_TIME_CHARS: Final = 12
_END: Final = "~"  # behind every id


_ALONG: Final[ContextVar[Along | None]] = ContextVar("along", default=None)
find_along: Final = _ALONG.get
"""Finds what the next change of this task is to take along, if anything."""


@contextlib.contextmanager
def taking_along(entry: AuditEntry) -> Iterator[Along]:
    """Have the changes of a block find an entry by `find_along`."""
    along = Along(entry)
    before = _ALONG.set(along)
    try:
        yield along
    finally:
        along.is_open = False  # to tasks that were begun in the block, too
        _ALONG.reset(before)


def id_from(time_ms: int) -> str:
    """Give what stands in front of all ids of a time and later ones."""
    return f"{min(max(time_ms, 0), _MS_MAX):0{_TIME_CHARS}x}"


def bounds(wanted: AuditFilter, before: str | None) -> tuple[str, str]:
    """Give the first id that is wanted, or one before it, and one behind the last."""
    first = "" if wanted.since_ms is None else id_from(wanted.since_ms)
    end = _END if wanted.until_ms is None else id_from(wanted.until_ms)
    return first, end if before is None else min(end, before)


def conditions(wanted: AuditFilter) -> tuple[list[str], list[str]]:
    """Name the columns that must be equal to something, and what to."""
    given = [
        (name, value)
        for name in _COLUMNS
        if (value := getattr(wanted, name)) is not None
    ]
    names = [name for name, _ in given]
    # An index of what is there is used only where that is said.
    names_there = [f"{each} <> '' AND {each}" for each in names]
    return names_there, [value for _, value in given]


def to_entry(row: Sequence[Any]) -> AuditEntry:
    """Make an entry of the columns of its row."""
    values = dict(zip(_FIELDS, row, strict=True))
    values["frequent"] = bool(row[_FREQUENT])
    return msgspec.convert(values, AuditEntry)
