"""TOML, as `millpond dump` writes it: what `tomllib` reads back to the same."""

from __future__ import annotations

import json
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Final

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+\Z")


def table(path: tuple[str, ...], values: dict[str, Any]) -> str:
    """Write a table with those in it, its own values first."""
    return "\n".join(_lines(path, values)) + "\n"


def _lines(path: tuple[str, ...], values: dict[str, Any]) -> Iterator[str]:
    yield f"[{'.'.join(map(_key, path))}]"
    inner = {name: each for name, each in values.items() if isinstance(each, dict)}
    for name, each in values.items():
        if name not in inner:
            yield f"{_key(name)} = {_value(each)}"
    for name, each in inner.items():
        yield ""
        yield from _lines((*path, name), each)


def _key(name: str) -> str:
    return name if _BARE.match(name) else _string(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    assert isinstance(value, dict)  # in a list
    parts = (f"{_key(name)} = {_value(each)}" for name, each in value.items())
    return f"{{{', '.join(parts)}}}"


def _string(text: str) -> str:
    # JSON's strings are TOML's, but for this one: TOML wants it escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
