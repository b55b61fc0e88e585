"""
SQL in files, by name.

Each file holds statements under `-- name: ...` headings. All of them are parsed when
the package is imported, so that a misspelt name fails at once and not in production.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

_HEADING: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


class NamedQueries:
    """The statements of one file, as attributes."""

    def __init__(self, package: str, file: str) -> None:
        # Not `importlib.resources`: loading that takes longer than all else here.
        folder = Path(str(sys.modules[package].__file__)).parent
        text = (folder / file).read_text("utf-8")
        parts = _HEADING.split(text)
        self.by_name = {
            name: _without_comments(sql)
            for name, sql in zip(parts[1::2], parts[2::2], strict=True)
        }

    def __getattr__(self, name: str) -> str:
        try:
            sql = self.by_name[name]
        except KeyError:
            raise AttributeError(f"no query is named {name!r}") from None
        setattr(self, name, sql)  # found without a call from now on
        return sql


def _without_comments(sql: str) -> str:
    lines = [line for line in sql.splitlines() if not line.startswith("--")]
    return "\n".join(lines).strip().rstrip(";")
