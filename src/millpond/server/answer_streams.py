"""
Answers that are sent part by part, for as long as both sides want.

The reader ends one by going away, which `receive` tells. What is sent waits in the
socket's buffer, and the next part for room in it: nobody else waits for a reader that
takes nothing, and after a while its connection is cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, Final

from millpond.server import connections

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Client = tuple[str, int | str] | None

CLOSING_S: Final = 1.0  # how long a connection may take no bytes when the server goes


class AnswerStreams:
    """Sends the parts of answers to their readers."""

    def __init__(self) -> None:
        self._clients: set[tuple[str, int]] = set()

    def close(self) -> None:
        """Cut readers off that are stuck; the others are told to end before."""
        # The HTTP server waits until the last bytes of each were taken.
        loop = asyncio.get_running_loop()
        loop.call_later(CLOSING_S, connections.abort, set(self._clients))

    async def send(
        self,
        parts: AsyncIterator[bytes],
        *,
        headers: Headers,
        timeout_s: Callable[[], float],
        end: Callable[[], None],
        client: Client,
        receive: Receive,
        send: Send,
    ) -> None:
        """
        Send the head and the parts, until there are no more.

        Args:
            timeout_s: how long the connection may take no bytes, asked at each part.
            end: called when the reader goes away, so that the parts come to an end.
            client: address and port of the other end of the connection.
        Raises:
            TimeoutError: the connection took no bytes for too long; it was cut off.
        """
        watching = asyncio.create_task(_watch(end, receive))
        who = {(client[0], int(client[1]))} if client else set()
        self._clients |= who
        try:
            await send(
                {"type": "http.response.start", "status": 200, "headers": headers}
            )
            async for part in parts:
                async with asyncio.timeout(timeout_s()):
                    await send(
                        {"type": "http.response.body", "body": part, "more_body": True}
                    )
            await send({"type": "http.response.body", "body": b""})
        except (TimeoutError, asyncio.CancelledError):
            connections.abort(who)
            raise
        finally:
            self._clients -= who
            watching.cancel()


async def _watch(end: Callable[[], None], receive: Receive) -> None:
    """Say when the reader goes away."""
    try:
        message = await receive()
        while message["type"] != "http.disconnect":
            message = await receive()
    finally:
        end()
