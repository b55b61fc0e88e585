"""A server on the loopback that answers from a list."""

from __future__ import annotations

import json
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    """One request as the stub saw it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """What the stub answers."""

    body: Any = field(default_factory=dict)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False  # close the connection instead


class Stub:
    """
    A server on the loopback that answers from a list and keeps what it got.

    Args:
        date: what it tells as the time, in place of the right one.
        tls: wraps the sockets, when it is to speak TLS.
    """

    def __init__(
        self, *, date: str | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.received: list[Received] = []
        self.answers: list[Answer] = []
        self.date = date
        self._tls = tls
        self._port = 0
        self.open()

    @property
    def url(self) -> str:
        """Where it listens."""
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._port}"

    def open(self) -> None:
        """Listen; on the same port as before, after `close`."""
        address = ("127.0.0.1", self._port)
        self._server = ThreadingHTTPServer(address, _handler(self))
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(
                self._server.socket, server_side=True
            )
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def will_answer(self, body: Any = None, status: int = 200, **options: Any) -> None:
        """Queue an answer; the last one queued is given from then on."""
        self.answers.append(Answer({} if body is None else body, status, **options))

    def next_answer(self) -> Answer:
        """The answer whose turn it is."""
        if len(self.answers) > 1:
            return self.answers.pop(0)
        return self.answers[0] if self.answers else Answer()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            names = {name.lower(): value for name, value in self.headers.items()}
            stub.received.append(
                Received(self.command, self.path, names, self.rfile.read(length))
            )
            answer = stub.next_answer()
            self.close_connection = True
            if answer.drop:
                return
            body = answer.body
            if not isinstance(body, (bytes, str)):
                body = json.dumps(body)
            if isinstance(body, str):
                body = body.encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = do_CONNECT = _answer  # noqa: N815

        def date_time_string(self, timestamp: float | None = None) -> str:
            return stub.date or super().date_time_string(timestamp)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
