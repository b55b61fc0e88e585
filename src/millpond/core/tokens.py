"""
Sealed little notes that clients carry for us: sync session tokens and page tokens.

Both are opaque, URL-safe and authenticated (keyed BLAKE2b, 16 bytes). What a
token belongs to (pool, identity, dataset, operation) goes into the MAC and not into the
token, so that a token taken elsewhere simply does not verify.

A sync session id begins with the time it expires, most significant byte first. Ids
therefore sort by expiry: the marks of spent sessions are appended to the end of their
table, and the expired ones are a range at its beginning.

A token also says what its holder knows: the sync count of the dataset in the listing
that it came with (`core.sync`, on what was forgotten).

Source: ruling 11; shape and size are ours.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from millpond import limits
from millpond.core.sync import DatasetId
from millpond.errors import InvalidParameterException

_MAC_BYTES: Final = 16
_EXPIRY_BYTES: Final = 6  # epoch milliseconds until the year 10889
_RANDOM_BYTES: Final = 10
_SESSION_BYTES: Final = _EXPIRY_BYTES + _RANDOM_BYTES
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_PLAIN: Final = bytes.maketrans(b"-_", b"+/")
_COUNT_BYTES: Final = 8

T = TypeVar("T")


class SyncSession(msgspec.Struct, frozen=True, gc=False):
    """A sync session: from a listing to the update that ends it."""

    session_id: bytes  # 16 bytes; sorts by expiry
    token: str
    known: int = 0
    """The sync count that was listed; 0 in a token that does not say it."""

    @property
    def expires_ms(self) -> int:
        """When the session ends, in epoch milliseconds."""
        return int.from_bytes(self.session_id[:_EXPIRY_BYTES])


class SyncSessions:
    """Issues sync session tokens and reads them back."""

    def __init__(
        self,
        key: bytes,
        *,
        lifetime_ms: int,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._keyed = _keyed(key)
        self._lifetime_ms = lifetime_ms
        self._random_bytes = random_bytes

    def issue(
        self, dataset_id: DatasetId, *, now_ms: int, known: int = 0
    ) -> SyncSession:
        """
        Begin a session for a dataset, which need not exist.

        Args:
            known: the sync count of the dataset that its holder is told.
        """
        expires = (now_ms + self._lifetime_ms).to_bytes(_EXPIRY_BYTES)
        session_id = expires + self._random_bytes(_RANDOM_BYTES)
        body = session_id + known.to_bytes(_COUNT_BYTES)
        token = _encode(body + self._mac(body, dataset_id))
        return SyncSession(session_id, token, known)

    def read(self, token: str, dataset_id: DatasetId, *, now_ms: int) -> SyncSession:
        """
        Read back a token that `issue` made for the same dataset.

        Raises:
            InvalidParameterException: malformed, of another dataset, or expired.
        """
        raw = _decode(token, chars_max=limits.SYNC_SESSION_TOKEN_CHARS_MAX)
        # Older versions issued tokens without a count; they live on for a while.
        body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if len(body) not in (
            _SESSION_BYTES,
            _SESSION_BYTES + _COUNT_BYTES,
        ) or not hmac.compare_digest(mac, self._mac(body, dataset_id)):
            # AWS: this text, for a token of other inputs.
            raise InvalidParameterException(
                "SyncSessionToken not valid for these inputs"
            )
        known = int.from_bytes(body[_SESSION_BYTES:])
        session = SyncSession(body[:_SESSION_BYTES], token, known)
        if session.expires_ms <= now_ms:
            raise InvalidParameterException("SyncSessionToken has expired")
        return session

    def _mac(self, body: bytes, dataset_id: DatasetId) -> bytes:
        # NUL cannot occur in any of the names, so the joined text is unambiguous.
        names = (
            f"{dataset_id.identity_pool_id}\0{dataset_id.identity_id}"
            f"\0{dataset_id.dataset_name}"
        )
        # One form must not pass for the other: no expiry begins with this byte.
        form = b"" if len(body) == _SESSION_BYTES else b"\xff"
        state = self._keyed.copy()
        state.update(form + body + names.encode())
        return state.digest()


def sessions_expired_by(now_ms: int) -> bytes:
    """Give the id below which every session has expired."""
    return max(now_ms, 0).to_bytes(_EXPIRY_BYTES)


class PageTokens:
    """Seals a position in a listing and reads it back."""

    def __init__(self, key: bytes) -> None:
        self._keyed = _keyed(key)

    def seal(self, position: Any, *context: str) -> str:
        """Seal a position; `context` names what it is a position in."""
        body = msgspec.msgpack.encode(position)
        token = _encode(self._mac(body, context) + body)
        # On a command line (`--next-token "$token"`) a hyphen would begin an option.
        return f".{token[1:]}" if token[0] == "-" else token

    def read(self, token: str, kind: type[T], *context: str) -> T:
        """
        Read back a position that `seal` sealed with the same context.

        Raises:
            InvalidParameterException: malformed, or sealed elsewhere.
        """
        if token[:1] == ".":  # a hyphen, which servers of older versions wrote as it is
            token = f"-{token[1:]}"
        raw = _decode(token, chars_max=limits.NEXT_TOKEN_CHARS_MAX)
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        try:
            if hmac.compare_digest(mac, self._mac(body, context)):
                return msgspec.msgpack.decode(body, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass  # an older version sealed it, or a newer one
        raise InvalidParameterException("NextToken is not valid for these inputs")

    def _mac(self, body: bytes, context: tuple[str, ...]) -> bytes:
        # By length: the body is bytes of any kind, and must not pass for a name.
        names = [name.encode() for name in context]
        lengths = b"".join(len(name).to_bytes(4) for name in names)
        return _mac(
            self._keyed, b"".join([len(names).to_bytes(4), lengths, *names, body])
        )


def _keyed(key: bytes) -> hashlib.blake2b:
    """Begin a MAC; what is made of it is made of copies."""
    # Half the cost of an HMAC, and a session is begun by most listings.
    return hashlib.blake2b(key=key, digest_size=_MAC_BYTES)


def _mac(keyed: hashlib.blake2b, message: bytes) -> bytes:
    state = keyed.copy()
    state.update(message)
    return state.digest()


def _encode(raw: bytes) -> str:
    # What `base64.urlsafe_b64encode` does, without its check of the alphabet.
    text = binascii.b2a_base64(raw, newline=False).rstrip(b"=")
    return text.translate(_URL_SAFE).decode("ascii")


def _decode(token: str, *, chars_max: int) -> bytes:
    """Decode URL-safe base64 without padding; anything else yields no bytes."""
    if len(token) > chars_max or not token.isascii():
        return b""
    padded = token.encode("ascii").translate(_PLAIN) + b"=" * (-len(token) % 4)
    try:
        raw = binascii.a2b_base64(padded)
    except binascii.Error:
        return b""
    # One spelling per token: what we would not have written ourselves is refused.
    return raw if _encode(raw) == token else b""
