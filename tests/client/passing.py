"""
A proxy in front of a server: it passes calls on, until a test has it do otherwise.

It stands for what is between a device and its server: a connection that breaks before
or after the call was made, a login page, another proxy's error, an answer cut short. It
passes no streams on: of live updates it says that there are none.
"""

from __future__ import annotations

import http.client
import http.server
import threading
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

PAGE = b"<html><body>Please log in to the network.</body></html>"


class Reply(NamedTuple):
    """An answer to a device."""

    status: int
    headers: dict[str, str]
    body: bytes


class Asked(NamedTuple):
    """A call of a device."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def target(self) -> str:
        """The operation of a JSON API, empty for another one."""
        return self.headers.get("x-amz-target", "").rpartition(".")[2]


Forward = Callable[[Asked], Reply]
Trick = Callable[[Asked, Forward], Reply | None]
"""Of a call and what passes it on: the answer; `None` breaks the connection."""


class Proxy:
    """A proxy on a port of its own; `trick` is what it does with the next calls."""

    def __init__(self, endpoint: str) -> None:
        proxy = self
        self.trick: Trick | None = None
        self.asked: list[Asked] = []
        self._target = urlsplit(endpoint)

        class Handler(http.server.BaseHTTPRequestHandler):
            def _answer(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                headers = {n.lower(): each for n, each in self.headers.items()}
                body = self.rfile.read(length)
                asked = Asked(self.command, self.path, headers, body)
                proxy.asked.append(asked)
                trick = proxy.trick
                reply = trick(asked, proxy.forward) if trick else proxy.forward(asked)
                if reply is None:
                    self.close_connection = True
                    return
                self.send_response_only(reply.status)
                for name, value in reply.headers.items():
                    if name not in (
                        "content-length",
                        "transfer-encoding",
                        "connection",
                    ):
                        self.send_header(name, value)
                self.send_header("content-length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

            def log_message(self, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def forward(self, asked: Asked) -> Reply:
        """Pass a call on as it is; Host too, which is signed."""
        if asked.path.partition("?")[0].endswith("/live"):
            return Reply(404, {}, b"")
        connection = http.client.HTTPConnection(
            self._target.hostname or "", self._target.port
        )
        connection.request(asked.method, asked.path, asked.body, asked.headers)
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        reply = Reply(answer.status, headers, answer.read())
        connection.close()
        return reply

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


def page(status: int = 200, **headers: str) -> Trick:
    """Answer with a page, as login pages and other people's proxies do."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    reply = Reply(status, {"content-type": "text/html", **named}, PAGE)
    return lambda asked, forward: reply


def error(status: int, code: str, **headers: str) -> Trick:
    """Answer with an error of the API."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = b'{"__type": "%s", "message": "so it is"}' % code.encode()
    reply = Reply(status, {"x-amzn-errortype": code, **named}, body)
    return lambda asked, forward: reply


def lose_answer(asked: Asked, forward: Forward) -> None:
    """Have the call made, and break the connection before its answer."""
    forward(asked)


def refuse_all(asked: Asked, forward: Forward) -> None:
    """Break each connection before anything is done."""


class Once:
    """Do something with the first calls of a kind, and let all others pass."""

    def __init__(
        self,
        trick: Trick,
        when: Callable[[Asked], bool] = lambda _: True,
        times: int = 1,
    ) -> None:
        self._trick = trick
        self._when = when
        self.left = times

    def __call__(self, asked: Asked, forward: Forward) -> Reply | None:
        if self.left and self._when(asked):
            self.left -= 1
            return self._trick(asked, forward)
        return forward(asked)
