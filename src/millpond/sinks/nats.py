"""
The NATS sink: a stream of NATS JetStream. How a put keeps its order, what is sent again
and which duplicates are believed is told in `nats_put`.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from typing import Final

import nats.errors
from nats.aio.msg import Msg

from millpond.core.streaming import StreamRecord
from millpond.core.targets import Target
from millpond.errors import SinkUnavailableError
from millpond.sinks.base import (
    PutResult,
    demand,
    hold_back_followers,
)
from millpond.sinks.nats_connection import (
    NatsAddress,
    NatsConnection,
    connect,
    read_address,
    reason_of,
)
from millpond.sinks.nats_put import NatsPut
from millpond.sinks.nats_reader import make_reader
from millpond.sinks.nats_stream import StreamInfo, only_subject

__all__ = ["NatsSink", "make_reader", "make_sink"]

PATIENCE_S: Final = 20.0
BYTES_MAX: Final = 8 * 1024 * 1024
MESSAGE_BYTES_MAX: Final = 1024 * 1024  # NATS: the server's default
HEADER_BYTES: Final = 512
"""What a record may need besides its key and data: the names of the headers, the
message id, and the percent signs of the key."""


class NatsSink:
    """A stream of NATS JetStream as a sink."""

    records_max: Final = 1000

    def __init__(self, address: NatsAddress, *, patience_s: float = PATIENCE_S) -> None:
        self.address = address
        self._patience_s = patience_s
        self._hosts = address.hosts
        self._connection: NatsConnection | None = None
        self._inbox = ""
        self._connecting = asyncio.Lock()
        self._stream: StreamInfo | None = None
        self._puts: dict[str, NatsPut] = {}
        self._numbers = itertools.count(1)

    def __repr__(self) -> str:
        state = "closed" if self._stream is None else "open"
        return f"<NatsSink {self.address}, {state}>"

    @property
    def is_open(self) -> bool:
        return self._stream is not None

    @property
    def bytes_max(self) -> int:
        return max(BYTES_MAX, self.record_bytes_max)

    @property
    def record_bytes_max(self) -> int:
        return max(0, self.message_bytes_max - HEADER_BYTES)

    @property
    def message_bytes_max(self) -> int:
        """How many bytes a message may have, headers included."""
        stream = self._stream
        return MESSAGE_BYTES_MAX if stream is None else stream.message_bytes_max

    async def open(self) -> None:
        if self._stream is None:
            connection, _ = await self.connected()
            try:
                stream = await connection.find_stream()
                demand(stream.target)
                only_subject(stream, self.address.stream_name)
            except BaseException:
                await self.aclose()
                raise
            self._stream = stream

    async def look(self) -> Target:
        if self._stream is None:
            raise self._not_open()
        connection, _ = await self.connected()
        return (await connection.find_stream()).target

    async def put(self, records: Sequence[StreamRecord]) -> PutResult:
        if self._stream is None:
            raise self._not_open()
        number = str(next(self._numbers))
        put = NatsPut(self, self._stream.subject, number, records)
        self._puts[number] = put
        try:
            await put.run(time.monotonic() + self._patience_s)
        finally:
            del self._puts[number]
        result = hold_back_followers(records, put.failed.values())
        if put.acknowledged == 0 and put.failed:
            first = result.failed[0]
            if all(each.retryable for each in result.failed):
                raise SinkUnavailableError(
                    f"NATS stream '{self.address.stream_name}' takes no records: "
                    f"{first.reason}"
                )
        return result

    def _not_open(self) -> SinkUnavailableError:
        # Somebody else who shares it may have closed it after a failure.
        return SinkUnavailableError(
            f"NATS stream '{self.address.stream_name}' is not open."
        )

    async def aclose(self) -> None:
        self._stream = None
        self._wake()
        async with self._connecting:
            connection, self._connection = self._connection, None
            if connection is not None:
                await connection.aclose()
        self._wake()

    @property
    def current(self) -> tuple[NatsConnection, str] | None:
        """The connection and the inbox for its answers; None when it is lost."""
        connection = self._connection
        if connection is None or not connection.usable:
            return None
        return connection, self._inbox

    async def connected(self) -> tuple[NatsConnection, str]:
        """
        Give a connection, a new one if need be, and the inbox for its answers.

        Raises:
            SinkError, SinkUnavailableError: as `connect` does.
        """
        async with self._connecting:
            if self.current is not None:
                return self.current
            old = self._connection
            self._connection = None
            if old is not None:
                await old.aclose()
            connection = await connect(self.address, self._hosts, self._wake)
            try:
                inbox = f"{connection.client.new_inbox()}."
                await connection.client.subscribe(f"{inbox}*", cb=self._take_answer)
            except (nats.errors.Error, OSError) as error:
                await connection.aclose()
                raise SinkUnavailableError(
                    f"The connection to NATS was lost: {reason_of(error)}."
                ) from error
            self._remember_servers(connection)
            self._connection, self._inbox = connection, inbox
            return connection, inbox

    def _remember_servers(self, connection: NatsConnection) -> None:
        """Turn to another server the next time; the cluster names more of them."""
        known = dict.fromkeys(self.address.hosts + connection.servers)
        url = connection.client.connected_url
        current = "" if url is None else url.netloc
        rest = [host for host in known if host != current]
        self._hosts = (*rest, current) if current else tuple(known)

    async def _take_answer(self, message: Msg) -> None:
        number, _, index = message.subject.rpartition(".")[2].partition("-")
        put = self._puts.get(number)
        if put is not None:
            put.take_answer(int(index), message)

    def _wake(self) -> None:
        for put in self._puts.values():
            put.wake()


def make_sink(url: str, role_arn: str | None) -> NatsSink:
    """
    Make the sink of a URL, not yet open; a role means nothing to NATS.

    Raises:
        SettingsError: the URL is not one of a NATS stream.
    """
    return NatsSink(read_address(url))
