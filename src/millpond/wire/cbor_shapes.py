"""
Contract objects to CBOR, by their shapes: what `wire.cbor` reads, AWS's way of times.

A writer is made once for each shape. The structures of a list are written by columns:
all values of one member, then all of the next, put in their places in the end. That
takes a few passes in C where a record at a time would take a dozen calls in Python;
GetRecords has up to 10,000 of them.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple, Protocol

import msgspec
from msgspec import inspect as inspection

from millpond.contract.shapes import Member, is_time, members, strip
from millpond.wire.cbor import (
    ARRAY,
    BYTES,
    EPOCH_MS,
    FALSE,
    MAP,
    NULL,
    TEXT,
    TRUE,
    head,
    integer,
    text,
)

_COLUMNS_FROM: Final = 8  # structures; fewer are written one by one


def encode(value: msgspec.Struct) -> bytes:
    """Encode a contract object; members that have their defaults are left out."""
    parts: list[bytes] = []
    _structure(type(value)).write(value, parts)
    return b"".join(parts)


class _Kind(Protocol):
    """How values of one kind are written."""

    def write(self, value: Any, parts: list[bytes]) -> None:
        """Write one value, in one part or more."""

    def columns(self, values: Sequence[Any]) -> list[Iterable[bytes]]:
        """Write many values: the first part of each, the second part of each..."""


class _Simple:
    """Numbers, booleans, times, and texts of which there are few."""

    def __init__(self, spell: Callable[[Any], bytes]) -> None:
        self._spell = spell

    def write(self, value: Any, parts: list[bytes]) -> None:
        parts.append(self._spell(value))

    def columns(self, values: Sequence[Any]) -> list[Iterable[bytes]]:
        known = {value: self._spell(value) for value in set(values)}
        return [map(known.__getitem__, values)]


class _Bytes:
    def write(self, value: bytes, parts: list[bytes]) -> None:
        parts += (head(BYTES, len(value)), value)

    def columns(self, values: Sequence[bytes]) -> list[Iterable[bytes]]:
        return [_heads(BYTES, values), values]


class _Text:
    def write(self, value: str, parts: list[bytes]) -> None:
        parts.append(text(value))

    def columns(self, values: Sequence[str]) -> list[Iterable[bytes]]:
        encoded = list(map(str.encode, values))
        return [_heads(TEXT, encoded), encoded]


class _Many:
    """What holds other values."""

    def write(self, value: Any, parts: list[bytes]) -> None:
        raise NotImplementedError

    def columns(self, values: Sequence[Any]) -> list[Iterable[bytes]]:
        return [list(map(self._joined, values))]

    def _joined(self, value: Any) -> bytes:
        parts: list[bytes] = []
        self.write(value, parts)
        return b"".join(parts)


class _List(_Many):
    def __init__(self, item: _Kind) -> None:
        self._item = item

    def write(self, value: Sequence[Any], parts: list[bytes]) -> None:
        parts.append(head(ARRAY, len(value)))
        if len(value) >= _COLUMNS_FROM and isinstance(self._item, _Structure):
            columns = self._item.member_columns(value)
            if columns is not None:
                parts += _interleave(columns, len(value))
                return
        for each in value:
            self._item.write(each, parts)


class _Map(_Many):
    def __init__(self, value: _Kind) -> None:
        self._value = value

    def write(self, value: dict[str, Any], parts: list[bytes]) -> None:
        parts.append(head(MAP, len(value)))
        for key, each in value.items():
            parts.append(text(key))
            self._value.write(each, parts)


class _Field(NamedTuple):
    key: bytes
    get: Callable[[Any], Any]
    kind: _Kind
    default: Any


class _Structure(_Many):
    def __init__(self, shape: type[msgspec.Struct]) -> None:
        defaults = dict(
            zip(
                reversed(shape.__struct_fields__),
                reversed(shape.__struct_defaults__),
                strict=False,
            )
        )
        self._fields = [
            _Field(
                text(member.name),
                attrgetter(member.attribute),
                _kind_of_member(member),
                defaults.get(member.attribute, msgspec.NODEFAULT),
            )
            for member in members(shape)
        ]

    def write(self, value: Any, parts: list[bytes]) -> None:
        place = len(parts)
        parts.append(b"")
        count = 0
        for key, get, kind, default in self._fields:
            of_member = get(value)
            if of_member is default:
                continue
            count += 1
            parts.append(key)
            if of_member is None:
                parts.append(NULL)
            else:
                kind.write(of_member, parts)
        parts[place] = head(MAP, count)

    def member_columns(self, values: Sequence[Any]) -> list[Iterable[bytes]] | None:
        """
        Write structures that all have the same members; None when they have not.

        Returns:
            Of each structure the first part, of each the second part...
        """
        found: list[tuple[bytes, list[Iterable[bytes]]]] = []
        for key, get, kind, default in self._fields:
            column = list(map(get, values))
            left_out = (
                sum(each is default for each in column)
                if (default is not msgspec.NODEFAULT)
                else 0
            )
            if left_out == len(column):
                continue
            if left_out or None in column:
                return None
            found.append((key, kind.columns(column)))
        first = head(MAP, len(found))
        columns: list[Iterable[bytes]] = []
        for key, pieces in found:
            columns += ([first + key] * len(values), *pieces)
            first = b""
        return columns or [[first] * len(values)]


def _interleave(columns: Sequence[Iterable[bytes]], count: int) -> list[bytes]:
    parts = [b""] * (count * len(columns))
    for place, column in enumerate(columns):
        parts[place :: len(columns)] = list(column)
    return parts


def _heads(major: int, values: Sequence[bytes]) -> Iterable[bytes]:
    lengths = list(map(len, values))
    known = {length: head(major, length) for length in set(lengths)}
    return map(known.__getitem__, lengths)


@functools.cache
def _structure(shape: type[msgspec.Struct]) -> _Structure:
    return _Structure(shape)


def _kind_of_member(member: Member) -> _Kind:
    if isinstance(member.type, inspection.FloatType):
        return _Simple(_time if is_time(member.type, member.title) else _double)
    return _kind(member.type)


def _kind(wrapped: inspection.Type) -> _Kind:
    kind, notes = strip(wrapped)
    match kind:
        case inspection.StrType():
            return _Text()
        case inspection.BytesType():
            return _Bytes()
        case inspection.LiteralType():
            return _Simple(text)
        case inspection.IntType():
            return _Simple(integer)
        case inspection.BoolType():
            return _Simple(_boolean)
        case inspection.FloatType():
            return _Simple(_time if is_time(kind, notes.get("title", "")) else _double)
        case inspection.ListType(item_type=item):
            return _List(_kind(item))
        case inspection.DictType(value_type=value):
            return _Map(_kind(value))
        case inspection.StructType(cls=shape):
            return _structure(shape)
    raise TypeError(f"there is no CBOR for {kind}")


def _boolean(value: bool) -> bytes:
    return TRUE if value else FALSE


def _time(seconds: float) -> bytes:
    return EPOCH_MS + integer(round(seconds * 1000))


def _double(value: float) -> bytes:
    return struct.pack(">Bd", 0xFB, value)
