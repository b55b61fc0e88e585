"""
Sign a request that is about to be sent, by the signer of `wire`.

Signed is every header but those that somebody on the way may change or add.

AWS: botocore/auth.py, `SIGNED_HEADERS_BLACKLIST`.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from millpond.wire.sigv4 import signer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from millpond.client.api.credentials import Credentials
    from millpond.client.api.transport import Request

_UNSIGNED_HEADERS: Final = frozenset(
    ("expect", "user-agent", "x-amzn-trace-id", "transfer-encoding", "connection")
)
_OF_AN_ATTEMPT: Final = ("X-Amz-Date", "X-Amz-Security-Token", "Authorization")


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
    names = {name.lower(): name for name in _OF_AN_ATTEMPT}
    for name in names.values():
        request.headers.pop(name, None)  # of an attempt before
    parts = urlsplit(request.url)
    added = signer.sign(
        signer.Outgoing(
            request.method,
            parts.path.encode(),
            parts.query.encode(),
            _headers_to_sign(request),
            request.body,
        ),
        access_key_id=credentials.access_key,
        secret=credentials.secret_key,
        region=region,
        service=service,
        now_s=now_s,
        session_token=credentials.token or None,
    )
    request.headers.update(
        {names[name.decode()]: value.decode() for name, value in added}
    )


def _headers_to_sign(request: Request) -> list[tuple[bytes, bytes]]:
    named = {name.lower(): value for name, value in request.headers.items()}
    named["host"] = request.host
    return [
        (name.encode(), value.encode())
        for name, value in named.items()
        if name not in _UNSIGNED_HEADERS
    ]
