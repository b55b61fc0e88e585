"""A request as the socket gives it, looked at once."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from millpond.server import http2
from millpond.server.bodies import NO_BODY, Body
from millpond.server.peers import TrustedProxies, address_of, peer_of
from millpond.server.under_way import Client
from millpond.server.welcome import is_for_people
from millpond.service.callers import ANYONE, ORIGIN_API, Caller

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Headers = list[tuple[bytes, bytes]]

TRACE: Final = "millpond.trace"
"""Where the scope of a request that one process passes on to another has the context of
its trace, if there is one."""
_FORM: Final = b"application/x-www-form-urlencoded"


class Request:
    """What the socket gave us, looked at once."""

    __slots__ = (
        "body",
        "caller",
        "client",
        "decoded",
        "error",
        "headers",
        "id",
        "is_http2",
        "method",
        "raw_headers",
        "raw_path",
        "raw_query",
        "scope",
        "trusted",
    )

    def __init__(self, scope: Scope, receive: Receive, trusted: TrustedProxies) -> None:
        # In the form of a UUID; it need not be hard to guess.
        number = next(_request_numbers) & 0xFFFF_FFFF_FFFF
        self.id = f"{_id_prefix}-{number:012x}"
        self.raw_path: bytes = scope["raw_path"]
        self.raw_query: bytes = scope["query_string"]
        self.raw_headers: Headers = scope["headers"]
        self.headers = dict(self.raw_headers)
        self.method: str = scope["method"]
        self.is_http2 = scope["http_version"] == http2.VERSION
        headers = self.headers
        self.body = NO_BODY
        if (
            self.is_http2  # where a body may have neither
            or b"content-length" in headers
            or b"transfer-encoding" in headers
        ):
            self.body = Body(headers, receive, is_http2=self.is_http2)
        self.client: Client = scope["client"]
        self.scope = scope
        self.trusted = trusted
        self.caller: Caller = ANYONE  # until the signature is verified
        self.decoded: Any = None
        self.error = ""  # the code, once it is refused
        if self.method == "POST" and b"x-http-method-override" in self.headers:
            # Unity sends a POST and signs the method that it means.
            override = self.headers[b"x-http-method-override"]
            self.method = override.decode("latin-1")

    def peer(self) -> str:
        """Tell whom bounds count it for; asked where one is near, not of every one."""
        return peer_of(self.scope, self.trusted)

    @property
    def origin(self) -> str:
        """The way in, for the audit."""
        return ORIGIN_API

    @property
    def address(self) -> str:
        """The address of the client, for the audit."""
        return address_of(self.scope, self.trusted)

    @property
    def user_agent(self) -> str:
        """What the client calls itself, for the audit."""
        name: bytes = self.headers.get(b"user-agent", b"")
        return name.decode("latin-1")

    @property
    def request_id(self) -> str:
        """Its id, for the audit."""
        return self.id

    @property
    def is_of_people(self) -> bool:
        """Whether a browser asks what this is; looked at when there is no operation."""
        asks = self.raw_path == b"/" and not self.is_form
        return asks and is_for_people(self.method, self.headers)

    @property
    def is_form(self) -> bool:
        """Whether the request speaks the AWS Query protocol."""
        if self.raw_path != b"/" or b"x-amz-target" in self.headers:
            return False
        if self.method == "GET":
            return b"&Action=" in b"&" + self.raw_query
        content_type: bytes = self.headers.get(b"content-type", b"")
        return content_type.lower().startswith(_FORM)


def _new_prefix() -> str:
    """Make what the ids of a process begin with."""
    pieces = (random.SystemRandom().randbytes(count) for count in (4, 2, 2, 2))
    return "-".join(piece.hex() for piece in pieces)


_id_prefix = _new_prefix()
_request_numbers: Final = itertools.count(1)


def _renew_prefix() -> None:
    global _id_prefix
    _id_prefix = _new_prefix()


os.register_at_fork(after_in_child=_renew_prefix)
