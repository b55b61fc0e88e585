"""A hook on the loopback: real sockets, and answers that a test chooses."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from millpond.testing.deadlines import seconds


class Received(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    port: int  # of the client: tells connections apart


@dataclass
class Answer:
    """What is answered."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pieces: Callable[[], Iterable[bytes]] | None = None  # instead of body and length
    raw: bytes | None = None  # instead of HTTP; then the connection is closed
    until: threading.Event | None = None  # waits for it first


def echo(request: Received) -> Answer:
    """Answer the body: a hook that agrees with everything."""
    return Answer(request.body)


class HookServer:
    """An HTTP server that answers what `answer` says."""

    def __init__(self, answer: Callable[[Received], Answer] = echo) -> None:
        self.answer = answer
        self.requests: list[Received] = []
        self._connections: set[socket.socket] = set()
        self._waiting: list[threading.Event] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def __enter__(self) -> HookServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop listening, let go of whoever waits, hang up."""
        self._server.shutdown()
        self._thread.join()
        for each in self._waiting:
            each.set()
        for connection in [*self._connections]:
            _hang_up(connection)
        self._server.server_close()


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # the other side was faster
        return


def _handler(server: HookServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            server._connections.add(self.connection)

        def finish(self) -> None:
            server._connections.discard(self.connection)
            super().finish()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            received = Received(
                self.command,
                self.path,
                {name.lower(): value for name, value in self.headers.items()},
                body,
                self.client_address[1],
            )
            server.requests.append(received)
            answer = server.answer(received)
            if answer.until is not None:
                server._waiting.append(answer.until)
                answer.until.wait(seconds(30))
            try:
                self._send(answer)
            except OSError:  # whoever asked has gone
                self.close_connection = True

        def _send(self, answer: Answer) -> None:
            if answer.raw is not None:
                self.wfile.write(answer.raw)
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.pieces is None:
                self.send_header("Content-Length", str(len(answer.body)))
            else:
                self.close_connection = True
            self.end_headers()
            for piece in answer.pieces() if answer.pieces else [answer.body]:
                self.wfile.write(piece)

        def log_message(self, *words: Any) -> None:
            """Keep quiet."""

    return Handler
