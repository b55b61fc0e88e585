"""
Sign a request, in its headers or in its query.

Theory of operation in `canonical`. What this imports, each command of the command line
loads: the standard library, and little of that.
"""

from __future__ import annotations

from urllib.parse import quote

from millpond.wire.sigv4.canonical import (
    ALGORITHM,
    TERMINATOR,
    canonical_query,
    canonical_request,
    hash_payload,
    join_headers,
    make_signature,
    stamp,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.wire.sigv4.canonical import Signable


class Outgoing:
    """
    A request that is to be signed.

    Args:
        raw_path: the path as it is sent, and so `raw_query`, what follows the '?'.
        headers: those to sign; names in lower case, 'host' among them.
    """

    __slots__ = ("body", "body_sha256", "headers", "method", "raw_path", "raw_query")

    def __init__(
        self,
        method: str,
        raw_path: bytes,
        raw_query: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes = b"",
    ) -> None:
        self.method = method
        self.raw_path = raw_path
        self.raw_query = raw_query
        self.headers = headers
        self.body = body
        self.body_sha256 = b""


def sign(
    request: Signable,
    *,
    access_key_id: str,
    secret: str,
    region: str,
    service: str,
    now_s: float,
    session_token: str | None = None,
) -> list[tuple[bytes, bytes]]:
    """The headers to add to a request; signs those it has, 'host' among them."""
    date = stamp(int(now_s))
    scope = f"{date[:8]}/{region}/{service}/{TERMINATOR}"
    added = [(b"x-amz-date", date.encode())]
    if session_token is not None:
        added.append((b"x-amz-security-token", session_token.encode()))
    headers = join_headers([*request.headers, *added])
    names = sorted(headers)
    query = canonical_query(request.raw_query)
    body_hash = hash_payload(request)
    signed_headers = b";".join(names)
    canonical = canonical_request(
        request, query, headers, names, body_hash, signed_headers
    )
    authorization = (
        f"{ALGORITHM} Credential={access_key_id}/{scope}, "
        f"SignedHeaders={signed_headers.decode()}, "
        f"Signature={make_signature(secret, scope, date, canonical)}"
    )
    return [*added, (b"authorization", authorization.encode())]


def presign(
    request: Signable,
    *,
    access_key_id: str,
    secret: str,
    region: str,
    service: str,
    now_s: float,
    expires_s: int = 3600,
    session_token: str | None = None,
) -> bytes:
    """The query to send in place of the request's own; signs the headers it has."""
    date = stamp(int(now_s))
    scope = f"{date[:8]}/{region}/{service}/{TERMINATOR}"
    headers = join_headers(request.headers)
    names = sorted(headers)
    params = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{access_key_id}/{scope}",
        "X-Amz-Date": date,
        "X-Amz-Expires": str(expires_s),
        "X-Amz-SignedHeaders": b";".join(names).decode(),
    }
    if session_token is not None:
        params["X-Amz-Security-Token"] = session_token
    pairs = [request.raw_query] if request.raw_query else []
    pairs += [f"{name}={quote(params[name], safe='')}".encode() for name in params]
    query = b"&".join(pairs)
    body_hash = hash_payload(request)
    canonical = canonical_request(
        request, canonical_query(query), headers, names, body_hash, b";".join(names)
    )
    signature = make_signature(secret, scope, date, canonical)
    return query + f"&X-Amz-Signature={signature}".encode()
