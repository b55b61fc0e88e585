"""
Bytes to contract objects: JSON or CBOR bodies, path labels, query parameters, headers.

Rules:

1. A null member is an absent member. Unknown members are passed over.
2. A NUL character is refused in every member: PostgreSQL text cannot hold it, and both
   stores must take the same strings (docs/decisions).
3. A time may come as a number or, from hand-written clients, as a string holding a
   number or an ISO 8601 date. In CBOR it has its tag, and a blob is a byte string.
4. Whatever is wrong leaves here as an exception of the API, with no other effect.

Bodies that have structures in them are mostly right, and small. *The quick way* reads
those into the structures at once. It gives a request or nothing at all; *the exact way*
reads the body into dicts first, and says what is wrong, or that nothing is.
"""

from __future__ import annotations

import datetime
import functools
import gc
import itertools
import math
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import inspect as inspection
from msgspec.structs import astuple

from millpond import limits
from millpond.contract.shapes import (
    Api,
    InHeader,
    InPath,
    InQuery,
    Member,
    Operation,
    Shape,
    is_time,
    members,
    strip,
)
from millpond.errors import SerializationException, ServiceException
from millpond.wire import cbor
from millpond.wire.validation import first_wrong_item, lower_first, refusal

_MANY: Final = (inspection.ListType, inspection.DictType)
LIMITED_ELSEWHERE: Final = frozenset(("RecordPatches",))  # by a setting

_DIGITS_MAX: Final = 20  # what a Long has, with its sign

_decode_json = msgspec.json.Decoder().decode
LARGE_BYTES: Final = 65_536  # of JSON, in which there may be very many lists
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class RequestDecoder:
    """Decodes requests of one operation."""

    def __init__(self, api: Api, operation: Operation) -> None:
        self._api = api
        self._shape = operation.request
        self._labels: dict[str, Member] = {}
        self._parameters: dict[str, Member] = {}
        self._parameters_raw: dict[bytes, Member] = {}  # as they mostly come
        self._headers: dict[bytes, Member] = {}
        self._elsewhere: list[str] = []
        self._lists_max: dict[str, int | None] = {}
        self._has_body = False
        self._names = {member.name for member in members(operation.request)}
        for member in members(operation.request):
            match member.location:
                case InPath(name):
                    self._labels[name] = member
                case InQuery(name):
                    self._parameters[name] = member
                    self._parameters_raw[name.encode()] = member
                    self._elsewhere.append(member.name)
                case InHeader(name):
                    self._headers[name.lower().encode()] = member
                    self._elsewhere.append(member.name)
                case None:
                    self._has_body = True
                    if isinstance(member.type, _MANY):
                        self._lists_max[member.name] = member.type.max_length
        self.reads_target_alone: Final = not self._has_body and not self._headers
        """Whether all members of the request travel in its path and query."""
        own = [each for each in members(operation.request) if each.location is None]
        self._own = own  # what travels in the body
        self._is_nested = any(_inner(each.type) is not None for each in own)
        self._body_names = [each.name for each in own]

    def decode(
        self,
        body: bytes,
        labels: Mapping[str, str] | None = None,
        query: bytes = b"",
        headers: Mapping[bytes, bytes] | None = None,
        *,
        binary: bool = False,
    ) -> Shape:
        """
        Decode a request.

        Args:
            binary: the body is CBOR, not JSON.
            labels: path labels, decoded.
            query: the raw query string.
            headers: names in lower case.
        Raises:
            SerializationException: the body cannot be read or has the wrong types.
            ServiceException: of the API's own kind, when a constraint is broken.
        """
        if body and self._is_nested and not binary and len(body) <= LARGE_BYTES:
            request = self._decode_quickly(body, labels, query, headers)
            if request is not None:
                return request
        given: dict[str, Any] = {}
        has_nul = False
        if body and self._has_body:
            given, has_nul = self._read_body(body, binary=binary)
        has_nul = self._read_head(given, labels, query, headers) or has_nul
        try:
            if has_nul:
                self._refuse_nul(given)
            if binary:
                # Text is base64 where bytes are wanted, but CBOR has bytes.
                return msgspec.convert(given, self._shape, builtin_types=(bytes,))
            return msgspec.convert(given, self._shape)
        except msgspec.ValidationError as error:
            fault = str(error)
        except RecursionError as error:
            raise _too_deep() from error
        try:
            if binary:
                raise refusal(self._api, self._shape, given, fault, binary=True)
            return self._second_try(given, fault)
        except RecursionError as error:
            raise _too_deep() from error

    def _decode_quickly(
        self,
        body: bytes,
        labels: Mapping[str, str] | None,
        query: bytes,
        headers: Mapping[bytes, bytes] | None,
    ) -> Shape | None:
        """Decode a request that is right in every way; None: it may not be."""
        if body.find(b"\\u0000") >= 0:
            return None
        try:
            read = self._body_decoder.decode(body)
            given = {
                name: value
                for name, value in zip(self._body_names, astuple(read), strict=True)
                if value is not None
            }
            for listed, items_max in self._lists_max.items():
                most = limits.ITEMS_MAX if items_max is None else items_max
                if listed in given and len(given[listed]) > most:
                    return None
            if self._read_head(given, labels, query, headers):
                return None
            return msgspec.convert(given, self._shape)
        except (
            msgspec.DecodeError,  # which a ValidationError is, too
            UnicodeDecodeError,
            RecursionError,
            ServiceException,
        ):
            return None

    def _read_head(
        self,
        given: dict[str, Any],
        labels: Mapping[str, str] | None,
        query: bytes,
        headers: Mapping[bytes, bytes] | None,
    ) -> bool:
        """Read what does not travel in the body, and say if a NUL may be in it."""
        if query and self._parameters:
            self._read_query(query, given)
        if headers:
            for name, member in self._headers.items():
                if name in headers:
                    given[member.name] = headers[name].decode("utf-8", "replace")
        if labels:
            given.update(labels)
            if "\0" in "".join(labels.values()):
                return True
        return query.find(b"%00") >= 0

    def check(self, request: Shape) -> Shape:
        """
        Hold a request that was not decoded to the constraints of its members.

        Raises:
            ServiceException: of the API's own kind, when a constraint is broken.
        """
        given = msgspec.to_builtins(request)
        self._refuse_nul(given)
        try:
            return msgspec.convert(given, self._shape)
        except msgspec.ValidationError as error:
            raise refusal(self._api, self._shape, given, str(error)) from None

    @functools.cached_property
    def _body_decoder(self) -> msgspec.json.Decoder[Any]:
        """Reads the members that travel in the body into a structure of their own."""
        shape = self._shape
        hints = typing.get_type_hints(shape, include_extras=True)
        fields = [
            (each.attribute, hints[each.attribute])
            if each.required
            else (each.attribute, hints[each.attribute], None)
            for each in self._own
        ]
        names = {each.attribute: each.name for each in self._own}
        body = msgspec.defstruct(
            f"{shape.__name__}Body",
            fields,
            rename=names,
            kw_only=True,
            gc=False,
            forbid_unknown_fields=True,  # they are looked at the exact way
        )
        return msgspec.json.Decoder(body)

    def _read_json(self, body: bytes) -> tuple[dict[str, Any], bool]:
        if len(body) <= LARGE_BYTES:
            return _read_json(body)
        # A million empty lists make the collector look at all of them again and again,
        # for seconds, while everybody waits. Others are let go of before it looks. Of
        # two threads the one that stopped it lets it go on.
        collects = gc.isenabled()
        gc.disable()
        try:
            given, has_nul = _read_json(body)
            for name in given.keys() - self._names:
                del given[name]
        finally:
            if collects:
                gc.enable()
        return given, has_nul

    def _bound(
        self,
        given: dict[str, Any],
        name: str,
        items: list[Any] | dict[str, Any],
        items_max: int | None,
    ) -> None:
        """Let no list or map be looked at that is too long for its operation."""
        if items_max is not None:
            if len(items) > items_max:
                # One too many are as good as a hundred thousand, and soon refused.
                few = itertools.islice(
                    items.items() if isinstance(items, dict) else items, items_max + 1
                )
                given[name] = dict(few) if isinstance(items, dict) else [*few]
        elif len(items) > limits.ITEMS_MAX and name not in LIMITED_ELSEWHERE:
            raise self._api.constraint_error(
                f"1 validation error detected: Value at '{lower_first(name)}' failed "
                "to satisfy constraint: Member must have length less than or equal to "
                f"{limits.ITEMS_MAX}"
            )

    def _read_body(self, body: bytes, *, binary: bool) -> tuple[dict[str, Any], bool]:
        """Read what the body says of what is its own, and if a NUL may be in it."""
        given, has_nul = self._read_cbor(body) if binary else self._read_json(body)
        for listed, items_max in self._lists_max.items():
            items = given.get(listed)
            if isinstance(items, list | dict):
                self._bound(given, listed, items, items_max)
        # What it says about members that travel elsewhere does not count.
        for name in self._elsewhere:
            given.pop(name, None)
        return given, has_nul

    def _read_cbor(self, body: bytes) -> tuple[dict[str, Any], bool]:
        reader = cbor.Reader(body)
        given = reader.read()
        if not isinstance(given, dict):
            raise SerializationException("The body must be a CBOR map.")
        _read_tagged_times(self._shape, given)
        return given, reader.has_nul

    def _read_query(self, query: bytes, given: dict[str, Any]) -> None:
        for pair in query.split(b"&"):
            raw_name, _, raw_value = pair.partition(b"=")
            member = self._parameters_raw.get(raw_name)
            if member is None:
                member = self._parameters.get(percent_decode(raw_name))
            if member is None:
                continue
            if member.name in given:
                # The canonical query is sorted, so a signature says nothing about
                # which of two came last.
                raise SerializationException(
                    f"Parameter '{member.wire_name}' is given more than once."
                )
            if not isinstance(member.type, inspection.IntType):
                given[member.name] = percent_decode(raw_value)
            elif raw_value.isdigit() and len(raw_value) <= _DIGITS_MAX:
                given[member.name] = int(raw_value)
            else:
                text = percent_decode(raw_value)
                given[member.name] = read_integer(text, member.wire_name)

    def _refuse_nul(self, given: Mapping[str, Any]) -> None:
        at = _find_nul(self._shape, given)
        if at is not None:
            raise self._api.constraint_error(
                f"1 validation error detected: Value at '{lower_first(at)}' failed "
                "to satisfy constraint: Member must not contain a NUL character"
            )

    def _second_try(self, given: dict[str, Any], fault: str) -> Shape:
        """Take times that are strings; otherwise say exactly what is wrong."""
        if _read_text_times(self._shape, given, begin=first_wrong_item(fault)):
            try:
                return msgspec.convert(given, self._shape)
            except msgspec.ValidationError as error:
                fault = str(error)
        raise refusal(self._api, self._shape, given, fault)


def _too_deep() -> SerializationException:
    return SerializationException("The body is nested too deeply.")


def percent_decode(raw: bytes) -> str:
    """Decode %XX; a '+' is a plus. Bytes that are not UTF-8 become U+FFFD."""
    raw = raw.replace(b"%3A", b":")  # all there is in an id, from most clients
    if raw.find(b"%") >= 0:
        raw = unquote_to_bytes(raw)
    return raw.decode("utf-8", "replace")


def _read_json(body: bytes) -> tuple[dict[str, Any], bool]:
    """Read a body, and say whether there may be a NUL character in it."""
    try:
        given = _decode_json(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise SerializationException(f"The body is not valid JSON: {error}") from error
    if not isinstance(given, dict):
        raise SerializationException("The body must be a JSON object.")
    return given, body.find(b"\\u0000") >= 0


def read_integer(text: str, name: str) -> int:
    """Read a parameter that is an integer, in decimal digits and nothing else."""
    # int() alone would take '1_0', ' 1' and digits of other scripts.
    digits = text[1:] if text.startswith(("-", "+")) else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS_MAX):
        raise SerializationException(f"Parameter '{name}' must be an integer.")
    return int(text)


def _find_nul(
    shape: type[msgspec.Struct], given: Mapping[str, Any], path: str = ""
) -> str | None:
    """Find where in the members of a shape a NUL character stands."""
    for member in members(shape):
        at = _find_nul_in(member.type, given.get(member.name), f"{path}{member.name}")
        if at is not None:
            return at
    return None


def _find_nul_in(kind: inspection.Type, value: Any, at: str) -> str | None:
    found: str | None = None
    match kind, value:
        case _, str():
            found = at if "\0" in value else None
        case inspection.StructType(), dict():
            found = _find_nul(kind.cls, value, f"{at}.")
        case inspection.ListType(), list():
            item, _ = strip(kind.item_type)
            for number, each in enumerate(value, 1):
                found = found or _find_nul_in(item, each, f"{at}.{number}.member")
        case inspection.DictType(), dict():
            item, _ = strip(kind.value_type)
            for key, each in value.items():
                inside = f"{at}.{key}".replace("\0", "\\0")
                if "\0" in key:
                    return inside
                found = found or _find_nul_in(item, each, inside)
    return found


def _times(
    shape: type[msgspec.Struct],
    given: dict[str, Any],
    path: str = "",
    *,
    begin: tuple[str, int] = ("", 0),
    items_max: int | None = None,
) -> Iterator[tuple[dict[str, Any], str, str]]:
    """
    Find the times of a decoded body: in which dict, by which name, at which path.

    Args:
        begin: a list and the index of the first of its items to look at.
        items_max: how many items of a list to look at.
    """
    if not _has_times(shape):
        return
    for member in members(shape):
        value = given.get(member.name)
        at = f"{path}{lower_first(member.name)}"
        inner = _inner(member.type)
        if is_time(member.type, member.title):
            if value is not None:
                yield given, member.name, at
        elif inner is not None:
            first = begin[1] if begin[0] == member.name else 0
            last = None if items_max is None else first + items_max
            for each in value[first:last] if isinstance(value, list) else [value]:
                if isinstance(each, dict):
                    yield from _times(inner, each, f"{at}.")


@functools.cache
def _has_times(shape: type[msgspec.Struct]) -> bool:
    return any(
        is_time(member.type, member.title)
        or ((inner := _inner(member.type)) is not None and _has_times(inner))
        for member in members(shape)
    )


def _inner(kind: inspection.Type) -> type[msgspec.Struct] | None:
    """Give the shape inside a member: its own, or that of its items."""
    if isinstance(kind, inspection.ListType):
        kind, _ = strip(kind.item_type)
    return kind.cls if isinstance(kind, inspection.StructType) else None


def _read_text_times(
    shape: type[msgspec.Struct], given: dict[str, Any], *, begin: tuple[str, int]
) -> bool:
    """
    Turn times that are strings into numbers, in place; say if there were any.

    Args:
        begin: where the decoder stopped: before that there are none in a list.
    """
    changed = False
    # A stranger may send a hundred thousand of them, and everybody waits.
    found = _times(shape, given, begin=begin, items_max=limits.RECORDS_PER_DATASET_MAX)
    for where, name, _ in found:
        value = where[name]
        seconds = _read_time(value) if isinstance(value, str) else None
        if seconds is not None:
            where[name] = seconds
            changed = True
    return changed


def _read_tagged_times(shape: type[msgspec.Struct], given: dict[str, Any]) -> None:
    """Turn the times of a CBOR body into epoch seconds, in place."""
    for where, name, at in _times(shape, given):
        value = where[name]
        if isinstance(value, cbor.Time):
            where[name] = value.ms / 1000
        elif isinstance(value, int | float):
            # It could be seconds or milliseconds, so it is neither.
            raise SerializationException(
                "NUMBER_VALUE can not be converted to milliseconds since epoch at "
                f"'{at}': a time has tag 1"
            )


def _read_time(text: str) -> float | None:
    """Read epoch seconds or an ISO 8601 date; one without a zone is in UTC."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = datetime.datetime.fromisoformat(text)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        seconds = (moment - _EPOCH).total_seconds()
    return seconds if math.isfinite(seconds) else None
