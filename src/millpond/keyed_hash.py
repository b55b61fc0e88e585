"""
HMAC-SHA-256, under a key that stays (`KeyedHash`) or that is used once (`keyed_hash`).

OpenSSL 3 looks up the hash anew in every HMAC, which costs more than the HMAC itself.

Source:
    RFC 2104.
"""

from __future__ import annotations

from hashlib import sha256

TYPE_CHECKING = False  # `typing` takes longer to load than all of this
if TYPE_CHECKING:
    from typing import Final

_BLOCK_BYTES: Final = 64
_INNER_PAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD: Final = bytes(byte ^ 0x5C for byte in range(256))


class KeyedHash:
    """HMAC-SHA-256 under one key: its two hashes have the padded key in them."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = _fill_block(key)
        self._inner = sha256(block.translate(_INNER_PAD))
        self._outer = sha256(block.translate(_OUTER_PAD))

    def __repr__(self) -> str:
        return "<KeyedHash>"

    def digest(self, message: bytes) -> bytes:
        """Give the 32 bytes of a message."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


def keyed_hash(key: bytes, message: bytes) -> bytes:
    """Give the 32 bytes of a message under a key that nothing else is hashed with."""
    block = _fill_block(key)
    inner = sha256(block.translate(_INNER_PAD) + message).digest()
    return sha256(block.translate(_OUTER_PAD) + inner).digest()


def _fill_block(key: bytes) -> bytes:
    short = sha256(key).digest() if len(key) > _BLOCK_BYTES else key
    return short.ljust(_BLOCK_BYTES, b"\0")
