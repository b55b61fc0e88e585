"""
A reader's end: requests on their way to the writer, and its answers on their way back.

All of them share one connection. A small body is read ahead and goes along with the
head, unless it is late; of any other, a piece is read when the writer asks for one, so
that nobody who is refused sends it in vain. A part of an answer that is not the last is
acknowledged once the HTTP server has taken it. So whoever is slow holds up himself
alone, and no more of it is kept here than one piece and one part.

While the writer is away, whoever is to be passed on is told to try again. Whether a
request that it was doing at that moment was done, nobody knows; a sync session makes it
harmless to repeat one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any, Final

from millpond.contract.shapes import Operation
from millpond.errors import ServiceUnavailableException
from millpond.server.bodies import NO_BODY
from millpond.server.connections import Connections
from millpond.server.finding import Found
from millpond.server.readers.channel import Channel
from millpond.server.readers.messages import (
    Answer,
    Ask,
    Cut,
    Figures,
    FromWriter,
    Gone,
    Head,
    Hello,
    News,
    Over,
    Part,
    Piece,
    Save,
    Saved,
    Taken,
    Want,
    decode_of_writer,
)
from millpond.server.requests import TRACE, Receive, Request
from millpond.server.under_way import UnderWay

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

RETRY_AFTER_S: Final = 1
RECONNECT_S: Final = 0.05
LATE_S: Final = 0.02  # a body that is read ahead; then its head goes alone
SAVE_S_MAX: Final = 2.0


class Relay:
    """Passes requests on to the writer."""

    def __init__(
        self,
        socket: Path,
        hello: Hello,
        answered: Iterable[Operation],
        *,
        under_way: UnderWay,
        connections: Connections,
        take_figures: Callable[[int], Figures],
        heard: Callable[[News], None],
    ) -> None:
        """
        Args:
            socket: on which the writer listens.
            answered: the operations that are not passed on.
            take_figures: gives what was counted since the last time, for a question.
            heard: called with news of the writer.
        """
        self._socket = socket
        self._hello = hello
        operations = [*answered]
        self._answered = {id(each) for each in operations}
        self._forms = {(each.method, each.uri.count("/")) for each in operations}
        self._under_way = under_way
        self._connections = connections
        self._take_figures = take_figures
        self._heard = heard
        self._channel: Channel | None = None
        self._turns: dict[int, _Turn] = {}
        self._numbers = itertools.count(1)
        self._saves: dict[int, asyncio.Future[None]] = {}
        self._lost = asyncio.Event()

    def is_elsewhere(self, found: Found) -> bool:
        """Say whether the writer answers an operation."""
        return id(found.route.operation) not in self._answered

    def is_surely_elsewhere(self, method: str, raw_path: bytes) -> bool:
        """
        Say whether no path of so many segments is one of an operation answered here.

        So an update is not taken apart here, as the writer does it anyway.
        """
        return (method, raw_path.count(b"/")) not in self._forms

    async def connect(self) -> None:
        """Keep a connection with the writer until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._lost.clear()
                with contextlib.suppress(OSError):
                    await loop.create_unix_connection(
                        lambda: Channel(
                            decode_of_writer,
                            self._hear,
                            opened=self._begin,
                            closed=self._end,
                        ),
                        str(self._socket),
                    )
                    await self._lost.wait()
                await asyncio.sleep(RECONNECT_S)
        finally:
            if self._channel is not None:
                self._channel.close()

    @property
    def is_connected(self) -> bool:
        """Whether the writer is there."""
        return self._channel is not None

    def tell(self) -> None:
        """Tell the writer what was counted here, if it is there."""
        if self._channel is not None:
            self._channel.send(self._take_figures(0))

    async def save(self) -> None:
        """Have the sessions of all readers saved, if the writer is there."""
        channel = self._channel
        if channel is None:
            return
        number = next(self._numbers)
        saved = self._saves[number] = asyncio.get_running_loop().create_future()
        channel.send(self._take_figures(0))
        channel.send(Save(number))
        try:
            async with asyncio.timeout(SAVE_S_MAX):
                await saved
        except TimeoutError:
            return
        finally:
            self._saves.pop(number, None)

    def end_streams(self) -> None:
        """End the answers that go on for as long as both sides want."""
        for turn in self._turns.values():
            turn.leave()

    async def pass_on(self, request: Request, receive: Receive, send: Send) -> None:
        """
        Have the writer answer a request.

        Raises:
            ServiceUnavailableException: it is away; nothing was sent to the client.
        """
        channel = self._channel
        if channel is None:
            raise _away()
        number = next(self._numbers)
        turn = _Turn(number, channel, request, receive, self._under_way)
        self._turns[number] = turn
        try:
            turn.begin()
            is_whole = await self._play(turn, request, send)
        finally:
            del self._turns[number]
            turn.close()
        if not is_whole:
            if not turn.has_answered:
                raise _away()
            # What is not whole must not be taken for whole.
            self._connections.end_stuck(request.client)

    async def _play(self, turn: _Turn, request: Request, send: Send) -> bool:
        """Give the client what the writer sends; say whether all of it came."""
        while True:
            message = await turn.next()
            match message:
                case None:
                    return False
                case Over(is_broken=is_broken):
                    return not is_broken
                case Answer():
                    turn.has_answered = True
                    if message.is_known:
                        self._under_way.known.add(request.client)
                    await send(
                        {
                            "type": "http.response.start",
                            "status": message.status,
                            "headers": message.headers,
                        }
                    )
            assert isinstance(message, Answer | Part)
            part = {"type": "http.response.body", "body": message.body}
            if message.more:
                try:
                    with self._under_way.waiting_for(request.client):
                        async with turn.until_broken():
                            await send({**part, "more_body": True})
                except TimeoutError:
                    return False
                turn.acknowledge()
            else:
                await send(part)
            if message.is_over:
                return True

    def _begin(self, channel: Channel) -> None:
        channel.send(self._hello)
        self._channel = channel

    def _end(self, channel: Channel) -> None:
        self._channel = None
        self._lost.set()
        for turn in self._turns.values():
            turn.hear(None)
        for saved in self._saves.values():
            if not saved.done():
                saved.set_result(None)

    def _hear(self, channel: Channel, message: FromWriter) -> None:
        match message:
            case Answer() | Part() | Over():
                turn = self._turns.get(message.id)
                if turn is not None:
                    turn.hear(message)
            case Want(id=number):
                turn = self._turns.get(number)
                if turn is not None:
                    turn.read()
            case Ask(number=number):
                channel.send(self._take_figures(number))
            case Cut(clients=clients):
                self._connections.abort(clients)
            case Saved(number=number):
                saved = self._saves.get(number)
                if saved is not None and not saved.done():
                    saved.set_result(None)
            case News():
                self._heard(message)


def _away() -> ServiceUnavailableException:
    return ServiceUnavailableException(
        "The part of this server that writes is away for a moment. Try again.",
        retry_after_s=RETRY_AFTER_S,
    )


class _Turn:
    """A request that is passed on."""

    def __init__(
        self,
        number: int,
        channel: Channel,
        request: Request,
        receive: Receive,
        under_way: UnderWay,
    ) -> None:
        self._number = number
        self._channel = channel
        self._request = request
        self._receive = receive
        self._under_way = under_way
        self._heard: deque[Answer | Part | Over | None] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._reading: asyncio.Future[Any] | None = None
        self._late: asyncio.TimerHandle | None = None
        self._sending: asyncio.Timeout | None = None
        self.has_answered = False

    def begin(self) -> None:
        """Send the head, with the beginning of the body if that is small."""
        body = self._request.body
        if body is NO_BODY or body.is_over:
            self._send_head(b"", more=False)
        elif body.is_small and b"expect" not in self._request.headers:
            self._late = asyncio.get_running_loop().call_later(
                LATE_S, self._send_head, None
            )
            self.read()
        else:
            self._send_head(None)

    def _send_head(self, body: bytes | None, *, more: bool = True) -> None:
        self._late = None
        scope = self._request.scope
        self._channel.send(
            Head(
                self._number,
                scope["method"],
                scope["scheme"],
                scope["http_version"],
                scope["path"],
                scope["raw_path"],
                scope["query_string"],
                scope["headers"],
                scope["client"],
                scope["server"],
                body,
                more,
                scope.get(TRACE),
            )
        )

    def read(self) -> None:
        """Read the next piece, or find out that the client goes away."""
        if self._reading is None:
            if not self._request.body.is_over:
                self._under_way.at_client[self._request.client] += 1
            self._reading = asyncio.ensure_future(self._receive())
            self._reading.add_done_callback(self._read)

    def _read(self, reading: asyncio.Future[Any]) -> None:
        self._done_reading()
        if reading.cancelled():
            return
        message: MutableMapping[str, Any] = {"type": "http.disconnect"}
        if reading.exception() is None:
            message = reading.result()
        if message["type"] != "http.request":
            if self._late is not None:
                self._late.cancel()
                self._send_head(None)
            self._channel.send(Gone(self._number))
            return
        piece, more = message.get("body", b""), message.get("more_body", False)
        body = self._request.body
        if body is not NO_BODY and not more:
            body.is_over = True
        if self._late is not None:
            self._late.cancel()
            self._send_head(piece, more=more)
        else:
            self._channel.send(Piece(self._number, piece, more))

    def _done_reading(self) -> None:
        self._reading = None
        if not self._request.body.is_over:
            client, at_client = self._request.client, self._under_way.at_client
            at_client[client] -= 1
            if at_client[client] <= 0:
                del at_client[client]

    def until_broken(self) -> asyncio.Timeout:
        """Bound what is sent: it times out when the answer will not be whole."""
        self._sending = asyncio.timeout(None)
        return self._sending

    def hear(self, message: Answer | Part | Over | None) -> None:
        """Take what the writer says; None: it is gone."""
        self._heard.append(message)
        is_broken = message is None or (isinstance(message, Over) and message.is_broken)
        if is_broken and self._sending is not None:
            with contextlib.suppress(RuntimeError):  # it was sent
                self._sending.reschedule(asyncio.get_running_loop().time())
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def next(self) -> Answer | Part | Over | None:
        """Wait for what the writer says next."""
        if not self._heard:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return self._heard.popleft()

    def acknowledge(self) -> None:
        """Ask for the next part."""
        self._channel.send(Taken(self._number))

    def leave(self) -> None:
        """Behave as if the client went away, once it listens to a stream."""
        if self.has_answered:
            self._channel.send(Gone(self._number))

    def close(self) -> None:
        """Be done with it, whatever is still on its way."""
        if self._late is not None:
            self._late.cancel()
        if self._reading is not None:
            self._reading.cancel()
