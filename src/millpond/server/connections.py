"""
The connections under the HTTP server: how many there may be, and how to end one.

The HTTP server closes a connection when its last answer has been taken. One whose other
end takes nothing would stay, with all that waits in its buffers. And so would one that
never says anything: the HTTP server waits without end for the first bytes, which tell
HTTP/1.1 from HTTP/2, and for those of TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import stat
import struct
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import structlog

from millpond.settings import Settings

LOOK_EVERY_S: Final = 15.0  # or more often, when connections may be idle for less

_OPEN_FILES: Final = Path("/dev/fd")
_RESET: Final = struct.pack("ii", 1, 0)  # linger for no time: drop what waits
# Of Linux' struct tcp_info: how many ms ago data was last sent, and last received.
_TCP_INFO_BYTES: Final = 60
_LAST_SENT: Final = struct.Struct("=44xI")
_LAST_RECEIVED: Final = struct.Struct("=52xI")

_log = structlog.get_logger()


def allow_many() -> None:
    """Let the process have as many open files as it may: a connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # macOS takes no infinity
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def watch(settings: Settings) -> None:
    """End idle connections for ever; does nothing where a system does not tell."""
    # A listener hears nothing for as long as the server has nothing to tell.
    idle_s = max(settings.connection_idle_s, 2 * settings.live_comment_s)
    while hasattr(socket, "TCP_INFO"):
        await asyncio.sleep(min(LOOK_EVERY_S, idle_s / 2))
        # In a thread, for thousands of connections take a while to look at.
        ended = await asyncio.to_thread(end_idle, settings.port, idle_s=idle_s)
        if ended:
            _log.info("connections.idle_ended", connections=ended)


def end_idle(port: int, *, idle_s: float) -> int:
    """
    End connections to a port of ours on which nobody has sent anything for a while.

    Returns:
        How many there were.
    """
    ended = 0
    for connection in _sockets():
        with connection, contextlib.suppress(OSError):
            if connection.getsockname()[1] != port:
                continue
            connection.getpeername()  # fails for the socket that listens
            if _idle_ms(connection) >= idle_s * 1000:
                _end(connection)
                ended += 1
    return ended


def _idle_ms(connection: socket.socket) -> int:
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    (sent_ms,) = _LAST_SENT.unpack_from(info)
    (received_ms,) = _LAST_RECEIVED.unpack_from(info)
    return int(min(sent_ms, received_ms))


def abort(clients: Collection[tuple[str, int]]) -> int:
    """
    End connections with clients at once, and drop what waits to be sent.

    Args:
        clients: addresses and ports of the other ends.
    Returns:
        How many there were.
    """
    ended = 0
    for connection in _sockets():
        with connection, contextlib.suppress(OSError):
            if connection.getpeername()[:2] in clients:
                _end(connection)
                ended += 1
    return ended


def _end(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    connection.shutdown(socket.SHUT_RDWR)


def _sockets() -> Iterator[socket.socket]:
    """Open the TCP sockets of this process once more."""
    for name in os.listdir(_OPEN_FILES):
        with contextlib.suppress(OSError):
            # Only sockets are opened: to close a second descriptor of a database file
            # would drop the locks that this process has on it.
            if not _is_socket(int(name)):
                continue
            descriptor = os.dup(int(name))
            try:
                copy = socket.socket(fileno=descriptor)
            except OSError:
                if _is_socket(descriptor):
                    os.close(descriptor)
                continue
            if copy.family in (socket.AF_INET, socket.AF_INET6):
                yield copy
            else:
                copy.close()


def _is_socket(descriptor: int) -> bool:
    return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
