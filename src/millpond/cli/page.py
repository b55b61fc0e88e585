"""
How a help page is laid out and shown: sections, prose, lists, and the width they have.

All pages have one form, that of the AWS CLI: headings in capitals and indented text.
The text is plain; on a terminal, headings and options are bold and the page goes
through the pager that the environment names. A page fits the columns of the terminal;
only what would be spoiled for copying, such as an ARN, may stand out.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final, TextIO

STEP: Final = 4
_WIDTH_MAX: Final = 78
_WIDTH_MIN: Final = 20
_ABOUT_WIDTH_MIN: Final = 30
_NARROW: Final = 64  # columns below which indents are smaller
_COLUMNS_DEFAULT: Final = 80
_PROMINENT: Final = (
    r"(?m)^[A-Z][A-Za-z ]*$|(?<=^ {7})--[a-z0-9-]+|(?<=^ {2})--[a-z0-9-]+"
)
_BREAKS: Final = r"(?<=[,|])|(?<= )"


def columns() -> int:
    """How many columns there are: COLUMNS, or what the terminal says, or 80."""
    try:
        told = int(os.environ.get("COLUMNS", ""))
    except ValueError:
        told = 0
    if told <= 0:
        try:
            told = os.get_terminal_size(sys.stdout.fileno()).columns
        except (OSError, ValueError, AttributeError):
            told = 0
    return told if told > 0 else _COLUMNS_DEFAULT


def width() -> int:
    """How long the lines of a page may be."""
    return max(_WIDTH_MIN, min(columns(), _WIDTH_MAX))


def indent() -> int:
    """How far the text of a section stands in."""
    return 2 if is_narrow() else 7


def may_style(stream: TextIO) -> bool:
    """Whether bold letters and colours are welcome: on a terminal, without NO_COLOR."""
    plain = os.environ.get("TERM", "dumb") == "dumb" or os.environ.get("NO_COLOR")
    return stream.isatty() and not plain


def show(text: str) -> None:
    """Print a page; on a terminal, through MANPAGER, PAGER or less."""
    # Ours: a pager only where somebody can page. The AWS CLI starts it on a pipe too.
    if not sys.stdout.isatty():
        sys.stdout.write(text)
        return
    import shlex
    import subprocess

    styled = may_style(sys.stdout)
    shown = re.sub(_PROMINENT, "\x1b[1m\\g<0>\x1b[m", text) if styled else text
    pager = os.environ.get("MANPAGER") or os.environ.get("PAGER") or "less"
    # less shows bold letters as such with R, and a short page without waiting with F.
    environment = {"LESS": "FRX", **os.environ}
    try:
        with _ctrl_c_left_to_others():
            subprocess.run(
                shlex.split(pager), input=shown.encode(), env=environment, check=False
            )
    except (OSError, ValueError, IndexError):  # no such pager, or no command at all
        sys.stdout.write(shown)


@contextlib.contextmanager
def _ctrl_c_left_to_others() -> Iterator[None]:
    """
    Let a pager do what it does with Ctrl-C, such as to end a search.

    AWS: so does its CLI. Python would kill the pager, which then leaves a terminal
    without echo behind.
    """
    import signal

    # Not SIG_IGN, which the pager would inherit.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def page(*sections: str) -> str:
    """Put sections together; those that are empty are left out."""
    return "\n".join(each for each in sections if each)


def is_narrow() -> bool:
    """Whether there is less room than pages are written for."""
    return width() < _NARROW


def section(title: str, lines: Iterable[str], *, copied: bool = False) -> str:
    """
    Lay a section out.

    Args:
        copied: the lines are there to be copied, and stay as they are; else one that is
            too long goes on in the next line.
    """
    parts = (part for line in lines for part in ([line] if copied else fit(line)))
    body = [f"{'':{indent()}}{part}".rstrip() for part in parts]
    return "\n".join((title, *body)).rstrip() + "\n" if body else ""


def fit(line: str) -> list[str]:
    """Cut a line of a section where it may be cut, so that it fits."""
    room = width() - indent()
    if len(line) <= room or room >= _WIDTH_MAX - 7:
        return [line]
    margin = min(len(line) - len(line.lstrip()) + STEP, room // 2)
    lines, current = [], line[: len(line) - len(line.lstrip())]
    for word in filter(None, re.split(_BREAKS, line.strip())):
        if current.strip() and len((current + word).rstrip()) > room:
            lines.append(current.rstrip())
            current = " " * margin
        current += word
    return [*lines, current]


def bullets(items: Iterable[str], inner: int = 0) -> Iterator[str]:
    """List some items; an empty line follows."""
    for item in items:
        yield f"{'':{inner}}* {item}"
    yield ""


def prose(text: str, inner: int = 0) -> Iterator[str]:
    """Fill a paragraph; an empty line follows."""
    if text.strip():
        room = max(width() - indent() - inner, _WIDTH_MIN // 2)
        yield from (f"{'':{inner}}{line}" for line in _wrap(text, room))
        yield ""


def _wrap(text: str, room: int) -> list[str]:
    import textwrap  # late: what shows no page needs none of it

    return textwrap.wrap(text, max(room, 1), break_on_hyphens=False)


def terms(rows: Iterable[tuple[str, str]], *, inner: int = 0) -> Iterator[str]:
    """List names with what each is about, side by side where there is room."""
    found = list(rows)
    side = max((len(name) for name, _ in found), default=0) + 2
    room = width() - indent() - inner
    for name, about in found:
        if room - side < _ABOUT_WIDTH_MIN:
            yield name
            yield from (f"{'':{STEP}}{part}" for part in _wrap(about, room - STEP))
            continue
        lines = _wrap(about, room - side) or [""]
        yield f"{name:{side}}{lines[0]}"
        yield from (f"{'':{side}}{line}" for line in lines[1:])
