"""
Encryption of values, so that the server has ciphertext.

    codec = encrypted(json(), {"2025": old, "2026": new}, current="2026")

The format, as `docs/decisions` has it and `clients/js/sync/src/encryption.js` too. A
value is the text

    mpe1.<key id>.<base64url of the body, without padding>

* `mpe1`: format 1. What begins otherwise is not encrypted.
* the key id: 1 to 32 letters, digits, `_` and `-`. It says which of the app's keys was
  used, so that keys can be changed; it is not secret.
* the body, bytes 0 to 11: the nonce, random for each writing.
* the body, from byte 12: what AES-256-GCM makes of the UTF-8 bytes of the text that the
  inner codec gives, and at its end the tag of 16 bytes.

The additional data is the UTF-8 of five lines, joined by line feeds, without one at the
end:

    mpe1
    <key id>
    <pool id>
    <dataset name>
    <record key>

so a value stands only where it was written: one that the server moved to another key,
dataset or pool cannot be decrypted. No line but the last can hold a line feed. The
identity is not among them, for guest data follows into an account. Nothing keeps a
server from giving back an older value of the same record.

A text of n bytes becomes one of 6 + len(key id) + 4/3 (n + 28), which is what counts
towards the size of a dataset.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from millpond.client.codecs import Codec, CodecError, DecryptionError, Place

FORMAT: Final = "mpe1"
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
ONLY_KEY_ID: Final = "1"
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_VALUE: Final = re.compile(r"mpe1\.([A-Za-z0-9_-]{1,32})\.([A-Za-z0-9_-]+)")


class encrypted:  # noqa: N801 -- it reads as a function: codec=encrypted(json(), key)
    """
    A codec around another one: the server, and whoever reads its store, sees AES-GCM.

    Args:
        codec: makes the text that is encrypted.
        key: 32 random bytes, or several by their ids; a single one has the id `1`.
        current: the id of the key that encrypts; to be named where there are several.
            All of them decrypt.
        read_plain: values that are not encrypted are read too, as the inner codec
            does. For the time in which an app goes over to encryption; afterwards a
            server could put in what it likes.
        make_nonce: for tests alone.
    Raises:
        ValueError: a key of another length, or none that encrypts.
    """

    def __init__(
        self,
        codec: Codec[Any],
        key: bytes | Mapping[str, bytes],
        *,
        current: str | None = None,
        read_plain: bool = False,
        make_nonce: Callable[[], bytes] = lambda: os.urandom(NONCE_BYTES),
    ) -> None:
        keys = dict(key) if isinstance(key, Mapping) else {ONLY_KEY_ID: bytes(key)}
        if current is None and len(keys) == 1:
            (current,) = keys
        if current is None or current not in keys:
            raise ValueError(f"current: one of {', '.join(keys)}; not {current}")
        for key_id, secret in keys.items():
            if not _KEY_ID.fullmatch(key_id):
                raise ValueError(f"key id: 1 to 32 of A-Z a-z 0-9 _ -, not {key_id!r}")
            if len(secret) != KEY_BYTES:
                raise ValueError(f"key {key_id}: {KEY_BYTES} bytes, not {len(secret)}")
        self.name = f"encrypted-{codec.name}"
        self.version = codec.version
        self.inner = codec
        self.current = current
        self._keys = keys
        self._ciphers: dict[str, Any] = {}
        self._read_plain = read_plain
        self._make_nonce = make_nonce

    def __repr__(self) -> str:
        return f"encrypted({self.inner!r}, keys {', '.join(self._keys)})"

    def encode(self, value: Any, place: Place) -> str:
        """Make a text, as `Codec.encode` (CodecError)."""
        plain = self.inner.encode(value, place)
        try:
            octets = plain.encode()
        except UnicodeEncodeError:
            raise CodecError("unencodable", place, "half of a character") from None
        nonce = self._make_nonce()
        sealed = self._cipher(self.current).encrypt(
            nonce, octets, _bound(self.current, place)
        )
        body = base64.urlsafe_b64encode(nonce + sealed).rstrip(b"=").decode()
        return f"{FORMAT}.{self.current}.{body}"

    def encode_like(self, value: Any, place: Place, texts: Sequence[str]) -> str:
        """
        Give the first text that says the same already, else a new one.

        Encrypted anew it would be another text, so two devices of one mind would go on
        to push by turns. A text of another key is none: it is to be written anew.
        """
        plain = self.inner.encode(value, place)
        for text in texts:
            try:
                if text.startswith(f"{FORMAT}.{self.current}.") and (
                    self.decrypt(text, place) == plain
                ):
                    return text
            except CodecError:
                continue
        return self.encode(value, place)

    def decode(self, text: str, place: Place) -> Any:
        """Make the value of a text, as `Codec.decode` (CodecError)."""
        return self.inner.decode(self.decrypt(text, place), place)

    def decrypt(self, text: str, place: Place) -> str:
        """
        Give the text that the inner codec made.

        Raises:
            CodecError: it is not encrypted.
            DecryptionError: there is no key for it, or it does not fit.
        """
        if not text.startswith(f"{FORMAT}."):
            if self._read_plain:
                return text
            raise CodecError("not_encrypted", place, "the value is not encrypted.")
        found = _VALUE.fullmatch(text)
        if found is None:
            raise _undecipherable(place, "")
        key_id, body = found.groups()
        if key_id not in self._keys:
            raise DecryptionError(
                "unknown_key",
                place,
                key_id,
                f"encrypted with the key '{key_id}', which this app does not have.",
            )
        return self._open(key_id, _octets(body), place)

    def _open(self, key_id: str, octets: bytes, place: Place) -> str:
        from cryptography.exceptions import InvalidTag

        if len(octets) < NONCE_BYTES + TAG_BYTES:
            raise _undecipherable(place, key_id)
        nonce, sealed = octets[:NONCE_BYTES], octets[NONCE_BYTES:]
        try:
            plain = self._cipher(key_id).decrypt(nonce, sealed, _bound(key_id, place))
            text: str = plain.decode()
        except (InvalidTag, UnicodeDecodeError):
            raise _undecipherable(place, key_id) from None
        return text

    def _cipher(self, key_id: str) -> Any:
        # Loaded with the first value: most apps that import the client encrypt nothing.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if key_id not in self._ciphers:
            self._ciphers[key_id] = AESGCM(self._keys[key_id])
        return self._ciphers[key_id]


def _bound(key_id: str, place: Place) -> bytes:
    """Give the additional data: what else the tag stands for."""
    assert "\n" not in place.pool + place.dataset
    lines = (FORMAT, key_id, place.pool, place.dataset, place.key)
    return "\n".join(lines).encode()


def _octets(body: str) -> bytes:
    try:
        return base64.b64decode(body + "=" * (-len(body) % 4), b"-_", validate=True)
    except binascii.Error:
        return b""


def _undecipherable(place: Place, key_id: str) -> DecryptionError:
    return DecryptionError(
        "undecipherable",
        place,
        key_id,
        f"the value cannot be decrypted with the key '{key_id}': it is damaged, "
        "belongs elsewhere, or the key is another one.",
    )
