"""
Answers on their way to the client: at once when they are small, else part by part.

What the HTTP server was given it keeps until it is taken, and says nothing. So it is
given a large answer in parts, and there is only room for a few: who sends can see
whether they are taken. What waits is held in a budget (`server.budgets`). An answer
that does not move for `answer_send_timeout_s`, or gives way to others, ends: over
HTTP/1.1 with its connection, over HTTP/2 alone, until a second one of the connection is
stuck.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Protocol

from millpond.metrics import Metrics
from millpond.server.bodies import refuse
from millpond.server.budgets import Budget, OverBudgetError
from millpond.server.connections import Connections
from millpond.server.under_way import Client, UnderWay
from millpond.settings import Settings

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

WHOLE_BYTES_MAX: Final = 65_536  # the socket's own buffers take as much
WHOLE_BYTES_MAX_HTTP2: Final = 4096  # a connection may have 128 of them
PART_BYTES: Final = 32_768
# granian has room for four parts, of whatever size: once it has taken so many empty
# ones more, all that is in front of them is taken too.
_EMPTY_PARTS: Final = 4
_LENGTH: Final = b"content-length"


class Answered(Protocol):
    """The request that is answered."""

    client: Client
    is_http2: bool

    def peer(self) -> str:
        """Tell whom what waits is counted for."""


class Answers:
    """Sends answers, and cuts off those who do not take them."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        connections: Connections,
        under_way: UnderWay,
    ) -> None:
        self.connections = connections
        self._under_way = under_way
        self.budget = Budget(
            bytes_max=settings.answers_bytes_max,
            peer_bytes_max=settings.answers_bytes_per_peer_max,
            pause_s_max=settings.answer_send_timeout_s,
            gave_way=metrics.refused.labels("answer_stuck").inc,
            no_room=metrics.refused.labels("answer_room").inc,
        )
        metrics.share_gauge(metrics.answers_bytes, lambda: self.budget.held)

    def bounded(self, request: Answered, send: Send) -> Send:
        """Bound whatever an application sends whole; it may raise as `send` does."""
        start: Message = {}
        whole_max = WHOLE_BYTES_MAX_HTTP2 if request.is_http2 else WHOLE_BYTES_MAX

        async def send_bounded(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            if not start:
                await send(message)
                return
            head = dict(start)
            start.clear()
            body = message.get("body", b"")
            if message.get("more_body", False) or len(body) <= whole_max:
                await send(head)
                await send(message)
                return
            head["headers"] = [*head["headers"]]
            await self._send_parts(head, body, request, send)

        return send_bounded

    async def send(
        self,
        status: int,
        headers: Headers,
        body: bytes,
        request: Answered,
        send: Send,
    ) -> None:
        """
        Send an answer.

        Raises:
            ServiceException: there is no room for it; nothing was sent.
        """
        start = {"type": "http.response.start", "status": status, "headers": headers}
        if len(body) <= WHOLE_BYTES_MAX_HTTP2 or (
            len(body) <= WHOLE_BYTES_MAX and not request.is_http2
        ):
            await send(start)
            await send({"type": "http.response.body", "body": body})
            return
        await self._send_parts(start, body, request, send)

    async def _send_parts(
        self, start: Message, body: bytes, request: Answered, send: Send
    ) -> None:
        if not any(name.lower() == _LENGTH for name, _ in start["headers"]):
            start["headers"].append((_LENGTH, str(len(body)).encode()))
        try:
            async with asyncio.timeout(None) as limit:
                with self.budget.open(request.peer(), limit) as transfer:
                    await transfer.take_now(len(body))
                    await send(start)
                    with self._under_way.waiting_for(request.client):
                        for first in range(0, len(body), PART_BYTES):
                            part = body[first : first + PART_BYTES]
                            await _send_part(send, part)
                            transfer.move(len(part))
                        for _ in range(_EMPTY_PARTS):
                            await _send_part(send, b"")
        except OverBudgetError as error:
            raise refuse(error) from None
        except TimeoutError:
            self.connections.end_stuck(request.client)
            return  # what is not whole is not taken for whole: it has a length
        await send({"type": "http.response.body", "body": b""})


async def _send_part(send: Send, part: bytes) -> None:
    await send({"type": "http.response.body", "body": part, "more_body": True})
