"""Listening on the port: the HTTP server under the gateway, and its address."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import structlog
from granian import net
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.server.embed import Server

from millpond.errors import SettingsError
from millpond.server import connections
from millpond.server.gateway import Gateway
from millpond.server.service_manager import MANAGER
from millpond.settings import Settings

_log = structlog.get_logger()

BACKLOG: Final = 2048
_BOTH_LISTEN_S: Final = 0.5  # at a reload, so that nobody is refused in between
HTTP2: Final = HTTP2Settings(
    max_concurrent_streams=128,  # of one connection; further ones wait at the client
    max_headers_size=65_536,  # the longest token, path and query take half of it
    max_send_buffer_size=16_384,  # of one stream
    keep_alive_interval=20_000,  # ms; a dead connection is found and closed
    keep_alive_timeout=20,  # s
)
HTTP1: Final = HTTP1Settings(
    # Of a head, of what is read at once and of what waits to be written: a connection
    # costs no more than this, whatever it is sent.
    max_buffer_size=73_728,
)


async def listen(
    gateway: Gateway,
    settings: Settings,
    stopping: asyncio.Event,
    started: Callable[[], None],
    end_streams: Callable[[], None],
) -> None:
    """
    Serve until `stopping` is set, then let what is under way finish.

    Args:
        stopping: whoever sets it need not stop anything himself.
        started: called once, when requests are answered.
        end_streams: ends what would be under way for as long as it is let.
    """
    server = Server(
        gateway,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGINL,
        backlog=BACKLOG,
        backpressure=connections.connections_max(settings),
        http=HTTPModes.auto,  # 1.1 and 2, over TCP by its first bytes, over TLS by ALPN
        http1_settings=HTTP1,
        http2_settings=HTTP2,
        websockets=False,
        log_enabled=False,
        ssl_cert=Path(settings.tls_certificate) if settings.tls_certificate else None,
        ssl_key=Path(settings.tls_key) if settings.tls_key else None,
        ssl_protocol_min=SSLProtocols.tls12,  # old phones know nothing newer
    )
    # Connections of before a reload end by then; those who listen come back.
    server.workers_kill_timeout = settings.drain_s
    server.respawn_interval = _BOTH_LISTEN_S
    if settings.tls_certificate:
        MANAGER.add(functools.partial(_reload_tls, server, settings))
    if MANAGER.listener is not None:
        _listen_on(server, MANAGER.listener)
    serving = asyncio.create_task(server.serve())
    await _wait_until_listening(settings, serving)
    started()
    ended = asyncio.create_task(stopping.wait())
    await asyncio.wait({serving, ended}, return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    MANAGER.stopping()
    _log.info("server.stopping", drain_s=settings.drain_s)
    end_streams()
    server.stop()  # type: ignore[no-untyped-call]
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(serving, settings.drain_s)


def _listen_on(server: Any, listener: socket.socket) -> None:
    """Have a server take what comes to a socket, rather than open one of its own."""
    # A copy, because the server closes what it has.
    make: Any = getattr(net, "SocketHolder")  # noqa: B009 # its types know no arguments
    server._shd = make(os.dup(listener.fileno()), False, BACKLOG)
    server._init_shared_socket = lambda: None


def _reload_tls(server: Server, settings: Settings) -> None:
    """
    Take the certificate and the key that are in their files now, for new connections.

    Raises:
        SettingsError: they cannot be read, or do not belong together; nothing has
            changed.
    """
    try:
        server.build_ssl_context(
            Path(settings.tls_certificate),
            Path(settings.tls_key),
            None,
            SSLProtocols.tls12,
            None,
            [],
            False,
        )
    except OSError as error:
        raise SettingsError(f"The TLS files cannot be used: {error}") from error
    if MANAGER.listener is not None:
        _listen_on(server, MANAGER.listener)  # the old one goes with those it served
    server.reload()  # type: ignore[no-untyped-call]


async def _wait_until_listening(
    settings: Settings, serving: asyncio.Task[None]
) -> None:
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(
                reachable(settings.host), settings.port
            )
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
            continue
        writer.close()
        if not serving.done():
            return
    await serving  # raises what went wrong


@contextlib.contextmanager
def hold_port(settings: Settings) -> Iterator[int]:
    """
    Find the port to listen on, and have it until whoever listens is done; refuse one
    that is taken. The service manager may have it already.

    The HTTP server would share a taken port (SO_REUSEPORT), and requests would then
    reach one server or the other. A free one that nobody holds may be another program's
    by the time that the server listens. Two servers that are given one port at the very
    same time are not told from each other.

    Raises:
        SettingsError: it is taken, or there is no such address.
    """
    if MANAGER.listener is not None:
        yield int(MANAGER.listener.getsockname()[1])
        return
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingsError(
                f"Cannot listen on {settings.host} port {settings.port}: "
                f"{error.strerror}."
            ) from error
        # Not before it was found to be free. Who does not listen is sent nothing.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        yield int(held.getsockname()[1])


def with_address(settings: Settings, port: int) -> Settings:
    """Fill in the port that was found, and the public URL when none is set."""
    settings = dataclasses.replace(settings, port=port)
    public_url = settings.public_url or endpoint_of(settings)
    return dataclasses.replace(settings, public_url=public_url)


def endpoint_of(settings: Settings) -> str:
    """Give the URL at which a client on this machine reaches the server."""
    scheme = "https" if settings.tls_certificate else "http"
    host = reachable(settings.host)
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}:{settings.port}"


def reachable(host: str) -> str:
    """Name an address that a client on this machine can use."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
