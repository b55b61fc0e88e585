"""
What stands in the files of a file sink: one line of JSON for each stream record.

    {"partitionKey":"us-east-1:...","data":{"identityPoolId":...}}

`data` is the event as it was put, byte for byte, so spaces and the spelling of numbers
stay. Bytes that are not JSON on one line go as text instead:

    {"partitionKey":"...","dataBase64":"AAEC"}

A file is named after the moment it was begun, and names sort in that order. One that is
still written ends in `.jsonl.open`, a finished one in `.jsonl`. A line counts when its
line feed is there; what stands behind the last one was torn by a crash.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from millpond.core.streaming import EncodedRecord, StreamRecord

SUFFIX: Final = ".jsonl"
OPEN_SUFFIX: Final = ".jsonl.open"

_NAME: Final = re.compile(r"(\d{8}T\d{6}Z-\d{6}-[0-9a-f]{8})\.jsonl(\.open)?")
_KEY_MEMBER: Final = b'{"partitionKey":'
_DATA_MEMBER: Final = b',"data":'
_TEXT_MEMBER: Final = b',"dataBase64":"'
# A quotation mark inside a key is escaped, so this begins at the end of the key.
_BEHIND_KEY: Final = b'"' + _DATA_MEMBER
_SPACE: Final = b" \t"
_LOOK_BACK_BYTES: Final = 64 * 1024

_encode = msgspec.json.Encoder().encode
_decode_key = msgspec.json.Decoder(str).decode
_check = msgspec.json.Decoder(msgspec.Raw).decode


class _Object(msgspec.Struct):
    """Any object: its members are skipped, in less than half the time of `_check`."""


_check_object = msgspec.json.Decoder(_Object).decode


class _Line(msgspec.Struct, rename="camel"):
    """A line that somebody else has spelled."""

    partition_key: str
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    data_base64: str | msgspec.UnsetType = msgspec.field(
        name="dataBase64", default=msgspec.UNSET
    )


_decode_line = msgspec.json.Decoder(_Line).decode


class FileName(NamedTuple):
    """The name of a file; names sort by the time at which files were begun."""

    stem: str
    is_open: bool = False  # it is still written, or its writer died

    def __str__(self) -> str:
        return self.stem + (OPEN_SUFFIX if self.is_open else SUFFIX)


def parse_name(name: str) -> FileName | None:
    """Read the name of a file; None when it is none of a file sink."""
    match = _NAME.fullmatch(name)
    return FileName(match[1], match[2] is not None) if match else None


def name_behind(last_stem: str, *, moment: str, random_hex: str) -> FileName:
    """
    Name a new file, behind the last one there is, even if the clock stepped back.

    Args:
        last_stem: of the last file; empty: there is none.
        moment: now, as 20260131T235959Z.
        random_hex: 8 digits that no other writer has.
    """
    number = 0
    last_moment, _, rest = last_stem.partition("-")
    if last_moment >= moment:
        moment, number = last_moment, int(rest.partition("-")[0]) + 1
    return FileName(f"{moment}-{number:06d}-{random_hex}", is_open=True)


def encode_lines(records: Iterable[StreamRecord]) -> bytes:
    """Write records as lines, one behind the other, their line feeds included."""
    parts: list[bytes] = []
    for record in records:
        data = record.data
        if isinstance(record, EncodedRecord) or _is_json_on_one_line(data):
            member, end = _DATA_MEMBER, b"}\n"
        else:
            member, end = _TEXT_MEMBER, b'"}\n'
            data = base64.b64encode(data)
        parts += (_KEY_MEMBER, _encode(record.partition_key), member, data, end)
    return b"".join(parts)


def encode_line(record: StreamRecord) -> bytes:
    """Write a record as a line, its line feed included."""
    return encode_lines((record,))


def decode_line(line: bytes) -> StreamRecord:
    """
    Read a line back, without its line feed.

    Raises:
        ValueError: it is no line of such a file.
    """
    head, found, data = line.partition(_BEHIND_KEY)
    if found and head.startswith(_KEY_MEMBER) and data.endswith(b"}"):
        try:
            key = _decode_key(head[len(_KEY_MEMBER) :] + b'"')
            return StreamRecord(key, data[:-1])
        except msgspec.DecodeError:
            pass  # somebody else's spelling
    try:
        parsed = _decode_line(line)
        if parsed.data is not msgspec.UNSET:
            return StreamRecord(parsed.partition_key, bytes(parsed.data))
        if parsed.data_base64 is not msgspec.UNSET:
            data = base64.b64decode(parsed.data_base64, validate=True)
            return StreamRecord(parsed.partition_key, data)
    except (msgspec.DecodeError, binascii.Error, RecursionError) as error:
        raise ValueError(str(error)) from error
    raise ValueError("there is neither data nor dataBase64")


def end_of_last_line(descriptor: int, size: int) -> int:
    """Find where the last whole line of an open file of `size` bytes ends."""
    end = size
    while end > 0:
        start = max(0, end - _LOOK_BACK_BYTES)
        feed = os.pread(descriptor, end - start, start).rfind(b"\n")
        if feed >= 0:
            return start + feed + 1
        end = start
    return 0


def _is_json_on_one_line(data: bytes) -> bool:
    """Check cheaply; the driver skips over a value without making objects of it."""
    if b"\n" in data or b"\r" in data:
        return False
    if data[:1] in _SPACE or data[-1:] in _SPACE:  # true of no bytes at all, too
        return False
    try:
        if data.startswith(b"{"):
            _check_object(data)
        else:
            _check(data)
        # It looks at the structure; that the text is UTF-8 is left to us.
        return data.isascii() or bool(data.decode())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
