"""
Results as tables.

Theory of operation: the result is taken apart into sections. A structure is a section
with its plain values as one row; a list of structures is a section with a row for each;
what is nested follows as sections of its own, one level deeper, with a bar more on each
side. All sections are drawn as wide as the widest. If that is wider than the terminal,
sections of a single row are turned into two columns, name and value.

AWS: awscli/formatter.py and table.py, down to how widths are rounded.
"""

from __future__ import annotations

import sys
import unicodedata

from millpond.cli.page import may_style

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, Final

_TERMINAL_WIDTH: Final = 80
_PADDING: Final = 4
_BORDERS: Final = 2
_WIDE: Final = frozenset("WFA")
_BRIGHT_BLUE: Final = "\x1b[1m\x1b[34m"
_DIM_YELLOW: Final = "\x1b[2m\x1b[33m"
_PLAIN: Final = "\x1b[0m"


def as_table(title: str, result: Any, *, color: str = "auto") -> str:
    """
    Draw a result.

    Args:
        title: what stands above it, the name of the operation.
        color: "on", "off", or "auto" for colours on a terminal alone.
    """
    if not result:
        return ""
    taken_apart = _Sections()
    taken_apart.add(title, result, 0)
    sections = taken_apart.found
    width = _widest(sections)
    if width > _terminal_width():
        for section in sections:
            section.turn()
        width = _widest(sections)
    coloured = color == "on" or (color == "auto" and may_style(sys.stdout))
    # AWS: with colours, every piece that is written ends with a reset.
    end = f"\n{_PLAIN}" if coloured else "\n"
    lines = (line for each in sections for line in each.draw(width, coloured=coloured))
    return "".join(f"{line}{end}" for line in ("-" * width, *lines))


class Section:
    """A part of a table: a title, column names perhaps, rows."""

    def __init__(self, title: str | None, depth: int) -> None:
        self.title = title or ""
        self.depth = depth
        self.headers: list[str] = []
        self.rows: list[list[str]] = []
        self._widths: list[int] = []

    def add_headers(self, headers: Sequence[str]) -> None:
        """Name the columns."""
        self.headers = list(headers)
        self._note_widths(self.headers)

    def add_row(self, row: Sequence[Any]) -> None:
        """Add a row; all rows of a section are equally long."""
        cells = [str(each) for each in row]
        columns = len(self.headers or (self.rows[0] if self.rows else cells))
        if len(cells) != columns:
            raise ValueError(
                f"Row should have {columns} elements, instead it has {len(cells)}"
            )
        self.rows.append(cells)
        self._note_widths(cells)

    def turn(self) -> None:
        """Turn a single row with headers into pairs of header and value."""
        if self.headers and len(self.rows) == 1:
            pairs = list(zip(self.headers, self.rows[0], strict=True))
            self.headers, self.rows, self._widths = [], [], []
            for pair in pairs:
                self.add_row(pair)

    @property
    def width(self) -> int:
        """How wide the section is, bars of its depth included."""
        bars = 2 * self.depth
        columns = sum(width + _PADDING for width in self._widths) + _BORDERS
        return max(_width(self.title) + _BORDERS, columns) + bars

    def draw(self, width: int, *, coloured: bool) -> Iterator[str]:
        """Draw the lines of the section."""
        bar, reset = (f"{_DIM_YELLOW}|{_PLAIN}", _PLAIN) if coloured else ("|", "")
        edge = bar * self.depth + reset
        for line in self._draw(width - 2 * self.depth, coloured=coloured):
            yield f"{edge}{line}{reset}{edge}"

    def _draw(self, width: int, *, coloured: bool) -> Iterator[str]:
        if self.title:
            yield _centred(self.title, width, left="|")
            if not self.headers and not self.rows:
                yield f"+{'-' * (width - 2)}+"
        widths = self._scaled_widths(width)
        rule = _rule(widths)
        if self.headers:
            yield rule
            yield "".join(
                _centred(header, each, left="" if index else "|")
                for index, (header, each) in enumerate(
                    zip(self.headers, widths, strict=False)
                )
            )
        if self.rows and widths:
            yield rule
            for row in self.rows:
                yield "".join(
                    _left(cell, each, left="" if index else "|", coloured=coloured)
                    for index, (cell, each) in enumerate(zip(row, widths, strict=False))
                )
            yield rule

    def _note_widths(self, cells: Sequence[str]) -> None:
        if not self._widths:
            self._widths = [0] * len(cells)
        for index, cell in enumerate(cells):
            self._widths[index] = max(self._widths[index], _width(cell))

    def _scaled_widths(self, width: int) -> list[int]:
        """Stretch the columns until they fill the width exactly."""
        natural = [each + _PADDING for each in self._widths]
        if not natural:
            return []
        factor = width / float(sum(natural))
        scaled = [round(factor * each) for each in natural]
        while (off_by := sum(scaled) - width) != 0:
            step = -1 if off_by > 0 else 1
            order = range(len(scaled)) if off_by > 0 else reversed(range(len(scaled)))
            for index in list(order)[: abs(off_by)]:
                scaled[index] += step
        return scaled


class _Sections:
    """Takes a result apart, section by section; rows go to the one begun last."""

    def __init__(self) -> None:
        self.found: list[Section] = []

    def add(self, title: str | None, value: Any, depth: int) -> None:
        """Add a value; one without a title goes on with the section before it."""
        if not value:
            return
        if title is not None:
            self.found.append(Section(title, depth))
        if isinstance(value, dict):
            self._add_structure(value, depth)
        elif isinstance(value, list) and isinstance(value[0], dict):
            self._add_structures(title, value, depth)
        elif isinstance(value, list):
            self._add_items(value)

    def _add_structure(self, value: dict[str, Any], depth: int) -> None:
        plain, nested = _part(value)
        if len(plain) == 1:
            self.found[-1].add_row([plain[0], value[plain[0]]])
        elif plain:
            self.found[-1].add_headers(plain)
            self.found[-1].add_row([value[name] for name in plain])
        for name in nested:
            self.add(name, value[name], depth + 1)

    def _add_structures(
        self, title: str | None, values: list[dict[str, Any]], depth: int
    ) -> None:
        parted = [_part(each) for each in values]
        plain = sorted({name for names, _ in parted for name in names})
        nested = sorted({name for _, names in parted for name in names})
        self.found[-1].add_headers(plain)
        for index, value in enumerate(values):
            if index and nested:
                self.found.append(Section(title, depth))
                self.found[-1].add_headers(plain)
            self.found[-1].add_row([value.get(name, "") for name in plain])
            for name in nested:
                if name in value:
                    self.add(name, value[name], depth + 1)

    def _add_items(self, items: list[Any]) -> None:
        for item in items:
            if not isinstance(item, (dict, list)):
                self.found[-1].add_row([item])
            elif not any(isinstance(each, (dict, list)) for each in item):
                self.found[-1].add_row(list(item))  # AWS: of a structure, the names
            else:
                self.add(None, item, 0)


def _part(value: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Part the members of a structure into plain and nested ones, sorted."""
    plain = sorted(n for n, each in value.items() if not isinstance(each, (dict, list)))
    return plain, sorted(set(value) - set(plain))


def _widest(sections: Sequence[Section]) -> int:
    return max(section.width for section in sections)


def _width(text: str) -> int:
    """How many columns a text takes; ambiguous characters count as wide."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(c) in _WIDE else 1 for c in text)


def _centred(text: str, width: int, *, left: str) -> str:
    before = width // 2 - _width(text) // 2 - 1
    line = f"{left}{' ' * before}{text}"
    taken = len(left) + before + _width(text)
    return f"{line}{' ' * (width - 1 - taken)}|"


def _left(text: str, width: int, *, left: str, coloured: bool) -> str:
    padding = 2 if width >= _width(text) + 2 + len(left) + 1 else 0
    taken = len(left) + padding + _width(text)
    shown = f"{_BRIGHT_BLUE}{text}{_PLAIN}" if coloured else text
    return f"{left}{' ' * padding}{shown}{' ' * (width - taken - 1)}|"


def _rule(widths: Sequence[int]) -> str:
    return "".join(
        f"{'-' * (each - 1)}+" if index else f"+{'-' * (each - 2)}+"
        for index, each in enumerate(widths)
    )


def _terminal_width() -> int:
    import os

    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or _TERMINAL_WIDTH
    except (OSError, ValueError):
        return _TERMINAL_WIDTH
