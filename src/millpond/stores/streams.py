"""What both stores do with a stream: spell its tags, say how long it keeps records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

HOUR_MS: Final = 3_600_000
ALL_CONSUMERS: Final = 1000  # more than a stream may have

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, str]).decode


def encode_tags(tags: Mapping[str, str] | None) -> str | None:
    """Spell tags as a JSON object; None: there are none."""
    return _encode(tags).decode() if tags else None


def decode_tags(text: str | None) -> dict[str, str]:
    """Read tags back."""
    return {} if text is None else _decode(text)


def longest_retention_ms(own_hours: Iterable[int], default_ms: int) -> int:
    """Say how long a record is kept at most, in any stream."""
    return max([default_ms, *(hours * HOUR_MS for hours in own_hours)])
