"""
The bodies of requests: read within bounds, or taken out of the way when refused.

A small body comes in one piece and costs nothing here. Of one that comes in several,
what has come is held in a budget until the request is done (`server.budgets`), and it
has `BODY_S_MAX` to be whole.

Who is refused before all is sent must be able to read why. Over HTTP/1.1 a connection
that is closed while bytes are on their way in is reset, and the answer goes with it: so
the answer goes first, and the rest is read and dropped, within bounds. Over HTTP/2 the
rest goes first: Node.js drops an answer that comes before it has sent its body. Who
waits for `100 Continue` sends nothing; reading would tell it to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

from millpond.errors import (
    RequestEntityTooLargeException,
    RequestTimeoutException,
    SerializationException,
    ServiceException,
    ServiceUnavailableException,
    TooManyRequestsException,
)
from millpond.metrics import Metrics
from millpond.server.budgets import Budget, OverBudgetError, Transfer
from millpond.settings import Settings

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

BODY_S_MAX: Final = 60.0  # a phone on a bad network is slow; an attacker has no end
DISCARDED_BYTES_MAX: Final = 64 * 1_048_576
DISCARDED_S_MAX: Final = 10.0
SMALL_BYTES: Final = 65_536  # so much is read before an answer that refuses it
SMALL_S_MAX: Final = 1.0
# Each piece costs some 20 us, whatever its size. A network makes pieces of 1,400 bytes.
PIECES_MAX: Final = 16_384  # and one more ...
PIECE_BYTES: Final = 512  # ... for so many bytes
RETRY_AFTER_S: Final = 2  # by then those who are stuck have given way


class Body:
    """The body of one request."""

    __slots__ = (
        "_is_awaited",
        "_is_given_up",
        "_is_http2",
        "_receive",
        "_transfer",
        "is_over",
        "length",
    )

    def __init__(
        self, headers: Mapping[bytes, bytes], receive: Receive, *, is_http2: bool
    ) -> None:
        self._receive = receive
        self._is_awaited = b"expect" not in headers  # or its sender has been told so
        self._is_given_up = False
        self._is_http2 = is_http2
        self._transfer: Transfer | None = None
        length = headers.get(b"content-length")
        self.length: int | None = None
        """In bytes, as announced; None where it is not known before it is there."""
        if length is not None and length.isdigit():
            self.length = int(length.lstrip(b"0")[:20] or b"0")
        elif length is None and not is_http2 and b"transfer-encoding" not in headers:
            self.length = 0  # over HTTP/2 a body may have neither
        self.is_over = self.length == 0
        """Whether there is no more of it."""

    def close(self) -> None:
        """Give back what was held for it."""
        if self._transfer is not None:
            self._transfer.close()

    @property
    def is_small(self) -> bool:
        """Whether it says that it is."""
        return self.length is not None and self.length <= SMALL_BYTES

    async def read(
        self, bytes_max: int, budget: Budget, peer: Callable[[], str]
    ) -> bytes:
        """
        Read it to its end, but not more of it than `bytes_max`.

        Args:
            peer: tells whom what is held is counted for.
        Raises:
            RequestEntityTooLargeException: there is more.
            RequestTimeoutException: it does not come.
            SerializationException: the client went away in the middle, or it comes in
                very small pieces.
            ServiceUnavailableException: there is no room for it now.
            TooManyRequestsException: its sender holds too much already.
        """
        if self.is_over:
            return b""
        if self.length is not None:
            # Not even begun, when its sender says that it is too large.
            _check_size(self.length, bytes_max)
        try:
            whole_by_s = asyncio.get_running_loop().time() + BODY_S_MAX
            part = await budget.begin(self._next())
            # What is whole need not wait for the message that says so.
            if self.is_over or (len(part) == self.length and not self._is_http2):
                self.is_over = True
                _check_size(len(part), bytes_max)
                return part
            async with asyncio.timeout_at(whole_by_s) as limit:
                self._transfer = budget.open(peer(), limit)
                return await self._read_parts(part, bytes_max, self._transfer)
        except TimeoutError as error:
            self._is_given_up = True
            raise RequestTimeoutException from error
        except OverBudgetError as error:
            raise refuse(error) from None

    async def _read_parts(
        self, part: bytes, bytes_max: int, transfer: Transfer
    ) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            while True:
                size += len(part)
                _check_size(size, bytes_max)
                if _is_crumbled(len(parts), size):
                    self._is_given_up = True
                    raise SerializationException("The body is in too small pieces.")
                await transfer.take(len(part))
                parts.append(part)
                if self.is_over or (size == self.length and not self._is_http2):
                    self.is_over = True
                    return b"".join(parts)
                part = await self._next()
        finally:
            transfer.settle()

    async def _next(self) -> bytes:
        self._is_awaited = True
        message = await self._receive()
        if message["type"] != "http.request":
            self.is_over = True
            raise SerializationException("The request was cut off.")
        self.is_over = not message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part

    async def make_way(self) -> bool:
        """
        Take what is left of it, before an answer that refuses it, if that is small.

        Returns:
            Whether the connection can go on.
        """
        if self.is_over or self._is_given_up:
            return self.is_over or self._is_http2
        if self._is_http2:
            if self.length is None or self.length <= DISCARDED_BYTES_MAX:
                await self._drop(DISCARDED_BYTES_MAX, DISCARDED_S_MAX)
            return True  # what is left ends with its stream
        if self.length is not None and self.length > SMALL_BYTES:
            return False
        if self._is_awaited:
            await self._drop(SMALL_BYTES, SMALL_S_MAX)
        return self.is_over

    async def drain(self) -> None:
        """Take what is left of it, within bounds, after an answer that refuses it."""
        if self._is_awaited and not (self._is_http2 or self._is_given_up):
            await self._drop(DISCARDED_BYTES_MAX, DISCARDED_S_MAX)

    async def _drop(self, bytes_max: int, s_max: float) -> None:
        pieces = size = 0
        try:
            async with asyncio.timeout(s_max):
                while not (
                    self.is_over or size > bytes_max or _is_crumbled(pieces, size)
                ):
                    size += len(await self._next())
                    pieces += 1
        except (TimeoutError, SerializationException):
            return


async def _receive_nothing() -> MutableMapping[str, Any]:
    return {"type": "http.disconnect"}


NO_BODY: Final = Body({}, _receive_nothing, is_http2=False)
"""The body of all requests that have none."""


def make_budget(settings: Settings, metrics: Metrics) -> Budget:
    """Make the budget of the bodies of all requests."""
    budget = Budget(
        bytes_max=settings.request_bodies_bytes_max,
        peer_bytes_max=settings.request_bodies_bytes_per_peer_max,
        pause_s_max=BODY_S_MAX,
        gave_way=metrics.refused.labels("body_stuck").inc,
        no_room=metrics.refused.labels("body_room").inc,
    )
    metrics.share_gauge(metrics.request_bodies_bytes, lambda: budget.held)
    return budget


def refuse(error: OverBudgetError) -> ServiceException:
    """Say to a client that there is no room."""
    if error.of_peer:
        return TooManyRequestsException(
            "Too much of this sender is on its way at the same time. Try again.",
            retry_after_s=RETRY_AFTER_S,
        )
    return ServiceUnavailableException(
        "Too much is on its way at the same time. Try again.",
        retry_after_s=RETRY_AFTER_S,
    )


def _is_crumbled(pieces: int, size: int) -> bool:
    """Say whether a body costs more than its size is worth."""
    return pieces > PIECES_MAX + size // PIECE_BYTES


def _check_size(size: int, bytes_max: int) -> None:
    if size > bytes_max:
        raise RequestEntityTooLargeException(
            f"The request body is larger than {bytes_max} bytes."
        )
