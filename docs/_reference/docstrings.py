"""Docstrings of this house, as Markdown: paragraphs, and sections such as `Args:`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_SECTION: Final = re.compile(r"(Args|Attributes|Returns|Raises|Yields):")
_ENTRY: Final = re.compile(r"(?P<name>\*{0,2}\w+(?:, \w+)*): (?P<text>.*)")


class Docstring(NamedTuple):
    """
    What a docstring says.

    Args:
        text: its paragraphs, as Markdown.
        sections: by name, each entry with what it is called; `Returns` has none.
    """

    text: str
    sections: dict[str, list[tuple[str, str]]]


def parse(text: str | None) -> Docstring:
    """Take a docstring apart."""
    lines = inspect.cleandoc(text or "").splitlines()
    before: list[str] = []
    sections: dict[str, list[tuple[str, str]]] = {}
    section: list[tuple[str, str]] | None = None
    for line in lines:
        if found := _SECTION.fullmatch(line):
            section = sections.setdefault(found[1], [])
        elif section is None:
            before.append(line)
        elif line.strip():
            _add(section, line.removeprefix("    "))
    return Docstring(filled(before), sections)


def _add(section: list[tuple[str, str]], line: str) -> None:
    """Begin an entry, or go on with the last one."""
    found = None if line.startswith(" ") else _ENTRY.fullmatch(line)
    if found:
        section.append((found["name"], found["text"]))
    elif section:
        name, text = section[-1]
        section[-1] = (name, f"{text} {line.strip()}")
    else:
        section.append(("", line.strip()))


def filled(lines: list[str]) -> str:
    """Put the lines of each paragraph together; what stands in stays as it is."""
    parts = "\n".join(lines).strip().split("\n\n")
    return "\n\n".join(
        part
        if part.startswith(" ") or part.lstrip().startswith("* ")
        else " ".join(part.split())
        for part in parts
    )


def section_lines(found: Docstring, types: dict[str, str]) -> Iterator[str]:
    """
    Write the sections as lists.

    Args:
        types: of the arguments or attributes, by name.
    """
    for title, entries in found.sections.items():
        if title in ("Args", "Attributes"):
            for name, text in entries:
                kind = types.get(name.lstrip("*"), "")
                yield f"* `{name}`{f' (`{kind}`)' if kind else ''}: {text}"
        elif title == "Raises":
            yield from (f"* raises `{name}`: {text}" for name, text in entries)
        else:
            text = " ".join(f"{n}: {t}" if n else t for n, t in entries)
            yield f"* {title.lower()}: {text}"
