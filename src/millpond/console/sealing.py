"""
What the console gives away and takes back: sealed, for one purpose, until a time.

Whoever has it can neither read nor change it, nor use it for another purpose. Every
server with the same master secret opens it; nothing is kept.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import Any, Final, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

T = TypeVar("T")

_NONCE_BYTES: Final = 12
_CHARS_MAX: Final = 8192  # longer is none of ours


class _Sealed(msgspec.Struct, array_like=True):
    until_ms: int
    content: msgspec.Raw


class Seal:
    """Seals and opens what is given away."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def close(self, purpose: str, content: Any, *, until_ms: int) -> str:
        """Seal something; the result is safe in URLs and cookies."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        plain = msgspec.json.encode(
            _Sealed(until_ms, msgspec.Raw(msgspec.json.encode(content)))
        )
        sealed = nonce + self._cipher.encrypt(nonce, plain, purpose.encode())
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, purpose: str, text: str, kind: type[T], *, now_ms: int) -> T | None:
        """Open what was sealed for a purpose; None: it is not that, or over."""
        if len(text) > _CHARS_MAX or not text.isascii():
            return None
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            plain = self._cipher.decrypt(nonce, rest, purpose.encode())
            outer = msgspec.json.decode(plain, type=_Sealed)
            if now_ms >= outer.until_ms:
                return None
            return msgspec.json.decode(outer.content, type=kind)
        except (binascii.Error, ValueError, InvalidTag, msgspec.MsgspecError):
            return None
