"""
Where the version is written, and how all of these places get a new one.

    python release/versions.py               say which places say something else
    python release/versions.py --set 0.3.0   write it everywhere

The source is `src/millpond/__init__.py`. Packages for npm, charts, images and pages
cannot read it, so they repeat it; a test compares them.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
SOURCE: Final = "src/millpond/__init__.py"
# PyPI writes 1.2.3rc1, and npm 1.2.3-rc.1: what both have is three numbers.
VERSION: Final = r"\d+\.\d+\.\d+"
_BEFORE: Final = "|".join(
    (
        r'__version__ = "',
        r'"name": "@millpond/[\w-]+",\s+"version": "',  # package.json, and npm's lock
        r'"@millpond/[\w-]+": "',  # what depends on one of them
        r"\bmillpond-(?:(?!\d)[\w-]+-)?(?=\d[\w.]*\.t?gz)",  # an archive
        r"\bmillpond(?:/[\w-]+)?@v?",  # for uvx, npm or an action
        r"\bmillpond(?:\[\w+(?:,\w+)*\])?==",  # a requirement
        r"image\.version=\"",  # the label of an image
        r"image: *(?:[\w./-]+/)?millpond:",  # an image, in Compose or Kubernetes
    )
)
_ANYWHERE: Final = re.compile(f"(?:{_BEFORE})(?P<version>{VERSION})")
_CHART: Final = re.compile(
    rf'(?m)^(?:appVersion|version): *["\']?(?P<version>{VERSION})'
)
# What tells of other versions: those of before, and those of others.
_LEFT_OUT: Final = (
    *("CHANGELOG.md", "changelog.d/", "findings/", "requirements/", "tests/"),
)


class Place(NamedTuple):
    """A version in a file; `start` and `end` count characters."""

    file: str
    line: int
    version: str
    start: int
    end: int


def version(root: Path = ROOT) -> str:
    """Read the version of Millpond from its source."""
    found = re.search(rf'__version__ = "({VERSION})"', (root / SOURCE).read_text())
    if found is None:
        raise ValueError(f"{SOURCE} has no version such as 1.2.3")
    return found[1]


def places(root: Path = ROOT) -> Iterator[Place]:
    """Find what is written of our version in all files that git knows."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    for file in sorted(set(filter(None, listed.stdout.split("\0")))):
        path = root / file
        if file.startswith(_LEFT_OUT) or not path.is_file():
            continue
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        pattern = _CHART if path.name == "Chart.yaml" else _ANYWHERE
        for found in pattern.finditer(text):
            start, end = found.span("version")
            line = text.count("\n", 0, start) + 1
            yield Place(file, line, found["version"], start, end)


def differing(root: Path = ROOT) -> list[str]:
    """Say which places have another version than the source, one line each."""
    wanted = version(root)
    return [
        f"{each.file}:{each.line} says {each.version}, {SOURCE} says {wanted}"
        for each in places(root)
        if each.version != wanted
    ]


def write(new: str, root: Path = ROOT) -> None:
    """Write a version everywhere."""
    if not re.fullmatch(VERSION, new):
        raise ValueError(f"{new!r} is no version such as 1.2.3")
    found = sorted(places(root), key=lambda each: (each.file, -each.start))
    for each in found:  # of each file the last place first, so that the others stay
        path = root / each.file
        text = path.read_text("utf-8")
        path.write_text(text[: each.start] + new + text[each.end :], "utf-8")


def main(words: list[str]) -> int:
    """Compare, or set."""
    match words:
        case ["--set", new]:
            try:
                write(new)
            except ValueError as error:
                print(error, file=sys.stderr)
                return 2
        case []:
            pass
        case _:
            print((__doc__ or "").strip(), file=sys.stderr)
            return 2
    wrong = differing()
    for each in wrong:
        print(each, file=sys.stderr)
    if not wrong:
        print(f"All {len(list(places()))} places say {version()}.")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
