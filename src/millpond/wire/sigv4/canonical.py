"""
The canonical form of a request, and the HMAC over it.

A signature is an HMAC over a *string to sign* (date, scope, hash of the *canonical
request*); its key is derived from the secret and the scope. The canonical request:

    method              the overriding one, where X-HTTP-Method-Override is honoured
    path                the raw target in normal form, percent-encoded once more
    query               the raw pairs, sorted, without X-Amz-Signature
    name:value          one line for each of SignedHeaders
    (an empty line)
    signed;headers
    hash of the body

A signature covers the *normal form* of a path: one made for `/a` also fits `/b/../a`.
Whoever routes a request must route by `normal_path`, or refuse a path that differs
from it; otherwise a signature made for one operation opens another.

No sockets, no clock, no state: caches hold results of pure functions, bounded.

Source: "Create a signed AWS API request", IAM user guide.
"""

from __future__ import annotations

import time
from functools import lru_cache
from hashlib import sha256
from operator import methodcaller
from urllib.parse import quote_from_bytes, unquote_to_bytes

from millpond.keyed_hash import KeyedHash, keyed_hash

TYPE_CHECKING = False  # `typing` takes longer to load than all of this
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final, Protocol

    class Signable(Protocol):
        """
        A request, as far as a signature covers it.

        Its path and query are those on the wire; names of headers are in lower case;
        `body_sha256` is in hex, and empty where nobody has worked it out already.
        """

        method: str
        raw_path: bytes
        raw_query: bytes
        headers: Sequence[tuple[bytes, bytes]]
        body: bytes
        body_sha256: bytes


ALGORITHM: Final = "AWS4-HMAC-SHA256"
TERMINATOR: Final = "aws4_request"

_EMPTY_SHA256: Final = sha256(b"").hexdigest().encode()
_PATH_CHARS_PLAIN: Final = (
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/%"
)
_PARTITION: Final = methodcaller("partition", b"=")


def canonical_request(
    request: Signable,
    query: bytes,
    headers: Mapping[bytes, bytes],
    names: Sequence[bytes],
    payload_hash: bytes,
    signed_headers: bytes,
) -> bytes:
    lines = [
        request.method.encode("ascii", "backslashreplace"),
        canonical_path(request.raw_path),
        query,
    ]
    for name in names:
        lines.append(name + b":" + b" ".join(headers.get(name, b"").split()))
    lines += (b"", signed_headers, payload_hash)
    canonical = b"\n".join(lines)
    # HTTP keeps line breaks out of all of these. If one came in nevertheless, a line
    # could pass for two, and this request for another.
    if canonical.count(b"\n") != len(lines) - 1:
        from millpond.errors import InvalidSignatureException  # nobody's usual way

        raise InvalidSignatureException("The request has a line break where none fits.")
    return canonical


def normal_path(raw_path: bytes) -> bytes:
    """
    A path without dot segments and empty segments: the path that a signature covers.

    Source:
        RFC 3986, 5.2.4; AWS signers, S3's excepted, drop empty segments as well.
    """
    # Not `in`, which asks whether the bytes are a number first: an exception each time.
    is_normal = raw_path.find(b"/.") < 0 and raw_path.find(b"//") < 0
    if is_normal and raw_path[:1] == b"/":
        return raw_path
    segments: list[bytes] = []
    for segment in raw_path.split(b"/"):
        if segment == b"..":
            del segments[-1:]
        elif segment not in (b"", b"."):
            segments.append(segment)
    first = b"/" if raw_path[:1] in (b"", b"/") else b""
    last = b"/" if raw_path[-1:] == b"/" and segments else b""
    return first + b"/".join(segments) + last


def canonical_path(raw_path: bytes) -> bytes:
    """A path in normal form, percent-encoded once more."""
    # '%3A' becomes '%253A' and a bare ':' becomes '%3A'. Most paths need at most the
    # first of the two.
    path = normal_path(raw_path)
    if not path.translate(None, _PATH_CHARS_PLAIN):
        return path.replace(b"%", b"%25")
    return quote_from_bytes(path).encode()


def canonical_query(raw_query: bytes) -> bytes:
    """The pairs sorted by name, then by value."""
    if raw_query.find(b"&") < 0:
        is_bare = raw_query and raw_query.find(b"=") < 0
        return raw_query + b"=" if is_bare else raw_query
    pairs = [pair if b"=" in pair else pair + b"=" for pair in raw_query.split(b"&")]
    # By name and value, not by the whole: 'a=' goes before 'a-b=', though '-' < '='.
    pairs.sort(key=_PARTITION)
    return b"&".join(pairs)


def encode_query(raw_query: bytes) -> bytes:
    """The pairs in canonical percent-encoding."""
    if not raw_query:
        return b""
    pairs = [pair.partition(b"=") for pair in raw_query.split(b"&")]
    return b"&".join(
        f"{_encode(name)}={_encode(value)}".encode() for name, _, value in pairs
    )


def _encode(component: bytes) -> str:
    return quote_from_bytes(unquote_to_bytes(component), safe="")


def join_headers(headers: Sequence[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    """Headers by name; the values of a repeated one are joined with commas."""
    single = dict(headers)
    if len(single) == len(headers):
        return single
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(b" ".join(value.split()))
    return {name: b",".join(several) for name, several in values.items()}


def body_sha256(body: bytes) -> bytes:
    """Hash a body, in hex."""
    return sha256(body).hexdigest().encode() if body else _EMPTY_SHA256


def hash_payload(request: Signable) -> bytes:
    return request.body_sha256 or body_sha256(request.body)


def string_to_sign(scope: str, date: str, canonical: bytes) -> str:
    return f"{ALGORITHM}\n{date}\n{scope}\n{sha256(canonical).hexdigest()}"


def make_signature(secret: str, scope: str, date: str, canonical: bytes) -> str:
    # As `string_to_sign` has it, which shows it to people.
    hashed = sha256(canonical).hexdigest()
    to_sign = f"{ALGORITHM}\n{date}\n{scope}\n{hashed}"
    return _signing_hash(secret, scope).digest(to_sign.encode()).hex()


@lru_cache(maxsize=8192)  # every user has a secret; an entry has some 1,000 bytes
def _signing_hash(secret: str, scope: str) -> KeyedHash:
    # The secret is a part of the cache's key, so a changed secret counts at once.
    key = f"AWS4{secret}".encode()
    for element in scope.split("/"):
        key = keyed_hash(key, element.encode())
    return KeyedHash(key)


def stamp(epoch_s: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(epoch_s))
