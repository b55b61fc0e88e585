"""
The nodes of a database: what they tell each other, and how one is missed.

Messages go by NOTIFY, several in one, after the commit that they are about: a commit
that notifies would make all others wait for it. A message may therefore be lost, when a
node dies between the two, or when the connection that listens breaks. Then everybody
who may have missed something is told so, and looks at the store again.

A node has a lease as long as it lives. When one runs out, what the node was working on
is given back, so that others need not wait for the end of its leases.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import structlog

from millpond.errors import StoreError
from millpond.stores.postgres.database import Database, Session
from millpond.stores.postgres.leases import Leases
from millpond.stores.postgres.queries import Queries

_log = structlog.get_logger()

SQL: Final = Queries("nodes.sql")
CHANNEL: Final = "millpond"
PAYLOAD_BYTES_MAX: Final = 7900  # PostgreSQL takes less than 8000
WAITING_MAX: Final = 10_000  # messages
LISTEN_LOOK_S: Final = 5.0  # between two looks at whether the listener is connected
RETRY_S: Final = 0.5
_PREFIX: Final = "node:"  # of the leases
_BYE: Final = b"!bye"
_MISSED: Final = b"!missed"


async def tell_to_look_again(db: Session) -> None:
    """Let all nodes look again once this transaction commits; for what is rare."""
    await db.run(SQL.look_again)


class Nodes:
    """This node among the others."""

    def __init__(self, database: Database, leases: Leases, node: str) -> None:
        self._database = database
        self._leases = leases
        self._node = node
        self._hear: Callable[[bytes], None] | None = None
        self._missed: Callable[[], None] = lambda: None
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting: dict[bytes, None] = {}  # in order, each once
        self._woken = asyncio.Event()
        self._known: set[str] = set()

    async def join(
        self, hear: Callable[[bytes], None], missed: Callable[[], None]
    ) -> None:
        """Begin to listen, and to be missed."""
        self._hear, self._missed = hear, missed
        listening = asyncio.Event()
        self._tasks = [
            asyncio.create_task(self._listen(listening)),
            asyncio.create_task(self._send()),
        ]
        await self._leases.hold([_PREFIX + self._node])
        if self._database.pooled:
            await self._check_it_is_one_database()
        await listening.wait()
        await self.look()

    async def _check_it_is_one_database(self) -> None:
        """
        Refuse to listen in another database than the one that is written to.

        Raises:
            StoreError: what was written by one way is not there by the other.
        """
        connection = await self._database.connect("listen")
        try:
            same = await self._database.guard(
                "listen", connection.fetchval(SQL.has_node, self._node)
            )
        finally:
            connection.terminate()
        if not same:
            raise StoreError(
                "The URLs in 'store' and 'listen_store' lead to two databases.",
                op="listen",
            )

    async def leave(self) -> None:
        """Tell what is still to be told, and that this node goes."""
        if self._hear is None:
            return
        self._hear = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(StoreError):  # they will find out
            await self._notify([*self._waiting, _BYE])
        self._waiting.clear()

    @property
    def others(self) -> int:
        """How many other nodes there were at the last look."""
        return len(self._known)

    def tell(self, message: bytes) -> None:
        """Tell the other nodes something, soon."""
        if self._hear is None:
            return
        self._waiting[message] = None
        if len(self._waiting) > WAITING_MAX:
            self._waiting = {_MISSED: None}
        self._woken.set()

    async def look(self) -> None:
        """Renew the leases, see which nodes there are, clear up behind the dead."""
        found = await self._leases.renew()
        if self._hear is None:
            return
        if self._known - {*found.alive}:
            self._missed()  # what it did last may not have been told
        self._known = {*found.alive} - {self._node}
        for holder in found.dead:
            if holder != self._node:
                await self._clear_up(holder)

    async def _clear_up(self, holder: str) -> None:
        async def job(db: Session) -> bool:
            if not await db.run(SQL.drop_dead_node, holder):
                return False  # another node was faster, or it lives
            await db.run(SQL.release_slices_of_node, f"{holder}-%")
            return True

        if await self._database.write("clear_up", job):
            _log.warning("node.died", node=holder)

    async def _listen(self, listening: asyncio.Event) -> None:
        while True:
            try:
                await self._listen_once(listening)
            except StoreError as error:
                _log.warning("node.not_listening", error=str(error))
            await asyncio.sleep(RETRY_S)

    async def _listen_once(self, listening: asyncio.Event) -> None:
        """Listen until the connection is lost."""
        connection = await self._database.connect("listen")
        gone = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: gone.set())
            await self._database.guard(
                "listen", connection.add_listener(CHANNEL, self._on_notice)
            )
            if listening.is_set():
                self._missed()  # while nobody listened
            listening.set()
            while not gone.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LISTEN_LOOK_S):
                        await gone.wait()
                # A peer that is gone without a word would never be noticed.
                await self._database.guard(
                    "listen", connection.execute("SELECT 1", timeout=LISTEN_LOOK_S)
                )
        finally:
            connection.terminate()

    def _on_notice(self, connection: Any, pid: int, channel: str, text: str) -> None:
        node, *messages = text.encode().split(b"\n")
        if node == self._node.encode() or self._hear is None:
            return
        for message in messages:
            if message == _BYE:
                self._known.discard(node.decode())
            elif message == _MISSED:
                self._missed()
            else:
                self._hear(message)

    async def _send(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            taken, self._waiting = [*self._waiting], {}
            try:
                await self._notify(taken)
            except asyncio.CancelledError:
                # Perhaps not told yet; `leave` tells it, once more if need be.
                self._waiting = {**dict.fromkeys(taken), **self._waiting}
                raise
            except StoreError as error:
                _log.warning("node.not_told", error=str(error))
                self._waiting = {_MISSED: None, **self._waiting}
                self._woken.set()
                await asyncio.sleep(RETRY_S)

    async def _notify(self, messages: Sequence[bytes]) -> None:
        async with self._database.session("notify") as db:
            await db.run(SQL.notify, CHANNEL, [*self._payloads(messages)])

    def _payloads(self, messages: Sequence[bytes]) -> Iterator[str]:
        """Pack messages into as few payloads as they fit in."""
        payload = self._node.encode()
        for each in messages:
            message = each if len(each) < PAYLOAD_BYTES_MAX - 100 else _MISSED
            if len(payload) + 1 + len(message) > PAYLOAD_BYTES_MAX:
                yield payload.decode()
                payload = self._node.encode()
            payload += b"\n" + message
        yield payload.decode()
