"""
Subscriptions to shards on the socket: binary events, until one side ends them.

There is never more than one event on its way to a reader. One that takes nothing of it
for `answer_send_timeout_s` is cut off, as is one whose place is taken over while it
takes none, and as all are when the server goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

import structlog

from millpond.errors import InternalFailureException, ServiceException
from millpond.metrics import Metrics
from millpond.server.answer_streams import (
    CLOSING_S,
    AnswerStreams,
    Headers,
    Receive,
    Send,
)
from millpond.server.under_way import Client
from millpond.service.kinesis.subscriptions import Subscription
from millpond.service.subscriptions import Subscriptions
from millpond.wire import event_frames
from millpond.wire.codecs import Codec

HEADERS: Final = ((b"content-type", event_frames.CONTENT_TYPE),)
EVENT: Final = "SubscribeToShardEvent"
LEAST_S: Final = 1.0  # for the last bytes, when the time is up

_log = structlog.get_logger()


class SubscriptionStreams:
    """Sends the events of subscriptions to their readers."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        metrics: Metrics,
        streams: AnswerStreams,
        *,
        send_timeout_s: float,
    ) -> None:
        self._subscriptions = subscriptions
        self._metrics = metrics
        self._streams = streams
        self._send_timeout_s = send_timeout_s

    def close(self) -> None:
        """End every subscription; a reader that is stuck is not waited for."""
        self._subscriptions.close()
        self._streams.close()

    async def stream(
        self,
        subscription: Subscription,
        codec: Codec,
        headers: Headers,
        client: Client,
        peer: str,
        receive: Receive,
        send: Send,
    ) -> None:
        """
        Send the head and the events, until one side ends it; close the subscription.

        Args:
            codec: of the request, and of what is in the events.
        """
        self._metrics.subscriptions.inc()
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(
                    self._streams.send(
                        _parts(subscription, codec),
                        headers=headers,
                        timeout_s=lambda: min(
                            subscription.seconds_left + LEAST_S, self._send_timeout_s
                        ),
                        end=subscription.end,
                        client=client,
                        peer=peer,
                        receive=receive,
                        send=send,
                    )
                )
                ending = group.create_task(_cut_off(subscription, sending.cancel))
                sending.add_done_callback(lambda _: ending.cancel())
        except* TimeoutError:
            _log.info("subscription.cut_off")
        finally:
            subscription.close()
            self._metrics.subscriptions.dec()


async def _cut_off(subscription: Subscription, cancel: Callable[[], object]) -> None:
    """Give a reader a moment for the last bytes once its subscription has ended."""
    await subscription.wait_for_end()
    await asyncio.sleep(CLOSING_S)
    cancel()


async def _parts(subscription: Subscription, codec: Codec) -> AsyncIterator[bytes]:
    yield event_frames.initial_response(codec)
    try:
        while (event := await subscription.next_event()) is not None:
            yield event_frames.event(EVENT, event, codec)
    except ServiceException as error:
        yield event_frames.exception(error, codec)
    except Exception as error:
        _log.error("subscription.failed", error=str(error), exc_info=error)
        yield event_frames.exception(InternalFailureException(), codec)
