"""
Answers that are sent part by part, for as long as both sides want.

The reader ends one by going away, which `receive` tells. What is sent waits in the
socket's buffer, and the next part for room in it: nobody else waits for a reader that
takes nothing, and after a while its connection is cut off. Over HTTP/2 a connection may
carry other requests; then the answer ends alone.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, Final

from millpond.server.answers import PART_BYTES, WHOLE_BYTES_MAX, Answers
from millpond.server.budgets import OverBudgetError
from millpond.server.connections import Connections
from millpond.server.under_way import Client, UnderWay, take_one

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

CLOSING_S: Final = 1.0  # how long a connection may take no bytes when the server goes


class AnswerStreams:
    """Sends the parts of answers to their readers."""

    def __init__(
        self, under_way: UnderWay, connections: Connections, answers: Answers
    ) -> None:
        self._under_way = under_way
        self._connections = connections
        self._budget = answers.budget
        self._clients: Counter[Client] = Counter()  # with how many answers each

    def close(self) -> None:
        """Cut readers off that are stuck; the others are told to end before."""
        # The HTTP server waits until the last bytes of each were taken.
        self._abort_later(set(self._clients))

    def _abort_later(self, clients: set[Client]) -> None:
        asyncio.get_running_loop().call_later(CLOSING_S, self._abort, clients)

    def _abort(self, clients: set[Client]) -> None:
        """Cut off connections, each once it carries nothing but such answers."""
        ready = {each for each in clients if self._under_way.only_streams(each)}
        self._connections.abort(ready)
        if clients - ready:
            self._abort_later(clients - ready)

    async def send(
        self,
        parts: AsyncIterator[bytes],
        *,
        headers: Headers,
        timeout_s: Callable[[], float],
        end: Callable[[], None],
        client: Client,
        peer: str,
        receive: Receive,
        send: Send,
    ) -> None:
        """
        Send the head and the parts, until there are no more.

        Args:
            timeout_s: how long the connection may take no bytes, asked at each part.
            end: called when the reader goes away, so that the parts come to an end.
            client: address and port of the other end of the connection.
            peer: that what waits is counted for.
        Raises:
            TimeoutError: the connection took no bytes for too long; it was cut off.
        """
        watching = asyncio.create_task(_watch(end, receive))
        self._clients[client] += 1
        self._under_way.streams[client] += 1
        try:
            await send(
                {"type": "http.response.start", "status": 200, "headers": headers}
            )
            async for part in parts:
                await self._send_part(part, timeout_s(), peer, send)
            await send({"type": "http.response.body", "body": b""})
        except (TimeoutError, asyncio.CancelledError):
            self._connections.end_stuck(client)
            raise
        finally:
            for count in (self._clients, self._under_way.streams):
                take_one(count, client)
            watching.cancel()

    async def _send_part(
        self, part: bytes, timeout_s: float, peer: str, send: Send
    ) -> None:
        """Send a part; a large one may have to give way while it waits."""
        async with asyncio.timeout(timeout_s) as limit:
            if len(part) <= WHOLE_BYTES_MAX:
                await send(_message(part))
                return
            with self._budget.open(peer, limit) as transfer:
                try:
                    await transfer.take_now(len(part))
                except OverBudgetError:
                    raise TimeoutError from None
                for first in range(0, len(part), PART_BYTES):
                    some = part[first : first + PART_BYTES]
                    await send(_message(some))
                    transfer.move(len(some))


def _message(part: bytes) -> Message:
    return {"type": "http.response.body", "body": part, "more_body": True}


async def _watch(end: Callable[[], None], receive: Receive) -> None:
    """Say when the reader goes away."""
    try:
        message = await receive()
        while message["type"] != "http.disconnect":
            message = await receive()
    finally:
        end()
