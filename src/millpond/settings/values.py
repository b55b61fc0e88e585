"""
A value as somebody wrote it, made into the type of its field.

Files have types, variables have text: a number or `true` may stand there as text, and a
list or a table as JSON. What is wrong is said as `it must be ...`, in words that name
neither a parser nor a type of Python.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from millpond import nearness
from millpond.settings.fields import ImportSource, LoginProvider

S = TypeVar("S", bound=msgspec.Struct)

_NUMBER: Final = r"[+-]?[0-9]{1,18}"
_TRUTHS: Final = {"true": True, "1": True, "false": False, "0": False}
_SHOWN_CHARS_MAX: Final = 80


class WrongValueError(Exception):
    """A value is not what its setting takes; the message begins with `it must be`."""


def convert(each: dataclasses.Field[Any], value: Any, *, is_text: bool) -> Any:
    """
    Make a value into the type of a field.

    Args:
        is_text: the value comes from a variable, where a list or a table is JSON.
    Raises:
        WrongValueError: it cannot be one, or is out of bounds.
    """
    kind = str(each.type)
    if is_text and "[" in kind:
        value = _read_json(kind, value)
    if each.metadata["is_path"]:
        return expand_home(_text(value))
    match kind:
        case "int":
            return _number(value, each.metadata["least"], each.metadata["most"])
        case "bool":
            return _truth(value)
        case "Path":
            return Path(_path(value))
        case "list[str]":
            return _texts(value)
        case "str | int":
            if isinstance(value, int | float) and not isinstance(value, bool):
                value = str(_number(value, None, None))
            return _text(value)
        case "dict[str, str]":
            return _table_of_texts(value)
        case "dict[str, LoginProvider]":
            return _structs(LoginProvider, _tables(value))
        case "dict[str, ImportSource]":
            return _structs(ImportSource, _tables(value))
        case _:
            return _text(value)


def expand_home(path: str) -> str:
    """
    Put somebody's home in the place of a leading `~`, as a shell does.

    Shells do so at the beginning of a word alone: behind `--data=` most leave it, and
    in a file there is none. A folder of that name would be made, and somebody who
    cleans up with `rm -r ~` loses more than that.

    Raises:
        WrongValueError: nobody has such a home.
    """
    found = os.path.expanduser(path)
    if found.startswith("~"):
        name = found.partition("/")[0]
        raise WrongValueError(
            f"it must be a path, and there is no home '{name}'; what has that name "
            f"itself is ./{name}"
        )
    return found


def describe(value: Any) -> str:
    """Show a value that is wrong, cut when it is long."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | Path):
        text = str(value)
        text = text if text.isprintable() else repr(text)[1:-1]
        cut = len(text) > _SHOWN_CHARS_MAX
        return f"'{text[:_SHOWN_CHARS_MAX]}{'...' if cut else ''}'"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, Mapping):
        return "a table"
    return str(value)[:_SHOWN_CHARS_MAX]


def _read_json(kind: str, text: str) -> Any:
    example = '["a", "b"]' if kind.startswith("list") else '{"name": "value"}'
    what = "a list" if kind.startswith("list") else "a table"
    if kind.endswith("LoginProvider]"):
        example = '{"name": {"client_ids": ["a"]}}'
    if kind.endswith("ImportSource]"):
        example = '{"us-east-1:0123...": {"read_through": true}}'
    import json

    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list if kind.startswith("list") else dict):
        raise WrongValueError(f"it must be {what} in JSON, such as {example}")
    return value


def _number(value: Any, least: int | None, most: int | None) -> int:
    bounds = ""
    if least is not None:
        bounds = (
            f" from {least} to {most}" if most is not None else f", {least} or more"
        )
    elif most is not None:
        bounds = f", at most {most}"
    if isinstance(value, str) and re.fullmatch(_NUMBER, value.strip()):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongValueError(f"it must be a whole number{bounds}")
    if (least is not None and value < least) or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        raise WrongValueError(f"it must be {bounds}")
    return value


def _truth(value: Any) -> bool:
    if isinstance(value, str):
        value = _TRUTHS.get(value.strip().lower())
    if not isinstance(value, bool):
        raise WrongValueError("it must be true or false")
    return value


def _day(value: Any) -> datetime.date:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = datetime.date.fromisoformat(value)
    if not isinstance(value, datetime.date) or isinstance(value, datetime.datetime):
        raise WrongValueError("it must be a day, such as 2027-01-31")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise WrongValueError("it must be text, in quotes")
    if "\0" in value:
        raise WrongValueError("it must be text without the character NUL")
    return value


def _path(value: Any) -> str:
    text = str(value) if isinstance(value, Path) else _text(value)
    if not text:
        raise WrongValueError("it must be the path of a folder")
    return expand_home(text)


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise WrongValueError('it must be a list, such as ["a", "b"]')
    for each in value:
        if not isinstance(each, str):
            raise WrongValueError(
                f"it must be a list of texts, each in quotes; {describe(each)} is none"
            )
    return value


def _tables(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise WrongValueError("it must be a table, with a line for each name")
    return value


def _table_of_texts(value: Any) -> dict[str, str]:
    for name, each in _tables(value).items():
        if not isinstance(each, str):
            raise WrongValueError(
                f"it must be a table of texts, and '{name}' in it is {describe(each)}"
                f"{_whole_name(name, each)}"
            )
    return dict(value)


def _whole_name(name: str, value: Any, known: Collection[str] = ()) -> str:
    """
    Show how a name is written that TOML has taken apart at its dots.

    Args:
        value: what was found under its first part; empty unless that is a table.
        known: names that may stand in there.
    """
    parts = [name]
    while isinstance(value, Mapping) and value:
        inner, value = next(iter(value.items()))
        if inner in known:
            break
        parts.append(inner)
    if len(parts) == 1:
        return ""
    return f'. A name with dots stands in quotes: "{".".join(parts)}"'


def _structs(kind: type[S], tables: dict[str, Any]) -> dict[str, S]:
    """Read a table of tables, each of which has the fields of a struct."""
    return {name: _struct(kind, name, table) for name, table in tables.items()}


def _struct(kind: type[S], name: str, value: Any) -> S:
    if not isinstance(value, dict):
        raise WrongValueError(
            f"it must be a table of tables, and '{name}' in it is {describe(value)}"
        )
    known = kind.__struct_fields__
    found = {}
    for key, each in value.items():
        if key not in known:
            meant = (
                _whole_name(name, {key: each}, known)
                if isinstance(each, Mapping)
                else f".{nearness.ask(key, known)}"
            )
            raise WrongValueError(
                f"it must have {', '.join(known)} alone in each table, and '{name}' "
                f"has '{key}'{meant}"
            )
        try:
            found[key] = _FIELDS[kind.__annotations__[key]](each)
        except WrongValueError as error:
            where = f"'{key}' of '{name}'"
            raise WrongValueError(
                str(error).replace("it must be", f"{where} must be", 1)
            ) from None
    return kind(**found)


_FIELDS: Final[dict[str, Callable[[Any], Any]]] = {
    "list[str]": _texts,
    "str": _text,
    "bool": _truth,
    "int": lambda value: _number(value, 1, 60),
    "datetime.date | None": _day,
}
"""Readers of the fields of such a table, by their types; numbers are seconds."""
