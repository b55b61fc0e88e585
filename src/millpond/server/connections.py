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
import struct
from collections.abc import Iterator
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


def abort(host: str, port: int) -> bool:
    """
    End the connection with a client at once, and drop what waits to be sent.

    Args:
        host: the address of the client.
    Returns:
        Whether there was such a connection.
    """
    for connection in _sockets():
        with connection, contextlib.suppress(OSError):
            if connection.getpeername()[:2] == (host, port):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                connection.shutdown(socket.SHUT_RDWR)
                return True
    return False


def _sockets() -> Iterator[socket.socket]:
    """Open what this process has open once more, where it is a TCP socket."""
    for name in os.listdir(_OPEN_FILES):
        with contextlib.suppress(OSError):
            copy = socket.socket(fileno=os.dup(int(name)))
            if copy.family in (socket.AF_INET, socket.AF_INET6):
                yield copy
            else:
                copy.close()
