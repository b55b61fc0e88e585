"""
The reader of a NATS stream: messages in the order of the stream, each once.

It pulls from a consumer of its own, which the server forgets a minute after the last
request. The reader itself remembers where it stands: when the connection or the
consumer is lost, or a message is missing between two others, it goes on from there with
a new consumer. In a stream that was made anew it would pass over the beginning, so that
is told apart by when the stream was created.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from millpond.core.streaming import StreamRecord
from millpond.core.targets import Target
from millpond.errors import SinkUnavailableError, StreamGoneError
from millpond.sinks.nats_connection import (
    LOOKUP_S,
    NatsAddress,
    NatsConnection,
    connect,
    read_address,
    reason_of,
)
from millpond.sinks.nats_stream import refuse_reading_back

PARTITION_KEY: Final = "Millpond-Partition-Key"  # percent-encoded
MESSAGE_ID: Final = "Nats-Msg-Id"
BATCH: Final = 500
BATCH_BYTES: Final = 16 * 1024 * 1024
REQUEST_S_MAX: Final = 10.0
FORGOTTEN_AFTER_S: Final = 60.0
PAUSE_S: Final = 0.25


class NatsReader:
    """A stream of NATS JetStream, read back."""

    def __init__(self, address: NatsAddress, *, from_end: bool) -> None:
        self._address = address
        self._from_end = from_end
        self._next_sequence: int | None = None  # of the stream; None: not opened yet
        self._created = ""  # the stream of which that is
        self._pull: _Pull | None = None

    def __repr__(self) -> str:
        state = "closed" if self._pull is None else "open"
        return f"<NatsReader {self._address}, {state}>"

    async def open(self) -> None:
        if self._pull is None:
            await self._start()

    async def look(self) -> Target:
        if self._pull is None:
            await self._start()
        assert self._pull is not None
        return (await self._pull.connection.find_stream()).target

    async def read(self, *, wait_s: float) -> Sequence[StreamRecord]:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                if self._pull is None:
                    await self._start()
                assert self._pull is not None
                messages = await self._pull.take(deadline)
            except (SinkUnavailableError, nats.errors.Error, OSError) as error:
                await self.aclose()
                if time.monotonic() >= deadline:
                    raise self._unavailable(error) from error
                await asyncio.sleep(PAUSE_S)
                continue
            if messages:
                self._next_sequence = messages[-1].metadata.sequence.stream + 1
            return [_record_of(each) for each in messages]

    async def aclose(self) -> None:
        pull, self._pull = self._pull, None
        if pull is not None:
            await pull.connection.aclose()

    async def _start(self) -> None:
        connection = await connect(self._address, self._address.hosts, lambda: None)
        try:
            stream = await connection.find_stream()
            refuse_reading_back(stream, self._address.stream_name)
            created = stream.target.identity
            if self._next_sequence is None:
                self._next_sequence = stream.last_sequence + 1 if self._from_end else 1
                self._created = created
            elif created != self._created:
                name = self._address.stream_name
                raise StreamGoneError(
                    f"NATS stream '{name}' was deleted and created again.",
                    hint="Read it anew.",
                )
            pull = _Pull(connection, self._address.stream_name)
            await pull.start(
                ConsumerConfig(
                    deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                    opt_start_seq=self._next_sequence,
                    # None: all of them. A mirror has none of its own.
                    filter_subject=stream.stored_subject or None,
                    ack_policy=AckPolicy.NONE,
                    mem_storage=True,
                    num_replicas=1,
                    inactive_threshold=FORGOTTEN_AFTER_S,
                ),
                bytes_max=max(BATCH_BYTES, 2 * stream.message_bytes_max),
            )
        except (nats.errors.Error, OSError) as error:
            await connection.aclose()
            raise self._unavailable(error) from error
        except BaseException:
            await connection.aclose()
            raise
        self._pull = pull

    def _unavailable(self, error: Exception) -> SinkUnavailableError:
        if isinstance(error, SinkUnavailableError):
            return error
        name = self._address.stream_name
        return SinkUnavailableError(
            f"NATS stream '{name}' cannot be read: {reason_of(error)}."
        )


class _Pull:
    """A consumer of our own, and the messages that it was asked for."""

    def __init__(self, connection: NatsConnection, stream_name: str) -> None:
        self.connection = connection
        self._stream_name = stream_name
        self._subject = ""
        self._inbox = connection.client.new_inbox()
        self._bytes_max = 0
        self._arrived: list[Msg] = []
        self._last = 0  # the consumer's number of the last message
        self._due = 0  # how many messages the last request still may bring
        self._due_until = 0.0
        self._broken = ""
        self._wakes = asyncio.Event()

    async def start(self, config: ConsumerConfig, *, bytes_max: int) -> None:
        client = self.connection.client
        await client.subscribe(self._inbox, cb=self._take, pending_bytes_limit=0)
        manager = client.jsm(timeout=LOOKUP_S)
        consumer = await manager.add_consumer(self._stream_name, config)
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream_name}.{consumer.name}"
        self._bytes_max = bytes_max

    async def take(self, deadline: float) -> list[Msg]:
        """Give what has arrived; wait for something until the deadline."""
        while not self._arrived:
            if self._broken or not self.connection.usable:
                raise nats.errors.Error(self._broken or "nats: the connection is lost")
            now = time.monotonic()
            if self._due <= 0:
                await self._request(min(max(deadline - now, PAUSE_S), REQUEST_S_MAX))
            elif now > self._due_until:
                raise nats.errors.Error("nats: the consumer does not answer")
            remaining_s = deadline - now
            if remaining_s <= 0 and self._due < BATCH:
                return []
            self._wakes.clear()
            timer = asyncio.get_running_loop().call_later(
                min(max(remaining_s, PAUSE_S), PAUSE_S), self._wakes.set
            )
            try:
                await self._wakes.wait()
            finally:
                timer.cancel()
            if time.monotonic() >= deadline and not self._arrived:
                return []
        arrived, self._arrived = self._arrived, []
        return arrived

    async def _request(self, expires_s: float) -> None:
        self._due = BATCH
        self._due_until = time.monotonic() + expires_s + LOOKUP_S
        request = {
            "batch": BATCH,
            "max_bytes": self._bytes_max,
            "expires": int(expires_s * 1e9),  # nanoseconds
        }
        await self.connection.client.publish(
            self._subject, msgspec.json.encode(request), self._inbox
        )

    async def _take(self, message: Msg) -> None:
        """Take a message, or a status that ends the request."""
        if not message.reply.startswith("$JS.ACK."):
            self._due = 0
            status = (message.headers or {}).get("Status", "")
            description = (message.headers or {}).get("Description", "")
            # 404, 408: nothing for now; 409 also when a request came to its end.
            if status == "503" or "Consumer" in description:
                self._broken = f"nats: {description or 'the consumer is lost'}"
        elif not self._broken:
            number = message.metadata.sequence.consumer
            if number == self._last + 1:
                self._last = number
                self._due -= 1
                self._arrived.append(message)
            else:
                self._broken = f"nats: message {self._last + 1} is missing"
        self._wakes.set()


def make_reader(url: str, *, from_end: bool) -> NatsReader:
    """
    Make the reader of a URL, not yet open.

    Raises:
        SettingsError: the URL is not one of a NATS stream.
    """
    return NatsReader(read_address(url), from_end=from_end)


def _record_of(message: Msg) -> StreamRecord:
    headers = message.headers or {}
    return StreamRecord(
        partition_key=unquote(headers.get(PARTITION_KEY, "")),
        data=message.data,
        message_id=unquote(headers.get(MESSAGE_ID, "")),
    )
