"""
What HTTP/2 asks of an application beyond HTTP/1.1.

The HTTP server hides the rest: it makes a `host` of `:authority`, drops the headers of
a connection from answers, and resets the stream of an answer that is not whole. It
bounds the streams of a connection, their heads and how many of them are reset.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
_LENGTH: Final = b"content-length"
VERSION: Final = "2"  # as the scope of a request has it


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
