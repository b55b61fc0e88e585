"""
Results as JSON and as text; tables have a module of their own.

AWS: awscli/formatter.py and text.py. JSON is not escaped to ASCII, and an empty result
prints nothing. Text has a line for each structure: its plain values, sorted by name,
with tabs between; then, each with its name in front, what is nested in it.
"""

from __future__ import annotations

import json

from millpond.client.api.faults import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Final

    Names = list[str] | None

_NESTED: Final = (dict, list)


def as_json(result: Any) -> str:
    """Write a result as JSON."""
    if result == {}:
        return ""
    text = json.dumps(result, indent=4, ensure_ascii=False, default=encode)
    return f"{text}\n"


def as_text(result: Any) -> str:
    """Write a result as lines of text."""
    return "".join(f"{line}\n" for line in _lines(result, None, None))


def encode(value: Any) -> Any:
    if isinstance(value, bytes):
        from base64 import b64encode

        return b64encode(value).decode()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    # Such as the expression that --query '&Count' stands for.
    raise Fault("Encountered unrecognized type in JSON encoder.")


def _lines(value: Any, name: str | None, columns: Names) -> Iterator[str]:
    if isinstance(value, dict):
        yield from _structure_lines(value, name, columns)
    elif isinstance(value, list):
        yield from _list_lines(value, name)
    else:
        yield str(value)


def _structure_lines(
    value: dict[str, Any], name: str | None, columns: Names
) -> Iterator[str]:
    if columns is None:
        columns = sorted(n for n, each in value.items() if not _is_nested(each))
    cells = [str(value.get(column, "")) for column in columns]
    if cells:
        yield "\t".join(cells if name is None else [name.upper(), *cells])
    for other in sorted(set(value) - set(columns)):
        yield from _lines(value[other], other, None)


def _list_lines(value: list[Any], name: str | None) -> Iterator[str]:
    if any(isinstance(each, dict) for each in value):
        columns = sorted(
            {
                column
                for structure in value
                if isinstance(structure, dict)
                for column, each in structure.items()
                if not _is_nested(each)
            }
        )
        for each in value:
            yield from _lines(each, name, columns)
        return
    plain = [each for each in value if not _is_nested(each)]
    if plain and name is not None:
        yield from (f"{name.upper()}\t{each}" for each in plain)
    elif plain:
        yield "\t".join(str(each) for each in plain)
    for each in value:
        if _is_nested(each):
            yield from _lines(each, name, None)


def _is_nested(value: Any) -> bool:
    return isinstance(value, _NESTED)
