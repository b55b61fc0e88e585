"""
Live updates on the socket: server-sent events, until one of the two sides ends it.

The reader ends it by going away, which `receive` tells. The server ends it when the
credentials expire or it shuts down; the reader then connects again by itself. And it
cuts off a reader whose connection takes no more bytes for a while: what is sent waits
in the socket's buffer, and the next bytes for room in it. Nobody else waits for that.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import msgspec
import structlog

from millpond.metrics import Metrics
from millpond.server import connections
from millpond.service.changes import Changes
from millpond.service.live import LiveEvent, LiveUpdates
from millpond.settings import Settings
from millpond.wire import event_stream

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

RETRY_MS: Final = (1000, 4000)  # when a browser comes back; not all of them at once
CLOSING_S: Final = 1.0  # how long a connection may take no bytes when the server goes
EVENTS_PER_PART: Final = 256  # of the past; somebody may have missed a great many
HEADERS: Final = (
    (b"content-type", event_stream.CONTENT_TYPE),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold events back until it has many
)

_encode = msgspec.json.Encoder().encode
_log = structlog.get_logger()


class LiveStreams:
    """Sends live updates to their readers."""

    def __init__(self, settings: Settings, changes: Changes, metrics: Metrics) -> None:
        self._comment_s = settings.live_comment_s
        self._send_timeout_s: float = settings.live_send_timeout_s
        self._changes = changes
        self._metrics = metrics
        self._clients: set[tuple[str, int]] = set()

    def close(self) -> None:
        """End every stream; a reader that is stuck is not waited for."""
        self._changes.close()
        # The HTTP server waits until the last bytes of each were taken.
        loop = asyncio.get_running_loop()
        loop.call_later(CLOSING_S, connections.abort, set(self._clients))

    async def stream(
        self,
        updates: LiveUpdates,
        headers: Headers,
        client: tuple[str, int | str] | None,
        receive: Receive,
        send: Send,
    ) -> None:
        """
        Send the head and the events, until one side ends it; close the updates.

        Args:
            client: address and port of the other end of the connection.
        """
        watching = asyncio.create_task(_watch(updates, receive))
        who = {(client[0], int(client[1]))} if client else set()
        self._clients |= who
        self._metrics.live_listeners.inc()
        try:
            await send(
                {"type": "http.response.start", "status": 200, "headers": headers}
            )
            await self._send_events(updates, send)
        except TimeoutError:
            self._metrics.live_cut_offs.inc()
            _log.info("live.cut_off", timeout_s=self._send_timeout_s)
            connections.abort(who)
        finally:
            self._clients -= who
            updates.close()
            watching.cancel()
            self._metrics.live_listeners.dec()

    async def _send_events(self, updates: LiveUpdates, send: Send) -> None:
        retry_ms = random.randint(*RETRY_MS)
        greeting = event_stream.greeting(updates.event_id, retry_ms=retry_ms)
        await self._send_part(send, greeting)
        missed = updates.take_missed()
        for first in range(0, len(missed), EVENTS_PER_PART):
            part = missed[first : first + EVENTS_PER_PART]
            await self._send_part(send, _spell(part))
        while not updates.ended:
            events = await updates.wait(self._comment_s)
            if not updates.ended or events:
                await self._send_part(send, _spell(events) or event_stream.COMMENT)
        await send({"type": "http.response.body", "body": b""})

    async def _send_part(self, send: Send, part: bytes) -> None:
        async with asyncio.timeout(self._send_timeout_s):
            await send({"type": "http.response.body", "body": part, "more_body": True})


async def _watch(updates: LiveUpdates, receive: Receive) -> None:
    """End the updates when the reader goes away."""
    try:
        message = await receive()
        while message["type"] != "http.disconnect":
            message = await receive()
    finally:
        updates.end()


def _spell(events: list[LiveEvent]) -> bytes:
    return b"".join(
        event_stream.event(each.event_id, _encode(each.update)) for each in events
    )
