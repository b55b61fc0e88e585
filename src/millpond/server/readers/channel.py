"""Messages over a stream of bytes: each behind its length, in 4 bytes."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any, Final, cast

from millpond.server.readers.messages import encode

_LENGTH: Final = struct.Struct("<I")


class Channel(asyncio.Protocol):
    """One end of a connection between a reader and the writer."""

    def __init__(
        self,
        decode: Callable[[memoryview], Any],
        hear: Callable[[Channel, Any], None],
        *,
        opened: Callable[[Channel], None] | None = None,
        closed: Callable[[Channel], None],
    ) -> None:
        """
        Args:
            hear: called with each message of the other end.
            closed: called once, when the other end is gone.
        """
        self._decode = decode
        self._hear = hear
        self._opened = opened
        self._closed = closed
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def send(self, message: Any) -> None:
        """Send a message; what is sent to somebody who is gone is lost."""
        transport = self._transport
        if transport is not None:
            data = encode(message)
            transport.write(_LENGTH.pack(len(data)) + data)

    def close(self) -> None:
        """Close the connection, when all was sent."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._opened is not None:
            self._opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._closed(self)

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        size = len(data)
        view = memoryview(data)
        at = 0
        while at + 4 <= size:
            (length,) = _LENGTH.unpack_from(data, at)
            end = at + 4 + length
            if end > size:
                break
            self._hear(self, self._decode(view[at + 4 : end]))
            at = end
        self._rest = data[at:]
