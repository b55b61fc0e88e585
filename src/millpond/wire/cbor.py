"""
CBOR as the AWS SDK for Java speaks it: bytes to plain values, and the heads of items.

An item begins with a head: a major type, and a number or a length. Containers and
strings may also have no length, and end with a *break*.

Rules of the reader:

1. All that can be written well is read, in any of its spellings; what it is not is a
   `SerializationException`. It does bounded work: so many items, so deep.
2. A declared length is compared with what is there before anything is made of it.
3. Of the tags only 1 is known: a time, in integer epoch milliseconds. RFC 8949 has
   seconds there, AWS has not. A float could be either, and is refused.
4. A map has keys of text, each once.

Source: RFC 8949; what aws-sdk-java and aws-sdk-java-v2 send (SdkCborGenerator).
"""

from __future__ import annotations

import struct
from typing import Any, Final, NoReturn

from millpond.errors import SerializationException
from millpond.limits import CBOR_DEPTH_MAX, CBOR_ITEMS_MAX

UNSIGNED: Final = 0x00
NEGATIVE: Final = 0x20
BYTES: Final = 0x40
TEXT: Final = 0x60
ARRAY: Final = 0x80
MAP: Final = 0xA0
TAG: Final = 0xC0

FALSE: Final = b"\xf4"
TRUE: Final = b"\xf5"
NULL: Final = b"\xf6"
EPOCH_MS: Final = b"\xc1"  # tag 1

_SIMPLE: Final = {0xF4: False, 0xF5: True, 0xF6: None, 0xF7: None}
_FLOATS: Final = {0xF9: (">e", 2), 0xFA: (">f", 4), 0xFB: (">d", 8)}
_BREAK: Final = 0xFF
_INDEFINITE: Final = 31
_MAJOR: Final = 0xE0
_INFORMATION: Final = 0x1F


class Time:
    """A moment, in integer epoch milliseconds; no member takes one for anything else"""

    __slots__ = ("ms",)

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def __repr__(self) -> str:
        return f"<Time {self.ms} ms>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Time) and other.ms == self.ms

    def __hash__(self) -> int:
        return hash(self.ms)


def head(major: int, number: int) -> bytes:
    """Spell the head of an item, as short as it can be."""
    if number < 24:
        return bytes((major | number,))
    if number < 2**8:
        return bytes((major | 24, number))
    if number < 2**16:
        return struct.pack(">BH", major | 25, number)
    if number < 2**32:
        return struct.pack(">BI", major | 26, number)
    return struct.pack(">BQ", major | 27, number)


def integer(value: int) -> bytes:
    """Spell an integer of at most 64 bits."""
    return head(UNSIGNED, value) if value >= 0 else head(NEGATIVE, -1 - value)


def text(value: str) -> bytes:
    """Spell a string."""
    encoded = value.encode()
    return head(TEXT, len(encoded)) + encoded


class Reader:
    """
    Reads one item, which is all there is.

    `has_nul` says afterwards whether a text in it holds a NUL character.
    """

    def __init__(self, data: bytes) -> None:
        self.has_nul = False
        self._data = data
        self._at = 0
        self._items = 0

    def read(self) -> Any:
        """
        Read it.

        Returns:
            None, bool, int, float, str, bytes, `Time`, and lists and dicts of them.
        Raises:
            SerializationException: it is not one whole item, or more than is read.
        """
        value = self._item(self._byte(), CBOR_DEPTH_MAX)
        if self._at != len(self._data):
            _fail(f"something follows its end at byte {self._at}")
        return value

    def _item(self, first: int, depth: int) -> Any:
        self._items += 1
        if self._items > CBOR_ITEMS_MAX:
            _fail(f"it has more than {CBOR_ITEMS_MAX} items")
        major = first & _MAJOR
        if major == TEXT:
            return self._text(first)
        if major == BYTES:
            return self._bytes(first)
        if major <= NEGATIVE:
            number = self._number(first)
            return -1 - number if major else number
        if major > TAG:
            return self._simple(first)
        if not depth:
            _fail("it is nested too deeply")
        if major == MAP:
            return self._map(first, depth - 1)
        if major == ARRAY:
            return self._array(first, depth - 1)
        return self._tagged(first)

    def _text(self, first: int) -> str:
        if first == TEXT | _INDEFINITE:
            # Each part is a string of its own, so no character is parted.
            return "".join(self._parts(TEXT, self._text))
        raw = self._take(self._number(first))
        if b"\0" in raw:
            self.has_nul = True
        try:
            return raw.decode()
        except UnicodeDecodeError:
            _fail(f"a text before byte {self._at} is not UTF-8")

    def _bytes(self, first: int) -> bytes:
        if first == BYTES | _INDEFINITE:
            return b"".join(self._parts(BYTES, self._bytes))
        return self._take(self._number(first))

    def _parts(self, major: int, read: Any) -> list[Any]:
        """Read the parts of a string without a length."""
        parts: list[Any] = []
        while (first := self._byte()) != _BREAK:
            if first & _MAJOR != major or first & _INFORMATION == _INDEFINITE:
                _fail(f"at byte {self._at - 1} is no part of a string")
            self._items += 1
            if self._items > CBOR_ITEMS_MAX:
                _fail(f"it has more than {CBOR_ITEMS_MAX} items")
            parts.append(read(first))
        return parts

    def _array(self, first: int, depth: int) -> list[Any]:
        found: list[Any] = []
        if first == ARRAY | _INDEFINITE:
            while (following := self._byte()) != _BREAK:
                found.append(self._item(following, depth))
            return found
        for _ in range(self._count(first, 1)):
            found.append(self._item(self._byte(), depth))
        return found

    def _map(self, first: int, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if first == MAP | _INDEFINITE:
            while (following := self._byte()) != _BREAK:
                self._entry(following, depth, found)
            return found
        for _ in range(self._count(first, 2)):
            self._entry(self._byte(), depth, found)
        return found

    def _entry(self, first: int, depth: int, found: dict[str, Any]) -> None:
        if first & _MAJOR != TEXT:
            _fail(f"the key at byte {self._at - 1} is not text")
        key = self._text(first)
        if key in found:
            _fail(f"a map has a key twice, before byte {self._at}")
        found[key] = self._item(self._byte(), depth)

    def _tagged(self, first: int) -> Time:
        if self._number(first) != 1:
            _fail(f"the tag before byte {self._at} is not known here")
        following = self._byte()
        if following & _MAJOR > NEGATIVE:
            _fail(f"at byte {self._at - 1} is no integer, as a time must be")
        number = self._number(following)
        return Time(-1 - number if following & _MAJOR else number)

    def _simple(self, first: int) -> float | bool | None:
        if first in _SIMPLE:
            return _SIMPLE[first]
        if first in _FLOATS:
            form, size = _FLOATS[first]
            (value,) = struct.unpack(form, self._take(size))
            return float(value)
        _fail(f"the value before byte {self._at} is not known here")

    def _number(self, first: int) -> int:
        """Read what the first byte of a head says, or the bytes behind it."""
        information = first & _INFORMATION
        if information < 24:
            return information
        if information > 27:
            _fail(f"no item begins as the one at byte {self._at - 1}")
        return int.from_bytes(self._take(1 << (information - 24)))

    def _count(self, first: int, items: int) -> int:
        """Read how many entries of some items follow; each has a byte at least."""
        count = self._number(first)
        if count * items > len(self._data) - self._at:
            _fail("it is cut off")
        return count

    def _byte(self) -> int:
        at = self._at
        if at >= len(self._data):
            _fail("it is cut off")
        self._at = at + 1
        return self._data[at]

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            _fail("it is cut off")
        taken = self._data[self._at : end]
        self._at = end
        return taken


def _fail(why: str) -> NoReturn:
    raise SerializationException(f"The body is not valid CBOR: {why}.")
