"""
Cross-origin requests: which pages may call the APIs from a browser.

A browser asks first (a preflight), and shows the page an answer only when its origin is
allowed. The setting `cors_origins` lists the origins; without any, a page of another
origin gets nothing. Cookies play no part here, so allowing an origin gives its pages no
right that their own signatures do not give them.

Source: the Fetch standard; the headers that the JavaScript SDKs send and read
(aws-sdk-js-v3#3113).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from millpond.limits import ORIGIN_BYTES_MAX

Headers = list[tuple[bytes, bytes]]

MAX_AGE_S: Final = 7200  # longer is not honoured by Chromium
_METHODS: Final = b"GET, POST, DELETE"
_REQUEST_HEADERS: Final = (
    b"amz-sdk-invocation-id, amz-sdk-request, authorization, cache-control, "
    b"content-type, last-event-id, x-amz-client-context, x-amz-content-sha256, "
    b"x-amz-date, x-amz-security-token, x-amz-target, x-amz-user-agent, "
    b"x-http-method-override"
)
_EXPOSED: Final = (
    b"x-amzn-RequestId, x-amzn-ErrorType, x-amzn-ErrorMessage, Date, Retry-After"
)


class Cors:
    """Answers preflights, and adds to answers what a browser must see."""

    def __init__(self, origins: Iterable[str]) -> None:
        """
        Args:
            origins: as in the setting: `https://app.example.com`; a port may be '*';
                '*' alone is any origin.
        """
        patterns = [_pattern(each) for each in origins]
        self._allowed = re.compile("|".join(patterns) or r"(?!)")
        self._is_allowed = lru_cache(1024)(self._match)

    def headers(self, origin: bytes) -> Headers:
        """Give the headers to add to the answer of a request from an origin."""
        vary = (b"vary", b"origin")
        if len(origin) > ORIGIN_BYTES_MAX or not self._is_allowed(origin):
            return [vary]
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _EXPOSED),
            vary,
        ]

    def preflight(self, headers: Mapping[bytes, bytes]) -> Headers | None:
        """Give the headers of the answer to a preflight; None when it is not one."""
        origin = headers.get(b"origin")
        if origin is None or b"access-control-request-method" not in headers:
            return None
        if len(origin) > ORIGIN_BYTES_MAX or not self._is_allowed(origin):
            return [(b"vary", b"origin")]
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _REQUEST_HEADERS),
            (b"access-control-max-age", str(MAX_AGE_S).encode()),
            (b"vary", b"origin"),
        ]

    def _match(self, origin: bytes) -> bool:
        return self._allowed.fullmatch(origin.decode("latin-1")) is not None


def _pattern(origin: str) -> str:
    if origin == "*":
        return r"[\x21-\x7e]+"
    scheme_and_host, any_port, rest = origin.rpartition(":*")
    if any_port and not rest:
        return re.escape(scheme_and_host) + r"(?::\d{1,5})?"
    return re.escape(origin)
