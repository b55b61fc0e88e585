"""A line to a server that a test can cut, or freeze so that nobody says anything."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any
from urllib.parse import urlsplit


class Relay:
    """Passes on what comes, both ways, until the line is cut."""

    def __init__(self, url: str) -> None:
        """
        Args:
            url: of a database or another server, with host and port.
        """
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._parts = parts
        self._connections: list[socket.socket] = []
        self._flows = threading.Event()
        self._flows.set()
        self._closed = False
        self._listen(0)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._flows.set()
        self._hang_up()

    @property
    def url(self) -> str:
        """The URL of the database by way of here."""
        user, at, _ = self._parts.netloc.rpartition("@")
        netloc = f"{user}{at}127.0.0.1:{self.port}"
        return self._parts._replace(netloc=netloc).geturl()

    def cut(self, *, frozen: bool) -> None:
        """Refuse connections and hang up; or keep them, and let nothing through."""
        if frozen:
            self._flows.clear()
        else:
            self._hang_up()

    def hang_up(self) -> None:
        """Cut the connections that there are, and let new ones through."""
        self._hang_up()
        self._listen(self.port)

    def lead_to(self, url: str) -> None:
        """Have the connections from now on lead to another port of the same host."""
        self._target = (self._target[0], urlsplit(url).port or 5432)

    def mend(self) -> None:
        """Let everything through again."""
        if self._flows.is_set():
            self._listen(self.port)
        self._flows.set()

    def _listen(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(
            target=self._accept, args=(self._listener,), daemon=True
        ).start()

    def _hang_up(self) -> None:
        for each in (self._listener, *self._connections):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._connections.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                ours, _ = listener.accept()
                theirs = socket.create_connection(self._target)
            except OSError:
                return
            self._connections += [ours, theirs]
            for pair in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: Any, target: Any) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                self._flows.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
