"""
The composition root of a reader: today's server, with a smaller context.

    store, read-only -> keys -> context -> gateway -> port
                                              relay -> writer

It runs no worker but those that keep it up to date, and writes nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import os
import signal
from collections.abc import Callable, Mapping, MutableSequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from millpond.errors import ServiceException
from millpond.server import connections, garbage
from millpond.server.app import make_context
from millpond.server.connections import Connections
from millpond.server.door import make_door
from millpond.server.listening import listen
from millpond.server.peers import TrustedProxies
from millpond.server.readers.figures import make_taker
from millpond.server.readers.messages import Hello, News
from millpond.server.readers.operations import answered
from millpond.server.readers.relay import RETRY_AFTER_S, Relay
from millpond.server.requests import Receive, Request, Scope
from millpond.server.sealers import make_sealer
from millpond.server.stores import open_to_read
from millpond.server.under_way import UnderWay
from millpond.service.developer_keys import KeyRing
from millpond.service.sync_sessions import SyncSessionCounter
from millpond.settings import Settings
from millpond.stores.base import Store
from millpond.workers import housekeeping

if TYPE_CHECKING:
    from millpond.tracing.sdk import Tracing

_log = structlog.get_logger()

TELL_S: Final = 1.0  # what a reader that is killed has counted in it is lost
HEALTH: Final = "/healthz"
READINESS: Final = "/readyz"
_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")


async def read(
    settings: Settings,
    name: str,
    *,
    readers: int,
    socket: Path,
    cells: Mapping[str, MutableSequence[float]],
    started: Callable[[], None],
    tracing: Tracing | None = None,
) -> None:
    """
    Run a reader until SIGTERM or SIGINT.

    Args:
        settings: with the address of the server.
        readers: how many there are, with whom it shares what the settings allow.
        socket: on which the writer listens.
        cells: the tables of limits of rates.
        started: called once, when requests are answered.
        tracing: makes spans of what is done; None: nobody asks for traces.
    Raises:
        StoreError: the store cannot be opened.
    """
    connections.allow_many()
    whole, settings = settings, _share(settings, readers)
    async with open_to_read(settings, tracing) as store:
        keys = KeyRing(store, make_sealer(settings))
        await keys.refresh()
        sessions = _RelayedSessions(store)
        # What its pools read through is passed on, so it opens no source.
        own = dataclasses.replace(settings, imports={})
        context = dataclasses.replace(
            make_context(own, store, tracing), sync_sessions=sessions
        )
        under_way, trusted = UnderWay(), TrustedProxies.of(settings)
        sockets = Connections(settings, under_way, context.metrics, trusted)
        servers = 1

        def hear(news: News) -> None:
            nonlocal servers
            servers = news.servers
            context.keys_changed.hear()

        relay = Relay(
            socket,
            Hello(name, os.getpid()),
            answered(whole),
            under_way=under_way,
            connections=sockets,
            take_figures=make_taker(context.metrics, sessions, keys),
            heard=hear,
        )
        sessions.relay = relay
        door = make_door(
            context,
            keys,
            under_way,
            trusted,
            sockets,
            count_servers=lambda: servers,
            cells=cells,
            beside=_make_beside(relay, trusted),
            beside_paths=(HEALTH, READINESS),
            elsewhere=relay,
            tracing=tracing,
        )
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        connecting = asyncio.create_task(relay.connect())
        workers = [
            asyncio.create_task(each)
            for each in (
                housekeeping.watch_keys(context, "key watch", keys.refresh),
                sockets.watch(),
                _tell(relay),
            )
        ]

        def begin() -> None:
            started()
            _log.info("reader.started", readers=readers)

        garbage.look_rarely()
        try:
            await listen(door.gateway, settings, stopping, begin, relay.end_streams)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.wait(workers)
            await relay.save()
            relay.tell()
            connecting.cancel()
            await asyncio.wait([connecting])
            await context.hooks.aclose()
            await context.payloads.aclose()


class _RelayedSessions(SyncSessionCounter):
    """Counts that the writer saves."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.relay: Relay | None = None

    async def save(self) -> None:
        if self.relay is not None:
            await self.relay.save()


def _share(settings: Settings, readers: int) -> Settings:
    """Give a reader its part of what there may be of connections and requests."""

    def part(number: int) -> int:
        return math.ceil(number / readers)

    return dataclasses.replace(
        settings,
        connections_max=part(connections.connections_max(settings)),
        connections_per_peer_max=part(settings.connections_per_peer_max),
        multiplexed_requests_max=part(settings.multiplexed_requests_max),
    )


async def _tell(relay: Relay) -> None:
    """Tell the writer what was counted, until cancelled."""
    while True:
        await asyncio.sleep(TELL_S)
        relay.tell()


def _make_beside(
    relay: Relay, trusted: TrustedProxies
) -> Callable[[Scope, Receive, Any], Any]:
    """Make what serves health, of a server whose writer may be away."""

    async def serve(scope: Scope, receive: Receive, send: Any) -> None:
        path = scope["path"]
        if path == HEALTH:  # of the process that is asked
            await _answer(send, 200, b"ok\n")
            return
        try:
            await relay.pass_on(Request(scope, receive, trusted), receive, send)
        except ServiceException:
            text = b"the process that writes does not answer\n"
            await _answer(send, 503, text if path == READINESS else b"")

    return serve


async def _answer(send: Any, status: int, body: bytes) -> None:
    headers = [_TEXT]
    if status == 503:
        headers.append((b"retry-after", str(RETRY_AFTER_S).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
