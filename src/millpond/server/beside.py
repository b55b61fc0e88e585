"""
What an application beside the APIs is given with a request: its body, within bounds,
and a way to answer part by part.

The gateway holds the budgets of bodies and knows the connections; the console
(`console.base.Door`) sees this of them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit

from millpond.server.answer_streams import AnswerStreams
from millpond.server.peers import sender_of
from millpond.server.requests import Request

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_PROXIED: Final = frozenset((b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via"))
SEND_TIMEOUT_S: Final = 30.0  # a part is a few KiB


class BesideDoor:
    """What goes with one request."""

    def __init__(
        self,
        request: Request,
        receive: Receive,
        send: Send,
        *,
        read: Callable[[Request, int], Awaitable[bytes]],
        streams: AnswerStreams,
        public_url: str,
    ) -> None:
        self._request = request
        self._receive = receive
        self._send = send
        self._read = read
        self._streams = streams
        self.request_id = request.id
        sender = sender_of(request.scope, request.trusted)
        self.address = sender.address
        self.is_secure = sender.scheme == "https"
        self.is_private = self.is_secure or _is_of_this_machine(request, self.address)
        """Whether nobody on the way can have read it."""
        hosts = (sender.host, urlsplit(public_url).netloc.rpartition("@")[2])
        self.hosts = frozenset(each.lower() for each in hosts if each)

    @property
    def peer(self) -> str:
        """Whom limits count it for."""
        return self._request.peer()

    async def read_body(self, bytes_max: int) -> bytes:
        """Read the body; raises as `Body.read`."""
        return await self._read(self._request, bytes_max)

    async def stream(
        self,
        parts: AsyncIterator[bytes],
        headers: Headers,
        end: Callable[[], None],
    ) -> None:
        """Send parts until there are no more; `end` is called when the reader goes."""
        await self._streams.send(
            parts,
            headers=headers,
            timeout_s=lambda: SEND_TIMEOUT_S,
            end=end,
            client=self._request.client,
            peer=self.peer,
            receive=self._receive,
            send=self._send,
        )


def _is_of_this_machine(request: Request, address: str) -> bool:
    """Say whether a request never left it, as far as can be told."""
    # A proxy on this machine that nobody told us of; then `address` is its own.
    proxied = not request.trusted.any and not _PROXIED.isdisjoint(request.headers)
    return is_loopback(address) and not proxied


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine, and nothing that others reach."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
