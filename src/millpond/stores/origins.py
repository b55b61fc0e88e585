"""How stores keep what the source of an identity told of it: as JSON, or nothing."""

from __future__ import annotations

from typing import Final

import msgspec

from millpond.core.claims import Origin

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Origin).decode


def encode(origin: Origin | None) -> bytes | None:
    """Make the content of a column."""
    return None if origin is None else _encode(origin)


def decode(column: bytes | None) -> Origin | None:
    """Read the content of a column."""
    return None if column is None else _decode(column)
