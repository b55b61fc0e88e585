"""
Live updates on the socket: server-sent events, until one of the two sides ends it.

The server ends it when the credentials expire or it shuts down; the reader then
connects again by itself.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Final

import msgspec
import structlog

from millpond.metrics import Metrics
from millpond.server.answer_streams import (
    AnswerStreams,
    Headers,
    Receive,
    Send,
)
from millpond.server.under_way import Client
from millpond.service.changes import Changes
from millpond.service.live import LiveEvent, LiveUpdates
from millpond.settings import Settings
from millpond.wire import event_stream

RETRY_MS: Final = (1000, 4000)  # when a browser comes back; not all of them at once
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

    def __init__(
        self,
        settings: Settings,
        changes: Changes,
        metrics: Metrics,
        streams: AnswerStreams,
    ) -> None:
        self._comment_s = settings.live_comment_s
        self._send_timeout_s: float = settings.live_send_timeout_s
        self._changes = changes
        self._metrics = metrics
        self._streams = streams

    def close(self) -> None:
        """End every stream; a reader that is stuck is not waited for."""
        self._changes.close()
        self._streams.close()

    async def stream(
        self,
        updates: LiveUpdates,
        headers: Headers,
        client: Client,
        peer: str,
        receive: Receive,
        send: Send,
    ) -> None:
        """
        Send the head and the events, until one side ends it; close the updates.

        Args:
            client: address and port of the other end of the connection.
            peer: whoever that is.
        """
        self._metrics.live_listeners.inc()
        try:
            await self._streams.send(
                self._parts(updates),
                headers=headers,
                timeout_s=lambda: self._send_timeout_s,
                end=updates.end,
                client=client,
                peer=peer,
                receive=receive,
                send=send,
            )
        except TimeoutError:
            self._metrics.live_cut_offs.inc()
            _log.info("live.cut_off", timeout_s=self._send_timeout_s)
        finally:
            updates.close()
            self._metrics.live_listeners.dec()

    async def _parts(self, updates: LiveUpdates) -> AsyncIterator[bytes]:
        retry_ms = random.randint(*RETRY_MS)
        yield event_stream.greeting(updates.event_id, retry_ms=retry_ms)
        while missed := updates.take_missed(EVENTS_PER_PART):
            yield _spell(missed)
            await self._changes.give_way()
        while not updates.ended:
            events = await updates.wait(self._comment_s)
            if not updates.ended or events:
                yield _spell(events) or event_stream.COMMENT


def _spell(events: list[LiveEvent]) -> bytes:
    return b"".join(
        event_stream.event(each.event_id, _encode(each.update)) for each in events
    )
