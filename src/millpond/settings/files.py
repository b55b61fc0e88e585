"""
A settings file: TOML, and what was probably meant where it is none.

What is proposed repeats names of tables and settings alone: a line that cannot be read
may hold a secret.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from millpond.errors import SettingsError

_PLACE: Final = re.compile(r"\(at line ([0-9]+), column ([0-9]+)\)")
_QUOTED_NAME: Final = (
    "A name with other characters than letters, digits, '-' and '_' stands in quotes"
)


def read_file(file: Path, names: Collection[str]) -> dict[str, Any]:
    """
    Read a file.

    Args:
        names: those of the settings.
    Raises:
        SettingsError: it cannot be read, or is no TOML.
    """
    import tomllib  # late: most commands have no file

    text = ""
    try:
        text = file.read_text(encoding="utf-8-sig")
        return tomllib.loads(text)
    except OSError as error:
        reason = error.strerror
        raise SettingsError(f"Cannot read '{file}': {reason}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"'{file}' is not valid TOML: it is not text in UTF-8."
        ) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        proposal = _propose(text, str(error), names)
        raise SettingsError(
            f"'{file}' is not valid TOML: {error}.{proposal}"
        ) from error


def _propose(text: str, error: str, names: Collection[str]) -> str:
    """Say what to write where the parser stopped; empty when that is not known."""
    place = _PLACE.search(error)
    if place is None:
        return ""
    line = text.split("\n")[int(place[1]) - 1]
    rest = line[int(place[2]) - 1 :]
    if error.startswith("Invalid value"):
        if re.match(r"(?i)(true|false)\b", rest):
            return " Write true and false small."
        return " Text stands in quotes."
    if error.startswith("Expected newline"):
        # `host = 127.0.0.1`: its beginning is a number.
        is_bare = re.match(r"[^=\"']+=\s*[^\s\"'\[{]", line)
        return " Text stands in quotes." if is_bare else ""
    if error.startswith("Expected ']' at the end of a table"):
        return f" {_QUOTED_NAME}{_quoted_table(line, names)}."
    if error.startswith("Expected '=' after a key"):
        if "=" in rest:
            return f" {_QUOTED_NAME}."
        name = line.strip().partition(":")[0].strip()
        example = f": {name} = ..." if name in names else "."
        return f" Between a name and its value stands '='{example}"
    if error.startswith("Invalid initial character for a key") and rest[:1].isalpha():
        return f" {_QUOTED_NAME}."
    return ""


def _quoted_table(line: str, names: Collection[str]) -> str:
    setting, _, name = line.strip().strip("[]").partition(".")
    if setting not in names or not name or not re.fullmatch(r"[^\[\]\"'#]+", name):
        return ""
    return f': [{setting}."{name}"]'
