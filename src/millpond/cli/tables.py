"""
Tables for people, in the form that suits where they go.

On a terminal: columns under headings, local times, sizes in KiB; text that may be long
is cut where there is no room for it, and where there is not even room for the rest,
each row is a block of lines. Elsewhere: a line for each row, its cells parted by tabs,
whole, with times and numbers as JSON has them.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TextIO

from millpond.cli.page import may_style

if TYPE_CHECKING:
    from rich.console import Console

GAP: Final = 2
FLEXIBLE_WIDTH_MIN: Final = 12
NOTHING: Final = "-"
_UNITS: Final = ("KiB", "MiB", "GiB", "TiB")


class Time(NamedTuple):
    """A moment."""

    ms: int | None


class Size(NamedTuple):
    """How many bytes."""

    bytes: int


Cell = str | int | bool | None | Time | Size


class Column(NamedTuple):
    """A column; a flexible one may be cut."""

    title: str
    flexible: bool = False


def plain(text: str) -> str:
    """Show text that others wrote; a terminal must not be steered by it."""
    return text if text.isprintable() else repr(text)[1:-1]


def iso(time_ms: int) -> str:
    """Write a time in UTC, to the second."""
    moment = datetime.datetime.fromtimestamp(time_ms / 1000, datetime.UTC)
    return moment.isoformat(timespec="seconds")


def date(time_ms: int | None) -> str | None:
    """Write a time for JSON; None stays None, and so is a date that no calendar has."""
    try:
        return None if time_ms is None else iso(time_ms)
    except (ValueError, OverflowError, OSError):
        return None


def local(time_ms: int) -> str:
    """Write a time as the clock on the wall has it, to the second."""
    moment = datetime.datetime.fromtimestamp(time_ms / 1000, datetime.UTC).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def size(count: int) -> str:
    """Write a number of bytes in the unit that suits it."""
    if count < 1000:
        return f"{count} B"
    number = count / 1024
    units = iter(_UNITS)
    unit = next(units)
    while number >= 999.5 and unit != _UNITS[-1]:
        number, unit = number / 1024, next(units)
    return f"{number:.3g} {unit}" if number < 999.5 else f"{number:.0f} {unit}"


def spell(cell: Cell, *, terminal: bool) -> str:
    """Write a cell."""
    match cell:
        case None | Time(None) | "":
            return NOTHING
        case bool():
            return "yes" if cell else "no"
        case Time(int() as ms):
            return _spell_time(ms, terminal=terminal)
        case Size(count):
            return size(count) if terminal else str(count)
        case str():
            return plain(cell)
        case _:
            return f"{cell:,}" if terminal else str(cell)


def _spell_time(ms: int, *, terminal: bool) -> str:
    if not terminal:
        return date(ms) or NOTHING
    try:
        return local(ms)
    except (ValueError, OverflowError, OSError):  # a client may write any date
        return NOTHING


def print_table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell]],
    *,
    to: TextIO | None = None,
) -> None:
    """Print rows under their headings; nothing when there are none."""
    stream = to or sys.stdout
    terminal = stream.isatty()
    spelled = [[spell(cell, terminal=terminal) for cell in row] for row in rows]
    if not spelled:
        return
    if not terminal:
        for row in spelled:
            stream.write("\t".join(row) + "\n")
        return
    console = _console(stream)
    widths = _fit(columns, spelled, console.width)
    if widths is None:
        for number, row in enumerate(spelled):
            if number:
                stream.write("\n")
            titles = [each.title for each in columns]
            _print_pairs(console, list(zip(titles, row, strict=True)))
        return
    numbers = [all(_is_number(row[n]) for row in rows) for n in range(len(columns))]
    _print_columns(console, columns, spelled, widths, numbers)


def print_details(
    pairs: Sequence[tuple[str, Cell]], *, to: TextIO | None = None
) -> None:
    """Print what is known of one thing, a line for each."""
    stream = to or sys.stdout
    terminal = stream.isatty()
    spelled = [(title, spell(cell, terminal=terminal)) for title, cell in pairs]
    if terminal:
        _print_pairs(_console(stream), spelled)
        return
    for title, text in spelled:
        stream.write(f"{title}\t{text}\n")


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, int | Size) and not isinstance(cell, bool)


def _console(stream: TextIO) -> Console:
    # Rich takes a twentieth of a second to load; a pipe need not pay for it.
    from rich.console import Console

    plainly = not may_style(stream)
    return Console(
        file=stream,
        highlight=False,
        markup=False,
        emoji=False,
        color_system=None if plainly else "auto",
        no_color=plainly,
    )


def _fit(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], room: int
) -> list[int] | None:
    """Give columns their widths; None when there is no room for them side by side."""
    from rich.cells import cell_len

    widths = [
        max(cell_len(column.title), *(cell_len(row[n]) for row in rows))
        for n, column in enumerate(columns)
    ]
    over = sum(widths) + GAP * (len(widths) - 1) - room
    while over > 0:
        # The widest of those that may be cut gives way first.
        n = max(
            (n for n, each in enumerate(columns) if each.flexible),
            key=lambda n: widths[n],
            default=None,
        )
        if n is None or widths[n] <= FLEXIBLE_WIDTH_MIN:
            return None
        widths[n] -= 1
        over -= 1
    return widths


def _print_columns(
    console: Console,
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    widths: Sequence[int],
    numbers: Sequence[bool],
) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=None, padding=(0, GAP, 0, 0), pad_edge=False, collapse_padding=True
    )
    for column, width, number in zip(columns, widths, numbers, strict=True):
        table.add_column(
            Text(column.title),
            width=width,
            no_wrap=True,
            overflow="ellipsis",
            justify="right" if number else "left",
        )
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _print_pairs(console: Console, pairs: Sequence[tuple[str, str]]) -> None:
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    title_width = max((cell_len(title) for title, _ in pairs), default=0)
    if title_width + GAP + FLEXIBLE_WIDTH_MIN > console.width:
        for title, text in pairs:
            console.print(Text(title, style="" if console.no_color else "bold"))
            console.print(Text(text), overflow="fold")
        return
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="" if console.no_color else "bold")
    table.add_column(overflow="fold")
    for title, text in pairs:
        table.add_row(Text(title), Text(text))
    console.print(table)
