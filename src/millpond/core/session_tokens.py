"""
The temporary credentials of an identity, and the session token that carries them.

Theory of operation. The session token is sealed (AES-256-GCM) and holds who the caller
is and until when, so that a request is verified without a look at the store, on any
node. The secret is derived from the access key id (HMAC-SHA-256) and stands nowhere.
Each access key id is random, and each token is sealed with a key of its own, derived
from that id: a token opens for its own access key id alone, and no number of tokens
brings two of them under one key and one nonce.

What is sealed cannot be taken back: credentials work until they expire, even when the
identity was deleted or merged meanwhile.

Source: authentication flow of the developer guide (`ASIA...`, one hour); the form of
the token is ours.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from millpond import limits
from millpond.errors import UnrecognizedClientException
from millpond.keyed_hash import KeyedHash

ACCESS_KEY_PREFIX: Final = "ASIA"
_ACCESS_KEY_CHARS: Final = 16  # five random bits each
_BASE32: Final = bytes(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[n % 32] for n in range(256))
_SECRET_BYTES: Final = 30  # 40 characters of base64
_NONCE_BYTES: Final = 12
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


class UserSession(msgspec.Struct, frozen=True, array_like=True):
    """Who is calling, and until when."""

    identity_pool_id: str
    identity_id: str
    expires_ms: int
    role_arn: str  # only a name: nothing is decided by it
    role_session_name: str


class UserCredentials(NamedTuple):
    """Credentials as their owner gets to see them."""

    access_key_id: str
    secret_access_key: str
    session_token: str


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(UserSession).decode


class SessionTokens:
    """Issues temporary credentials and reads them back."""

    def __init__(self, key: bytes, *, random_bytes: Callable[[int], bytes]) -> None:
        """
        Args:
            key: 32 bytes; another key opens none of the tokens.
        """
        self._keyed = KeyedHash(key)
        self._random_bytes = random_bytes

    def issue(self, session: UserSession) -> UserCredentials:
        """Make credentials for a session."""
        random = self._random_bytes(_ACCESS_KEY_CHARS).translate(_BASE32)
        access_key_id = ACCESS_KEY_PREFIX + random.decode()
        nonce = self._random_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher(access_key_id).encrypt(
            nonce, _encode(session), None
        )
        secret = self._secret(access_key_id)
        return UserCredentials(access_key_id, secret, _spell(sealed))

    def open(self, access_key_id: str, token: str) -> tuple[str, UserSession]:
        """
        Open a token: the secret of the credentials, and the session.

        Whether the session has expired is for the caller to see.

        Raises:
            UnrecognizedClientException: it was not issued here, or not with this access
                key id.
        """
        try:
            sealed = _unspell(token)
            plain = self._cipher(access_key_id).decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None
            )
            session = _decode(plain)
        except (ValueError, InvalidTag, msgspec.DecodeError) as error:
            # AWS: the variant for session tokens has no full stop at the end.
            raise UnrecognizedClientException(
                "The security token included in the request is invalid"
            ) from error
        return self._secret(access_key_id), session

    def _cipher(self, access_key_id: str) -> AESGCM:
        return AESGCM(self._derive("seal", access_key_id))

    def _secret(self, access_key_id: str) -> str:
        derived = self._derive("secret", access_key_id)
        return base64.b64encode(derived[:_SECRET_BYTES]).decode()

    def _derive(self, purpose: str, access_key_id: str) -> bytes:
        return self._keyed.digest(f"{purpose} {access_key_id}".encode())


def _spell(sealed: bytes) -> str:
    spelled = binascii.b2a_base64(sealed, newline=False).rstrip(b"=")
    return spelled.translate(_URL_SAFE).decode()


def _unspell(token: str) -> bytes:
    """Read URL-safe base64 without padding; a ValueError says that it is none."""
    if len(token) > limits.SESSION_TOKEN_CHARS_MAX:
        raise ValueError("too long")
    sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    if _spell(sealed) != token:
        raise ValueError("not as we spell it")
    return sealed
