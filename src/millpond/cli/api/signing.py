"""
Signature Version 4, as a client makes it: four steps, one function each.

The `wire` package has the verifier's half, with all that a server must be wary of. This
is the half that a command needs, small enough to load in no time.

AWS: "Create a signed AWS API request", IAM user guide; botocore/auth.py.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from urllib.parse import quote, urlsplit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from millpond.cli.api.credentials import Credentials
    from millpond.cli.api.transport import Request

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_TERMINATOR: Final = "aws4_request"
_UNSIGNED_HEADERS: Final = frozenset(
    ("expect", "user-agent", "x-amzn-trace-id", "transfer-encoding", "connection")
)


def sign(
    request: Request,
    credentials: Credentials,
    *,
    region: str,
    service: str,
    now_s: float,
) -> None:
    """
    Add a date, a session token and the signature to the headers of a request.

    Args:
        now_s: epoch seconds.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
    scope = f"{stamp[:8]}/{region}/{service}/{_TERMINATOR}"
    for name in ("Authorization", "X-Amz-Date", "X-Amz-Security-Token"):
        request.headers.pop(name, None)  # of an attempt before
    request.headers["X-Amz-Date"] = stamp
    if credentials.token:
        request.headers["X-Amz-Security-Token"] = credentials.token
    signed = _headers_to_sign(request)
    to_sign = "\n".join(
        (_ALGORITHM, stamp, scope, _sha256(_canonical_request(request, signed)))
    )
    signature = _hmac(
        _signing_key(credentials.secret_key, scope), to_sign.encode()
    ).hex()
    request.headers["Authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={';'.join(signed)}, Signature={signature}"
    )


def _headers_to_sign(request: Request) -> Mapping[str, str]:
    headers = {
        name.lower(): " ".join(value.split())
        for name, value in request.headers.items()
        if name.lower() not in _UNSIGNED_HEADERS
    }
    headers["host"] = request.host
    return dict(sorted(headers.items()))


def _canonical_request(request: Request, signed: Mapping[str, str]) -> bytes:
    parts = urlsplit(request.url)
    return "\n".join(
        (
            request.method,
            quote(_normal_path(parts.path), safe="/~"),
            _canonical_query(parts.query),
            *(f"{name}:{value}" for name, value in signed.items()),
            "",
            ";".join(signed),
            _sha256(request.body),
        )
    ).encode()


def _canonical_query(query: str) -> str:
    """Sort the pairs; they are encoded already."""
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return "&".join(f"{name}={value}" for name, _, value in sorted(pairs))


def _normal_path(path: str) -> str:
    """Resolve '.', '..' and empty segments; a slash at the end stays."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if kept:
                kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    end = "/" if kept and path.endswith("/") else ""
    return f"/{'/'.join(kept)}{end}"


def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part.encode())
    return key


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
