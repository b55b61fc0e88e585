"""
The connections under the HTTP server: how many there may be, and how to end one.

The HTTP server closes a connection when its last answer has been taken. One whose other
end takes nothing would stay, with all that waits in its buffers.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import stat
import struct
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

_OPEN_FILES: Final = Path("/dev/fd")
_RESET: Final = struct.pack("ii", 1, 0)  # linger for no time: drop what waits


def allow_many() -> None:
    """Let the process have as many open files as it may: a connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # macOS takes no infinity
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


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
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                connection.shutdown(socket.SHUT_RDWR)
                ended += 1
    return ended


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
