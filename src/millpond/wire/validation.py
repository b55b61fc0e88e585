"""
The slow, exact pass over a request that was refused.

Requests are decoded at C speed by msgspec, which stops at the first fault and words it
in its own way. When that happens, this module walks the request again, by the contract,
and says what the API says: either that the JSON has the wrong types
(SerializationException), or every constraint that is broken, in one message.

Everybody waits for that walk, so it is short whatever a stranger sends. The decoder has
said where it stopped: what stands before that in a list is good and is not looked at
again. From there on `ITEMS_MAX` items of a list are, and `FAULTS_MAX` faults are told.

Source: the texts of the AWS front end as clients quote them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import inspect as inspection

from millpond.contract.shapes import Api, Shape, members, published_pattern, strip
from millpond.errors import SerializationException, ServiceException
from millpond.wire import cbor

VALUE_CHARS_MAX: Final = 128  # of a value repeated in a message
FAULTS_MAX: Final = 50  # named in one message
ITEMS_MAX: Final = 200  # of a list, from the first that is wrong: some 3 ms

_ITEM: Final = re.compile(r"at `\$\.(\w+)\[(\d+)\]")
_JSON_NAMES: Final = {
    str: "STRING_VALUE",
    bool: "TRUE_VALUE",
    int: "NUMBER_VALUE",
    float: "NUMBER_VALUE",
    list: "START_ARRAY",
    dict: "START_OBJECT",
    bytes: "BINARY_VALUE",  # this and the next are in CBOR alone
    cbor.Time: "TIMESTAMP_VALUE",
}
_WANTED: Final = {
    inspection.StrType: ("a String", str),
    inspection.BytesType: ("a ByteBuffer", str),
    inspection.LiteralType: ("a String", str),
    inspection.IntType: ("an Integer", int),
    inspection.FloatType: ("milliseconds since epoch", int | float),
    inspection.BoolType: ("a Boolean", bool),
    inspection.ListType: ("an ArrayList", list),
    inspection.DictType: ("a Map", dict),
    inspection.StructType: ("a structure", dict),
}


def refusal(
    api: Api,
    shape: type[Shape],
    given: Mapping[str, Any],
    fallback: str,
    *,
    binary: bool = False,
) -> ServiceException:
    """
    Say why a request cannot be taken.

    Args:
        binary: a blob is bytes, not base64.
        given: the members by their names in the model.
        fallback: the decoder's own words, for a fault that this pass does not find.
    """
    walk = _Walk(binary=binary, begin=first_wrong_item(fallback))
    walk.structure(shape, given, "")
    if walk.type_faults:
        return SerializationException(walk.type_faults[0])
    if not walk.faults:
        return SerializationException(fallback)
    faults = walk.faults[:FAULTS_MAX]
    count = len(faults)
    noun = "error" if count == 1 else "errors"
    listed = "; ".join(faults)
    return api.constraint_error(f"{count} validation {noun} detected: {listed}")


def first_wrong_item(fault: str) -> tuple[str, int]:
    """
    Read in the decoder's words at which item of a list of the request it stopped.

    Returns:
        The name of the member and the index of the item; no name where it is no list.
    """
    found = _ITEM.search(fault)
    return (found[1], int(found[2])) if found else ("", 0)


class _Walk:
    """
    Collects faults while it walks a request beside its shape.

    It stops when it has enough of them, and does not walk through what is too long.
    """

    def __init__(self, *, binary: bool, begin: tuple[str, int]) -> None:
        self._binary = binary
        self._begin = begin
        self.faults: list[str] = []
        self.type_faults: list[str] = []

    def structure(
        self, shape: type[msgspec.Struct], given: Mapping[str, Any], path: str
    ) -> None:
        # Ours, ruling 7: a wrong type inside a record is told with the record's key.
        named = given.get("Key")
        whose = f" (Key: {named[:VALUE_CHARS_MAX]})" if isinstance(named, str) else ""
        for member in members(shape):
            value = given.get(member.name)
            at = f"{path}{lower_first(member.name)}"
            if value is not None:
                self.value(member.type, value, at, sensitive=member.sensitive, of=whose)
            elif member.required:
                self.faults.append(
                    f"Value null at '{at}' failed to satisfy constraint: "
                    "Member must not be null"
                )

    def value(
        self,
        kind: inspection.Type,
        value: Any,
        at: str,
        *,
        sensitive: bool = False,
        of: str = "",
    ) -> None:
        wanted, python_type = _WANTED[type(kind)]
        if self._binary and isinstance(kind, inspection.BytesType):
            python_type = bytes
        fits = isinstance(value, python_type)
        if isinstance(value, bool) and not isinstance(kind, inspection.BoolType):
            fits = False
        if not fits:
            self._wrong_type(kind, value, wanted, f"{at}{of}")
            return
        if self._is_full:
            return
        for constraint in _broken(kind, value):
            plain = isinstance(value, str | int | float) and not sensitive
            shown = f" '{_show(value)}'" if plain else ""
            self.faults.append(
                f"Value{shown} at '{at}' failed to satisfy constraint: {constraint}"
            )
        if not _is_too_long(kind, value):
            self._inside(kind, value, at, sensitive=sensitive)

    @property
    def _is_full(self) -> bool:
        return max(len(self.faults), len(self.type_faults)) >= FAULTS_MAX

    def _inside(
        self, kind: inspection.Type, value: Any, at: str, *, sensitive: bool
    ) -> None:
        match kind:
            case inspection.StructType():
                self.structure(kind.cls, value, f"{at}.")
            case inspection.ListType():
                item, _ = strip(kind.item_type)
                name, begin = self._begin
                begin = begin if lower_first(name) == at else 0
                items = value[begin : begin + ITEMS_MAX]
                for number, each in enumerate(items, begin + 1):
                    if self._is_full:
                        break
                    if each is None:
                        self.type_faults.append(f"A list holds null at '{at}.{number}'")
                    else:
                        inside = f"{at}.{number}.member"
                        self.value(item, each, inside, sensitive=sensitive)
            case inspection.DictType():
                key_kind, _ = strip(kind.key_type)
                value_kind, _ = strip(kind.value_type)
                for key, each in value.items():
                    if self._is_full:
                        break
                    self.value(key_kind, key, f"{at}.key", sensitive=sensitive)
                    # A key that breaks a constraint may be a value put in its place.
                    shown = key[:VALUE_CHARS_MAX]
                    if sensitive and any(_broken(key_kind, key)):
                        shown = "key"
                    inside = f"{at}.{shown}.member"
                    self.value(value_kind, each, inside, sensitive=sensitive)

    def _wrong_type(
        self, kind: inspection.Type, value: Any, wanted: str, at: str
    ) -> None:
        if isinstance(kind, inspection.FloatType) and isinstance(value, str):
            # AWS: this text, for a date that is a string.
            self.type_faults.append(
                f"class java.lang.String can not be converted to {wanted}"
            )
            return
        name = _JSON_NAMES.get(type(value), "VALUE_NULL")
        if value is False:
            name = "FALSE_VALUE"
        self.type_faults.append(f"{name} can not be converted to {wanted} at '{at}'")


def _is_too_long(kind: inspection.Type, value: Any) -> bool:
    """Say whether a list or a map has more items than it may."""
    if not isinstance(kind, inspection.ListType | inspection.DictType):
        return False
    return kind.max_length is not None and len(value) > kind.max_length


def _broken(kind: inspection.Type, value: Any) -> Iterator[str]:
    """Word the constraints that a value of the right type breaks."""
    match kind:
        case inspection.BytesType():
            if isinstance(value, str):
                # It is still base64; the limits are for what it decodes to.
                value = value.rstrip("=")
                yield from _broken_length(kind, len(value) * 3 // 4)
            else:
                yield from _broken_length(kind, len(value))
        case inspection.StrType():
            yield from _broken_length(kind, len(value))
            if kind.pattern is not None and not _matches(kind.pattern, value):
                yield (
                    "Member must satisfy regular expression pattern: "
                    f"{published_pattern(kind.pattern)}"
                )
        case inspection.ListType() | inspection.DictType():
            yield from _broken_length(kind, len(value))
        case inspection.LiteralType():
            if value not in kind.values:
                yield f"Member must satisfy enum value set: {_list(kind.values)}"
        case inspection.IntType() | inspection.FloatType():
            if kind.ge is not None and value < kind.ge:
                yield f"Member must have value greater than or equal to {kind.ge}"
            if kind.le is not None and value > kind.le:
                yield f"Member must have value less than or equal to {kind.le}"


def _broken_length(
    kind: inspection.StrType
    | inspection.BytesType
    | inspection.ListType
    | inspection.DictType,
    length: int,
) -> Iterator[str]:
    if kind.min_length is not None and length < kind.min_length:
        yield f"Member must have length greater than or equal to {kind.min_length}"
    if kind.max_length is not None and length > kind.max_length:
        yield f"Member must have length less than or equal to {kind.max_length}"


def _matches(pattern: str, value: str) -> bool:
    return re.search(pattern, value) is not None


def _list(values: Sequence[Any]) -> str:
    return "[" + ", ".join(str(each) for each in values) + "]"


def _show(value: Any) -> str:
    text = str(value)
    if len(text) > VALUE_CHARS_MAX:
        text = text[:VALUE_CHARS_MAX] + "..."
    return text


def lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]
