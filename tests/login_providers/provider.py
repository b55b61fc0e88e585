"""A login provider on the loopback: real sockets, and answers that a test chooses."""

from __future__ import annotations

import json
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from login_providers.signing import public_jwk
from millpond.testing.deadlines import seconds

DISCOVERY = "/.well-known/openid-configuration"
KEYS = "/keys"


@dataclass
class Answer:
    """What the provider answers at a path."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pieces: Callable[[], Iterable[bytes]] | None = None  # instead of a body
    until: threading.Event | None = None  # waits for it first


class Provider:
    """A provider with one key, `one`, until a test says otherwise."""

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        """
        Args:
            certificate: files of a certificate and its key; then it speaks TLS.
        """
        self.answers: dict[str, Answer] = {}
        self.requests: Counter[str] = Counter()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        if certificate is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(*certificate)
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.scheme = "http" if certificate is None else "https"
        self.name = f"localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.publish("one")
        self.describe()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{self.scheme}://{self.name}"

    def publish(self, *key_ids: str, more: Iterable[Any] = ()) -> None:
        """Publish keys, and other entries of the key set."""
        keys = [*map(json_key, key_ids), *more]
        self.answers[KEYS] = Answer(json.dumps({"keys": keys}).encode())

    def describe(self, **changes: Any) -> None:
        """Publish the configuration, changed here and there."""
        configuration = {
            "issuer": f"https://{self.name}",
            "jwks_uri": f"{self.url}{KEYS}",
            **changes,
        }
        self.answers[DISCOVERY] = Answer(json.dumps(configuration).encode())

    def close(self) -> None:
        """Stop listening, and let go of whoever waits."""
        for each in self.answers.values():
            if each.until is not None:
                each.until.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def json_key(key_id: str) -> dict[str, Any]:
    """Describe the key of an id as it is published."""
    return public_jwk("ES256", key_id)


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.requests[self.path] += 1
            answer = provider.answers.get(self.path, Answer(status=404))
            if answer.until is not None:
                answer.until.wait(seconds(30))
            try:
                self._send(answer)
            except OSError:  # whoever asked has gone
                self.close_connection = True

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.pieces is None:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            for piece in answer.pieces() if answer.pieces else [answer.body]:
                self.wfile.write(piece)

        def log_message(self, *words: Any) -> None:
            """Keep quiet."""

    return Handler
