"""
What people type into forms, made into requests of the contract.

A map or a list is typed in lines, a pair or an item each, or as JSON, which can say
everything: what lines cannot tell (a key with '=' in it, a name with spaces at its end)
is shown as JSON from the beginning, so that a form which is sent back unchanged changes
nothing.
"""

from __future__ import annotations

import hashlib
import json
import typing
from collections.abc import Mapping
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from millpond.contract.shapes import Operation, Shape, members

T = TypeVar("T")

_BYTES_OF_SEAL: Final = 12
_encode = msgspec.json.Encoder(order="sorted").encode


class FormError(Exception):
    """A form that cannot be taken: sentences, by the name of the field."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(errors.values()))
        self.errors = errors


def make_request(operation: Operation, given: Mapping[str, Any]) -> Any:
    """
    Make the request of an operation.

    Args:
        given: by the names of the API; None stands for what is left out.
    Raises:
        FormError: by the names of the API, what cannot be.
    """
    present = {name: value for name, value in given.items() if value is not None}
    _refuse(_nul_in(present))
    try:
        return msgspec.convert(present, operation.request)
    except msgspec.ValidationError as error:
        faults = _faults(operation.request, present) or {"": f"{error}."}
        raise FormError(faults) from error


def _refuse(errors: Mapping[str, str]) -> None:
    if errors:
        raise FormError(errors)


def _nul_in(given: Mapping[str, Any]) -> dict[str, str]:
    # msgspec writes it so, in keys and values at any depth.
    return {
        name: "It must not contain a NUL character."
        for name, value in given.items()
        if b"\\u0000" in _encode(value)
    }


def _faults(shape: type[Shape], given: Mapping[str, Any]) -> dict[str, str]:
    """Say which members cannot be, and what they have to be."""
    hints = typing.get_type_hints(shape, include_extras=True)
    found = {}
    for each in members(shape):
        if each.name not in given:
            if each.required:
                found[each.name] = f"It is needed. {each.description}"
            continue
        try:
            msgspec.convert(given[each.name], hints[each.attribute])
        except msgspec.ValidationError as error:
            where = str(error).partition(" - at ")[2].strip("`")
            inside = f" ({error!s})" if where not in ("", "$") else ""
            found[each.name] = f"That cannot be{inside}. {each.description}".rstrip()
    return found


# --- Maps and lists -------------------------------------------------------------------


def write_map(pairs: Mapping[str, str] | None) -> str:
    """Write a map as it is typed: a line `name = value` for each pair, or JSON."""
    text = "\n".join(f"{name} = {value}" for name, value in (pairs or {}).items())
    return text if _reads(text, read_map, dict(pairs or {})) else write_json(pairs)


def read_map(text: str, field: str = "") -> dict[str, str]:
    """
    Read a map.

    Raises:
        FormError: it is none; a name stands in it twice.
    """
    if text.lstrip().startswith("{"):
        return _convert(text, dict[str, str], field, "an object of texts")
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.split("\n"))):
        name, sign, value = (each.strip() for each in line.partition("="))
        if not sign or not name:
            _fail(field, f"A line is not `name = value`: {line[:60]}")
        if name in found:
            _fail(field, f"It is there twice: {name[:60]}")
        found[name] = value
    return found


def write_list(items: list[str] | None) -> str:
    """Write a list as it is typed: a line for each item, or JSON."""
    text = "\n".join(items or ())
    return text if _reads(text, read_list, [*(items or ())]) else write_json(items)


def read_list(text: str, field: str = "") -> list[str]:
    """
    Read a list.

    Raises:
        FormError: it is none.
    """
    if text.lstrip().startswith("["):
        return _convert(text, list[str], field, "a list of texts")
    return [line for each in text.split("\n") if (line := each.strip())]


def write_json(value: Any) -> str:
    """Write anything as JSON, for people; nothing for None."""
    if not value:
        return ""
    plain = msgspec.to_builtins(value)
    return json.dumps(plain, indent=2, ensure_ascii=False)


def read_json(text: str, kind: type[T], field: str, what: str) -> T | None:
    """
    Read what `write_json` wrote.

    Args:
        what: it has to be, in words.
    Raises:
        FormError: it is something else.
    """
    return _convert(text, kind, field, what) if text.strip() else None


def seal_of(value: Any) -> str:
    """Make a mark of what a form shows, which another value does not have."""
    digest = hashlib.sha256(_encode(value)).digest()
    return digest[:_BYTES_OF_SEAL].hex()


def _convert(text: str, kind: type[T], field: str, what: str) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        _fail(field, f"It must be {what}, as JSON: {error}.")


def _reads(text: str, read: Any, value: Any) -> bool:
    """Say whether a text is read as the value that it was written from."""
    try:
        return bool(read(text) == value)
    except FormError:
        return False


def _fail(field: str, sentence: str) -> NoReturn:
    raise FormError({field: sentence})
