"""
What stands before every page: where a request comes from, and what an answer allows.

**Where it comes from.** A page elsewhere can make a browser send requests here. The
session's cookie does not go with them (SameSite=Strict), but "site" leaves out the
port, and so any other program on this host counts as the same. So: what changes
something must come from our own pages, by `Sec-Fetch-Site` and, where a browser does
not send it (it does over TLS and to loopback), by `Origin`; what only reads must be a
page that somebody opens, or come from our own. Who sends neither header is no browser,
and has the APIs.

**What an answer allows.** Nothing but our own script, style and pictures. So text that
slipped through as markup could not run, load or send anything. (`Origin` is sent as
"null" where the policy is `no-referrer`; hence `same-origin`.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from millpond.console.base import Door, Refused

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "x-robots-tag": "noindex",
}
_OWN: Final = frozenset((b"same-origin", b"none"))  # none: typed, or a bookmark
ELSEWHERE: Final = "This request comes from a page that is not part of the console."


def check_reading(headers: Mapping[bytes, bytes]) -> None:
    """
    Refuse to be read by pages elsewhere; a link that somebody follows is none.

    Raises:
        Refused: a page elsewhere asks.
    """
    site = headers.get(b"sec-fetch-site")
    if site is None or site in _OWN:
        return
    if headers.get(b"sec-fetch-mode") != b"navigate":
        raise Refused(403, ELSEWHERE)
    if headers.get(b"sec-fetch-dest", b"document") != b"document":
        raise Refused(403, ELSEWHERE)  # a frame


def check_change(headers: Mapping[bytes, bytes], door: Door) -> None:
    """
    Refuse changes that our own pages did not send.

    Raises:
        Refused: something else did, or nobody can say.
    """
    site = headers.get(b"sec-fetch-site")
    if site is not None and site != b"same-origin":
        raise Refused(403, ELSEWHERE)
    origin = headers.get(b"origin")
    if origin is None:
        if site is None:
            raise Refused(403, f"{ELSEWHERE} A program calls the APIs instead.")
        return
    if not is_own(origin.decode("latin-1"), door.hosts):
        raise Refused(403, ELSEWHERE)


def is_own(origin: str, hosts: Iterable[str]) -> bool:
    """Say whether an origin is one of ours."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    own = {_with_port(host, parts.scheme) for host in hosts}
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port or _PORTS[parts.scheme]}" in own


_PORTS: Final = {"http": 80, "https": 443}


def _with_port(host: str, scheme: str) -> str:
    host = host.lower()
    _, colon, port = host.rpartition(":")
    return host if colon and port.isdigit() else f"{host}:{_PORTS[scheme]}"
