"""
What HTTP/2 asks of an application beyond HTTP/1.1.

The HTTP server hides the rest: it makes a `host` of `:authority`, drops the headers of
a connection from answers, and resets the stream of an answer that is not whole. It
bounds the streams of a connection, their heads and how many of them are reset.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Client = tuple[str, int]
"""Address and port of the other end of a connection."""

_LENGTH: Final = b"content-length"
VERSION: Final = "2"  # as the scope of a request has it


class UnderWay:
    """What is under way on the connection with each client."""

    def __init__(self) -> None:
        self.requests: Counter[Client] = Counter()
        """Over HTTP/2 alone: there may be several, and some of them streams."""
        self.streams: Counter[Client] = Counter()
        """Answers that are sent part by part, over either."""

    def only_streams(self, client: Client) -> bool:
        """Say whether all that a connection carries are streams."""
        return self.requests[client] <= self.streams[client]

    def only_one_stream(self, client: Client) -> bool:
        """Say whether all that a connection carries is one stream."""
        return self.streams[client] == 1 and self.only_streams(client)


def take_one(count: Counter[Client], client: Client) -> None:
    """Count one less; what is not there any more is not kept."""
    if count[client] > 1:
        count[client] -= 1
    else:
        del count[client]


def client_of(scope: Scope) -> Client:
    """Give the other end of the connection of a request."""
    host, port = scope["client"]
    return host, int(port)


def without_body(send: Send) -> Send:
    """
    Send the head of an answer and not its body, as HEAD asks for.

    Over HTTP/1.1 the HTTP server does it. Over HTTP/2 it sends the body too, which
    clients take for a broken stream.
    """

    start: Message = {}

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            return
        if start:
            headers = [*start["headers"]]
            whole = not message.get("more_body", False)
            if whole and not any(name.lower() == _LENGTH for name, _ in headers):
                length = str(len(message.get("body", b""))).encode()
                headers.append((_LENGTH, length))
            await send({**start, "headers": headers})
            start.clear()
        await send({**message, "body": b""})

    return send_head
