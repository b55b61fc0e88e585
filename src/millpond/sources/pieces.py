"""
JSON objects that follow each other in bytes, with line breaks between them or without.

Firehose puts the records of a stream into a file as they are, one behind the other. A
file may be of any size and may hold anything; memory is bounded by the longest object
that is taken, whatever stands in the file.

What is no object is passed over up to the next place where one begins, and counts as
one unreadable piece. An object begins at the beginning, behind a line break or behind
the end of another one; so the objects inside one that is cut off are not taken for it.
"""

from __future__ import annotations

import codecs
import json
import re
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, NamedTuple, cast

CHUNK_BYTES: Final = 256 * 1024
OBJECT_CHARS_MAX: Final = 16 * 1024 * 1024  # a full dataset, escaped, takes up to 7
_WORD_CHARS_MAX: Final = 16
_GZIP: Final = b"\x1f\x8b"
_GZIP_BITS: Final = 31  # of zlib: a window of any size, with the header of gzip
_SPACE: Final = re.compile(r"[ \t\r\n\x00\x1e]*")  # record separators, too
_BEGINNING: Final = re.compile(r"[\n}][ \t\r\n\x00\x1e]*(?=\{)")
_decode: Final = json.JSONDecoder().raw_decode


class Piece(NamedTuple):
    """An object, or what is none: then `fault` says why."""

    number: int  # in the file, from 1
    members: dict[str, Any] | None
    fault: str = ""


class _Text:
    """Text that is read on as it is needed, and let go of as it was used."""

    def __init__(self, file: _Plain | _Gzip) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self.text = ""
        self.at = 0
        self.is_at_end = False
        self.fault = ""  # of the file, which ended before its end

    def read_on(self) -> None:
        """Read as much again as there is, so that a long object costs no more."""
        wanted = max(CHUNK_BYTES, len(self.text) - self.at)
        try:
            data = self._file.read(wanted)
        except (EOFError, zlib.error) as error:
            self.fault = f"the file is cut off or damaged ({error})"
            data = b""
        self.is_at_end = not data
        more = self._decoder.decode(data, final=self.is_at_end)
        self.text = self.text[self.at :] + more
        self.at = 0

    def skip_space(self) -> bool:
        """Go to where something stands; say whether anything does."""
        while True:
            found = _SPACE.match(self.text, self.at)
            assert found is not None
            self.at = found.end()
            if self.at < len(self.text):
                return True
            if self.is_at_end:
                return False
            self.read_on()

    def skip_bad(self) -> None:
        """Go from what is no object to where one may begin, as far as it is read."""
        found = _BEGINNING.search(self.text, self.at)
        if found is None and not self.is_at_end:
            # A beginning may be cut in two: what comes before it is kept.
            kept = len(self.text[self.at + 1 :].rstrip())
            self.at += kept
            self.read_on()
            found = _BEGINNING.search(self.text, self.at)
        self.at = len(self.text) if found is None else found.end()


def read_pieces(file: BinaryIO) -> Iterator[Piece]:
    """
    Read what stands in a file, packed with gzip or not.

    Args:
        file: at its beginning; it need not be one that can be wound back.
    Raises:
        OSError: it cannot be read on.
    """
    text = _Text(_unpacked(file))
    number = 0
    fault = ""  # of what was passed over; it counts once
    while text.skip_space():
        found = _take(text)
        if isinstance(found, str):
            fault = fault or found
            text.skip_bad()
            continue
        if fault:
            number += 1
            yield Piece(number, None, fault)
            fault = ""
        number += 1
        yield Piece(number, found)
    for each in filter(None, (fault, text.fault)):
        number += 1
        yield Piece(number, None, each)


def _take(text: _Text) -> dict[str, Any] | str:
    """Take the object that begins here; or say why it is none."""
    while True:
        if text.text[text.at] != "{":
            return "it is no JSON object"
        try:
            members, end = _decode(text.text, text.at)
        except RecursionError:
            return "it is nested too deep"
        except ValueError as error:
            if not _is_open(error, text.text):
                return f"it is no JSON ({error})"
            if text.is_at_end:
                return "it is cut off"
            if len(text.text) - text.at > OBJECT_CHARS_MAX:
                return f"it has more than {OBJECT_CHARS_MAX} characters"
            text.read_on()
            continue
        text.at = end
        return cast("dict[str, Any]", members)


def _is_open(error: ValueError, text: str) -> bool:
    """Say whether an object may only lack what comes behind the text."""
    if not isinstance(error, json.JSONDecodeError):
        return False  # a number with too many digits
    unfinished = len(text) - _WORD_CHARS_MAX  # a number, a word, an escape
    return error.msg.startswith("Unterminated") or error.pos >= unfinished


class _Plain:
    """A file as it is, whose first bytes were read already."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head = head
        self._file = file

    def read(self, size: int) -> bytes:
        """Read at most so many bytes; none at the end."""
        data, self._head = self._head, b""
        return data or self._file.read(size)


class _Gzip:
    """
    What a file holds that is packed with gzip, in one member or in several.

    The library's own reader holds back what comes before a damage; this one gives it.
    """

    def __init__(self, file: _Plain) -> None:
        self._file = file
        self._member = zlib.decompressobj(_GZIP_BITS)
        self._packed = b""
        self._is_begun = False  # the member that is read

    def read(self, size: int) -> bytes:
        """
        Read at most so many bytes; none at the end.

        Raises:
            zlib.error: it is damaged.
            EOFError: it ends within a member.
        """
        while True:
            packed = self._packed or self._file.read(CHUNK_BYTES)
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP_BITS)
                self._is_begun = False
                packed = packed.lstrip(b"\0")  # a tape is filled up with them
            if not packed:
                if self._is_begun:
                    raise EOFError("it ends too soon")
                return b""
            self._is_begun = True
            data = self._member.decompress(packed, size)
            self._packed = self._member.unconsumed_tail or self._member.unused_data
            if data:
                return data


def _unpacked(file: BinaryIO) -> _Plain | _Gzip:
    """Unpack a file by its content, whatever it is called."""
    head = b""
    while len(head) < len(_GZIP) and (more := file.read(len(_GZIP) - len(head))):
        head += more
    whole = _Plain(head, file)
    return _Gzip(whole) if head == _GZIP else whole
