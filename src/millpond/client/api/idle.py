"""
Connections that stay open between two requests, for who makes many.

A handshake with TLS takes longer than most calls, and so does reading the certificates
of a system. A connection that a server has closed meanwhile is noticed before it is
used, as a rule; whoever uses it must be ready for one that closes at that moment.
"""

from __future__ import annotations

import os
import select
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from http.client import HTTPConnection
    from typing import Final

    Place = tuple[str | int | None, ...]

_IDLE_S_MAX: Final = 30.0  # servers and what is before them give up later, as a rule
_CONTEXT_S_MAX: Final = 3600.0  # then certificates are read anew
_KEPT_MAX: Final = 8  # to one place


class Idle:
    """Open connections by where they lead, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._kept: dict[Place, list[tuple[float, HTTPConnection]]] = {}
        self._left_behind: list[object] = []
        self._context: tuple[float, ssl.SSLContext] | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<Idle {sum(map(len, self._kept.values()))}>"

    def __del__(self) -> None:
        self.close()

    def take(self, place: Place) -> HTTPConnection | None:
        """Give a connection that nobody uses, and that the server has not closed."""
        with self._lock:
            self._after_fork()
            kept = self._kept.get(place, [])
            while kept:
                since_s, connection = kept.pop()
                fresh = time.monotonic() - since_s < _IDLE_S_MAX
                if fresh and not _has_something_to_say(connection):
                    return connection
                connection.close()
        return None

    def give(self, place: Place, connection: HTTPConnection) -> None:
        """Keep a connection whose answer was read to its end."""
        with self._lock:
            kept = self._kept.setdefault(place, [])
            if not self._closed and connection.sock and len(kept) < _KEPT_MAX:
                kept.append((time.monotonic(), connection))
                return
        connection.close()

    def context(self, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        """Give what TLS needs, made anew once in a while."""
        now_s = time.monotonic()
        if self._context is None or now_s - self._context[0] > _CONTEXT_S_MAX:
            self._context = now_s, make()
        return self._context[1]

    def close(self) -> None:
        """Close them all."""
        with self._lock:
            self._after_fork()
            self._closed = True
            kept, self._kept = self._kept, {}
        for _, connection in (each for some in kept.values() for each in some):
            connection.close()

    def _after_fork(self) -> None:
        """Leave to the parent what is the parent's."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._left_behind.append(self._kept)
            self._kept = {}


def _has_something_to_say(connection: HTTPConnection) -> bool:
    """Tell whether there is something to read: the end, as nothing was asked."""
    if connection.sock is None:
        return True
    try:
        waiting = select.poll()
        waiting.register(connection.sock, select.POLLIN)
        return bool(waiting.poll(0))
    except AttributeError:  # no such thing on this system
        return bool(select.select([connection.sock], [], [], 0)[0])
