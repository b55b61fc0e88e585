"""
The example page of live updates, and what stands between it and the server.

The page is served as it is, with a few lines more that report the text it shows. It
reaches the server through a gate, which drops connections when it is told to.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from clients.browser import Page
from millpond.testing.server import wait_until

FOLDER: Final = Path(__file__).parents[2] / "examples/live"
TIMEOUT_S: Final = 60.0  # a browser has to start
_REPORTER: Final = b"""
<script>
  let last = Promise.resolve(); // one after another: the newest must arrive last
  const report = () => {
    last = last
      .then(() => fetch("/report", { method: "POST", body: document.body.innerText }))
      .catch(() => {});
  };
  new MutationObserver(report).observe(document.body, {
    subtree: true, childList: true, characterData: true,
  });
</script>
"""
_UNAVAILABLE: Final = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"


class ExamplePage(Page):
    """Serves the example; a browser that opens its origin is led to a pool."""

    def __init__(self, endpoint: str, pool: str) -> None:
        self.pool = pool
        self.text = ""
        """What the page shows."""
        self._start = f"/index.html?endpoint={quote(endpoint)}&pool={quote(pool)}"
        super().__init__()

    def wait_for(self, *texts: str) -> None:
        """Wait until the page shows all of this."""
        wait_until(
            lambda: all(each in self.text for each in texts), timeout_s=TIMEOUT_S
        )

    @property
    def changes(self) -> list[str]:
        """The changes that the page shows, in order."""
        return [line for line in self.text.splitlines() if " is at " in line]

    def _handler(self) -> type[SimpleHTTPRequestHandler]:
        page = self

        class Handler(SimpleHTTPRequestHandler):
            """Serves the files of the example and takes reports."""

            def __init__(self, *socket_and_server: Any) -> None:
                super().__init__(*socket_and_server, directory=str(FOLDER))

            def do_GET(self) -> None:
                if self.path == "/":
                    self.send_response(302)
                    self.send_header("location", page._start)
                    self.end_headers()
                elif self.path == page._start:
                    body = (FOLDER / "index.html").read_bytes() + _REPORTER
                    self.send_response(200)
                    self.send_header("content-type", "text/html")
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                else:
                    super().do_GET()

            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                page.text = self.rfile.read(length).decode()
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass  # it would be on standard error, among what the tests print

        return Handler


class Gate:
    """Passes connections on to a server, or turns them away."""

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self._to = (parts.hostname, parts.port)
        self._open = True
        self._sockets: set[socket.socket] = set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.turned_away = 0
        """How many came while it was shut."""

    def shut(self) -> None:
        """Drop every connection, and answer those that come with status 503."""
        self._open = False
        for each in list(self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def open(self) -> None:
        """Pass connections on again."""
        self._open = True

    def close(self) -> None:
        """Stop for good."""
        self.shut()
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                here, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(here,), daemon=True).start()

    def _serve(self, here: socket.socket) -> None:
        with here, contextlib.suppress(OSError):
            if not self._open:
                here.recv(65536)
                here.sendall(_UNAVAILABLE)
                self.turned_away += 1
                return
            with socket.create_connection(self._to) as there:
                self._sockets |= {here, there}
                back = threading.Thread(
                    target=_pass_on, args=(there, here), daemon=True
                )
                back.start()
                _pass_on(here, there)
                back.join()
                self._sockets -= {here, there}


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
