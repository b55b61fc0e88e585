"""
Hooks behind a URL: the event is posted as JSON, and the answer is JSON.

The request is signed, so that the hook knows it from a stranger's:

    X-Millpond-Timestamp: epoch seconds, decimal
    X-Millpond-Signature: v1=HEX

where HEX is HMAC-SHA-256, in hex, over the timestamp, a full stop and the body, under
the hook secret. A hook compares it in constant time and refuses an old timestamp.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

from yarl import URL

from millpond import limits
from millpond.errors import HookError, HookThrottledError, HookUnreachableError
from millpond.hooks.posting import ALLOW_PRIVATE, Answer, Poster

Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[Answer]]
Around = Callable[[Post], Post]
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_ROUTED: Final = ipaddress.IPv6Network("2000::/3")
# Within what is routed, and older Pythons do not know them (RFC 9637, RFC 6890).
_DOCUMENTATION: Final = ipaddress.IPv6Network("3fff::/20")
_PROTOCOL: Final = ipaddress.IPv4Network("192.0.0.0/24")
_IPV4_BITS: Final = 0xFFFF_FFFF
_LOCAL_DOMAINS: Final = ("localhost", "localdomain")
_LOCAL_NAMES: Final = (  # of files `hosts` everywhere
    *("localhost4", "localhost6", "localhost6.localdomain6"),
    *("ip6-localhost", "ip6-loopback"),
)
_REDIRECTS: Final = range(300, 400)
NOT_FOLLOWED: Final = "Redirects are not followed: name the place that it leads to."
LOOK_UP_S_MAX: Final = 2.0
WRONG_SECRET: Final = (
    "Does the hook have the secret of this server (`millpond hook-secret`, the setting "
    "hook_secret), and a clock that is right?"
)


class HttpHook:
    """Calls hooks by URL; it is a `Hook`."""

    def __init__(
        self,
        secret: bytes,
        *,
        private_networks: bool,
        now_s: Callable[[], float] = time.time,
        timeout_s: float = limits.SYNC_TRIGGER_S_MAX,
        answer_bytes_max: int = limits.SYNC_TRIGGER_ANSWER_BYTES_MAX,
        around: Around | None = None,
    ) -> None:
        """
        Args:
            secret: signs the requests.
            private_networks: whether hosts may be called that the Internet cannot see.
            around: is put around what posts.
        """
        self._secret = secret
        self._now_s = now_s
        self._private_networks = private_networks
        self._poster = Poster(
            timeout_s=timeout_s,
            answer_bytes_max=answer_bytes_max,
            refuse=None if private_networks else is_private,
        )
        self._post: Post = self._poster.post
        if around is not None:
            self._post = around(self._post)

    async def call(self, target: str, event: bytes) -> bytes:
        """Call a hook; see `Hook`."""
        timestamp = str(int(self._now_s()))
        headers = {
            "X-Millpond-Timestamp": timestamp,
            "X-Millpond-Signature": sign(self._secret, timestamp, event),
        }
        answer = await self._post(target, event, headers)
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise HookThrottledError(f"The hook answers {answer.status}.")
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise HookError(f"The hook answers {answer.status}.", hint=WRONG_SECRET)
        if answer.status != HTTPStatus.OK:
            raise HookError(
                f"The hook answers {answer.status}.",
                hint=NOT_FOLLOWED if answer.status in _REDIRECTS else "",
            )
        return answer.body

    async def check(self, target: str) -> None:
        """Tell of a hook that can never be called; see `Hook`."""
        try:
            host = URL(target, encoded=True).host
        except ValueError:
            host = None
        # An address of IPv6 may have a zone behind '%'; in a name nobody resolves it.
        if not host or ("%" in host and ":" not in host):
            raise HookUnreachableError(f"'{target}' names no host.")
        if self._private_networks:
            return
        addresses = await _resolve(host)
        if addresses and all(map(is_private, addresses)):
            where = "" if host in addresses else f" ({', '.join(addresses)})"
            raise HookUnreachableError(
                f"The host '{host}' is at a private address{where}.", hint=ALLOW_PRIVATE
            )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._poster.aclose()


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """Write the signature header of a request."""
    signed = timestamp.encode() + b"." + body
    return f"v1={hmac.digest(secret, signed, 'sha256').hex()}"


async def _resolve(host: str) -> list[str]:
    """
    Look up the addresses of a host as a connection to it does: in a name, in digits of
    any base and number. Empty when it is not known for now.
    """
    name = host.lower().rstrip(".")
    if name in _LOCAL_NAMES or name.rpartition(".")[2] in _LOCAL_DOMAINS:
        return ["127.0.0.1"]  # whatever a name server makes of it (RFC 6761)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(LOOK_UP_S_MAX):
            # Without the dots: digits with one behind them are an address to some.
            found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        return []
    return sorted({str(address[0]) for *_, address in found})


def is_private(host: str) -> bool:
    """Say whether an IP address is one that the Internet does not route to a host."""
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv6Address):
        # An IPv4 address in another dress is judged by what it is.
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & _IPV4_BITS)
        if inner is not None:
            return is_private(str(inner))
        if address not in _ROUTED or address in _DOCUMENTATION:
            return True
    elif address in _PROTOCOL:
        return True
    return not address.is_global or address.is_multicast
