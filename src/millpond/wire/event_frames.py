"""
The binary event stream of AWS, application/vnd.amazon.eventstream: one frame an event.

A frame is the length of the whole, the length of the headers and a CRC of the two; the
headers; the payload; and a CRC of everything before. The headers say what the payload
is: an event of some type, or an exception, which is the last.

Source: the Smithy specification, "Amazon Event Stream"; botocore reads it.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

import msgspec

from millpond.errors import ServiceException
from millpond.wire.codecs import Codec

CONTENT_TYPE: Final = b"application/vnd.amazon.eventstream"

_LENGTHS: Final = struct.Struct(">II")
_CRC: Final = struct.Struct(">I")
_HEADER_LENGTHS: Final = struct.Struct(">BH")
_STRING: Final = 7
_AROUND: Final = 16  # bytes of a frame beside its headers and its payload


class _Nothing(msgspec.Struct):
    pass


class _Fault(msgspec.Struct):
    message: str


def initial_response(codec: Codec) -> bytes:
    """Spell what comes first: the members of the answer that are no events; none."""
    return _message("event", "initial-response", _Nothing(), codec)


def event(kind: str, value: msgspec.Struct, codec: Codec) -> bytes:
    """Spell an event; `kind` is the member of the event stream that it is."""
    return _message("event", kind, value, codec)


def exception(error: ServiceException, codec: Codec) -> bytes:
    """Spell an exception, which ends the stream."""
    return _message("exception", error.code, _Fault(error.message), codec)


def frame(headers: dict[str, bytes], payload: bytes) -> bytes:
    """Spell a frame, whose headers are strings of UTF-8."""
    head = b"".join(
        b"%c%b%b%b"
        % (len(name), name.encode(), _HEADER_LENGTHS.pack(_STRING, len(v)), v)
        for name, v in headers.items()
    )
    lengths = _LENGTHS.pack(_AROUND + len(head) + len(payload), len(head))
    prelude = lengths + _CRC.pack(zlib.crc32(lengths))
    crc = zlib.crc32(payload, zlib.crc32(head, zlib.crc32(prelude)))
    return b"".join((prelude, head, payload, _CRC.pack(crc)))


def _message(kind: str, name: str, value: msgspec.Struct, codec: Codec) -> bytes:
    headers = {
        ":message-type": kind.encode(),
        f":{kind}-type": name.encode(),
        ":content-type": codec.content_type[1],
    }
    return frame(headers, codec.encode(value))
