"""
The writer's end: requests that readers pass on, as if they had come over the port.

Each becomes a call of the gateway, with the head as it was and the address of its
client. What a reader says of an address is believed, because nobody else can reach the
socket. When a reader is gone, so are all of its clients.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Mapping,
    MutableMapping,
    MutableSequence,
)
from pathlib import Path
from typing import Any, Final

import structlog

from millpond.metrics import Metrics
from millpond.server.connections import Connections
from millpond.server.peers import TrustedProxies
from millpond.server.readers.channel import Channel
from millpond.server.readers.figures import absorb
from millpond.server.readers.messages import (
    Answer,
    Ask,
    Cut,
    Figures,
    FromReader,
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
    decode_of_reader,
)
from millpond.server.requests import TRACE
from millpond.server.under_way import Client, UnderWay
from millpond.service.developer_keys import KeyRing
from millpond.service.sync_sessions import SyncSessionCounter
from millpond.settings import Settings

Message = MutableMapping[str, Any]
App = Callable[[Message, Any, Any], Awaitable[None]]

GATHER_S_MAX: Final = 1.0  # for a reader that does not say what it has counted
FORGET_S: Final = 60.0
_DISCONNECT: Final[Message] = {"type": "http.disconnect"}

_log = structlog.get_logger()


class RelayedConnections(Connections):
    """Connections that readers have: they end them, and look after those that idle."""

    def __init__(
        self,
        settings: Settings,
        under_way: UnderWay,
        metrics: Metrics,
        trusted: TrustedProxies,
        intake: Intake,
    ) -> None:
        super().__init__(settings, under_way, metrics, trusted)
        self._intake = intake
        self._known_of = under_way

    def end_stuck(self, client: Client) -> None:
        """Leave it to the reader: it is told that the answer ends without its end."""

    def abort(self, clients: Collection[Client]) -> None:
        self._intake.cut(clients)

    async def watch(self) -> None:
        """Forget clients from time to time, for nobody tells that they are gone."""
        while True:
            before_s = asyncio.get_running_loop().time()
            await asyncio.sleep(FORGET_S)
            self._known_of.forget((), before_s=before_s)


class Intake:
    """Listens for readers."""

    def __init__(
        self, socket: Path, cells: Mapping[str, MutableSequence[float]]
    ) -> None:
        """
        Args:
            socket: where to listen, in a folder of our user alone.
            cells: the tables of limits of rates, in which readers count as well.
        """
        self.socket = socket
        self.cells = cells
        self._app: App | None = None
        self._readers: dict[Channel, Hello] = {}
        self._passed: dict[tuple[Channel, int], _Passed] = {}
        self._numbers = itertools.count(1)
        self._asked: dict[tuple[Channel, int], asyncio.Future[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._all_left = asyncio.Event()
        self._metrics: Metrics | None = None
        self._sessions: SyncSessionCounter | None = None
        self._keys: KeyRing | None = None
        self._under_way: UnderWay | None = None
        self._server: asyncio.AbstractServer | None = None
        self._count_servers: Callable[[], int] = lambda: 1

    def join(
        self,
        metrics: Metrics,
        sessions: SyncSessionCounter,
        keys: KeyRing,
        under_way: UnderWay,
        count_servers: Callable[[], int],
    ) -> None:
        """Say where what readers count is added up."""
        self._metrics = metrics
        self._sessions = sessions
        self._keys = keys
        self._under_way = under_way
        self._count_servers = count_servers
        sessions.gather = self.gather
        metrics.readers.set_function(lambda: len(self._readers))

    async def open(self, app: App) -> None:
        """Listen; `app` answers what comes."""
        self._app = app
        self.socket.unlink(missing_ok=True)  # of a writer that was killed
        self._server = await asyncio.get_running_loop().create_unix_server(
            lambda: Channel(
                decode_of_reader, self._hear, opened=self._begin, closed=self._end
            ),
            str(self.socket),
            backlog=1024,
        )

    async def close(self, drain_s: float) -> None:
        """Let the readers leave, and what is under way finish; no longer than so."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + drain_s
        try:
            async with asyncio.timeout_at(until_s):
                while self._readers:
                    self._all_left.clear()
                    await self._all_left.wait()
        except TimeoutError:
            _log.warning("readers.stay", readers=len(self._readers))
        if self._server is not None:
            self._server.close()
        for channel in [*self._readers]:
            channel.close()
        if self._tasks:
            await asyncio.wait([*self._tasks], timeout=max(0.1, until_s - loop.time()))

    def cut(self, clients: Collection[Client]) -> None:
        """Have the connections of clients cut off, whichever reader has them."""
        for channel in self._readers:
            channel.send(Cut([*clients]))

    def tell_news(self) -> None:
        """Have the readers look for other developer keys."""
        news = News(self._count_servers())
        for channel in self._readers:
            channel.send(news)

    async def gather(self) -> None:
        """Add up what all readers have counted until now."""
        asked = [self._ask(channel) for channel in [*self._readers]]
        if asked:
            await asyncio.wait(asked, timeout=GATHER_S_MAX)

    def _ask(self, channel: Channel) -> asyncio.Future[None]:
        number = next(self._numbers)
        future = asyncio.get_running_loop().create_future()
        self._asked[channel, number] = future
        future.add_done_callback(lambda _: self._asked.pop((channel, number), None))
        channel.send(Ask(number))
        return future

    def _begin(self, channel: Channel) -> None:
        self._readers[channel] = Hello("", 0)

    def _end(self, channel: Channel) -> None:
        hello = self._readers.pop(channel)
        _log.info("reader.left", reader=hello.reader)
        if self._metrics is not None:
            self._metrics.of_others.pop(hello.reader, None)
        for (of, _), passed in self._passed.items():
            if of is channel:
                passed.gone()
        for (of, _), future in [*self._asked.items()]:
            if of is channel and not future.done():
                future.set_result(None)
        self._all_left.set()

    def _hear(self, channel: Channel, message: FromReader) -> None:
        match message:
            case Head():
                self._take_in(channel, message)
            case Piece(id=number):
                if (passed := self._passed.get((channel, number))) is not None:
                    passed.add(message.body, more=message.more)
            case Taken(id=number):
                if (passed := self._passed.get((channel, number))) is not None:
                    passed.taken()
            case Gone(id=number):
                if (passed := self._passed.get((channel, number))) is not None:
                    passed.gone()
            case Figures():
                self._add(channel, message)
            case Save(number=number):
                self._run(self._save(channel, number))
            case Hello():
                self._readers[channel] = message
                _log.info("reader.joined", reader=message.reader, pid=message.pid)
                channel.send(News(self._count_servers()))

    def _add(self, channel: Channel, figures: Figures) -> None:
        if self._metrics is not None and self._sessions is not None:
            absorb(self._metrics, figures, self._readers[channel].reader)
            for pool_id, count in figures.sessions.items():
                self._sessions.add(pool_id, count)
        if self._keys is not None:
            for access_key_id in figures.key_uses:
                self._keys.note_use(access_key_id)
        future = self._asked.get((channel, figures.number))
        if future is not None and not future.done():
            future.set_result(None)

    async def _save(self, channel: Channel, number: int) -> None:
        try:
            if self._sessions is not None:
                await self._sessions.save()
        except Exception as error:
            _log.error("readers.sessions", error=str(error))
        channel.send(Saved(number))

    def _take_in(self, channel: Channel, head: Head) -> None:
        passed = _Passed(channel, head, self._known)
        self._passed[channel, head.id] = passed
        self._run(self._answer(channel, head, passed))

    def _known(self, client: Client) -> bool:
        return self._under_way is not None and client in self._under_way.known

    def _run(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, channel: Channel, head: Head, passed: _Passed) -> None:
        assert self._app is not None
        try:
            await self._app(_scope(head), passed.receive, passed.send)
        except Exception as error:
            _log.error("request.broken", error=str(error), exc_info=error)
        finally:
            del self._passed[channel, head.id]
            passed.end()


def _scope(head: Head) -> Message:
    """Make the scope of a request as the HTTP server does."""
    traced = {} if head.trace is None else {TRACE: head.trace}
    return {
        **traced,
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": head.http_version,
        "method": head.method,
        "scheme": head.scheme,
        "path": head.path,
        "raw_path": head.raw_path,
        "query_string": head.query,
        "root_path": "",
        "headers": head.headers,
        "client": head.client,
        "server": head.server,
        "extensions": {},
        "state": {},
    }


class _Passed:
    """A request that a reader has passed on, as the gateway sees it."""

    __slots__ = (
        "_channel",
        "_client",
        "_has_begun",
        "_held",
        "_id",
        "_is_gone",
        "_is_known",
        "_is_wanted",
        "_is_whole",
        "_pieces",
        "_start",
        "_taking",
        "_waiting",
    )

    def __init__(
        self, channel: Channel, head: Head, is_known: Callable[[Client], bool]
    ) -> None:
        self._channel = channel
        self._id = head.id
        self._client = head.client
        self._is_known = is_known
        self._pieces: deque[Message] = deque()
        self._is_gone = False
        self._is_wanted = False
        self._has_begun = False
        self._is_whole = False
        self._start: Message | None = None
        self._held: Message | None = None  # the last part, until we know what follows
        self._waiting: asyncio.Future[None] | None = None
        self._taking: asyncio.Future[None] | None = None
        if head.body is not None:
            self.add(head.body, more=head.more)

    def add(self, body: bytes, *, more: bool) -> None:
        """Take a piece of the body."""
        self._is_wanted = False
        self._pieces.append({"type": "http.request", "body": body, "more_body": more})
        _wake(self._waiting)

    def taken(self) -> None:
        """Hear that a part of the answer was taken."""
        _wake(self._taking)

    def gone(self) -> None:
        """Hear that the client has gone away."""
        self._is_gone = True
        _wake(self._waiting)
        _wake(self._taking)

    async def receive(self) -> Message:
        """Give the next piece of the body, or say that the client has gone away."""
        self._flush(is_over=False)
        while not self._pieces:
            if self._is_gone:
                return _DISCONNECT
            if not self._is_wanted:
                self._is_wanted = True
                self._channel.send(Want(self._id))
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return self._pieces.popleft()

    async def send(self, message: Message) -> None:
        """Send a part of the answer, and wait until it is taken if others follow."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        if not message.get("more_body", False):
            self._held = message
            return
        if self._is_gone:
            return
        self._taking = asyncio.get_running_loop().create_future()
        self._send_part(message.get("body", b""), more=True, is_over=False)
        await self._taking

    def end(self) -> None:
        """Say that the request is done."""
        if self._held is not None:
            self._flush(is_over=True)
        else:
            self._channel.send(Over(self._id, is_broken=not self._is_whole))

    def _flush(self, *, is_over: bool) -> None:
        if self._held is not None:
            body = self._held.get("body", b"")
            self._held = None
            self._is_whole = True
            self._send_part(body, more=False, is_over=is_over)

    def _send_part(self, body: bytes, *, more: bool, is_over: bool) -> None:
        start, self._start = self._start, None
        if start is None:
            self._channel.send(Part(self._id, body, more, is_over))
            return
        self._channel.send(
            Answer(
                self._id,
                start["status"],
                [*start["headers"]],
                body,
                more,
                is_over,
                self._is_known(self._client),
            )
        )


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
