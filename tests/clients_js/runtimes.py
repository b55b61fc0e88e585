"""
Where our clients for JavaScript run: Node.js and pages of a browser.

Both are told what to do in the same words: `evaluate(function, argument)` runs a
function in JavaScript, waits for what it promises, and gives that back as JSON.
"""

from __future__ import annotations

import contextlib
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from clients.node import NodeProcess
from millpond.testing.deadlines import seconds

ROOT: Final = Path(__file__).parents[2]
CLIENTS: Final = ROOT / "clients/js"
SYNC: Final = CLIENTS / "sync/src/index.js"
EVALUATE: Final = Path(__file__).parent / "scripts/evaluate.js"
PAGE_TIMEOUT_S: Final = 20.0

_SERVED: Final = ("/clients/js/", "/examples/", "/tests/clients_js/", "/favicon.ico")
_BLANK: Final = b"""<!doctype html><meta charset="utf-8"><title>Blank</title>
<script type="module">
  globalThis.millpond = await import("/clients/js/sync/src/index.js");
  document.title = "Ready";
</script>
"""


class InNode:
    """A process of Node.js that has a client loaded."""

    def __init__(self, module: Path = SYNC) -> None:
        self._process = NodeProcess(EVALUATE, {"MODULE": module.as_uri()})

    def evaluate(self, source: str, argument: Any = None) -> Any:
        """
        Run a function, given as source text.

        Raises:
            RuntimeError: it threw; the message says what, and where.
        """
        answer = self._process.call({"source": source, "argument": argument})
        if "failed" in answer:
            raise RuntimeError(answer["failed"])
        return answer["value"]

    def close(self) -> None:
        """End the process, as a crash would."""
        self._process.close()


class Files:
    """A web server with the clients, the examples and a blank page."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        self.blank = f"{self.origin}/blank"
        """A page that has `@millpond/sync` as `millpond`."""

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(SimpleHTTPRequestHandler):
    """Serves what `Files` says, and nothing else of the folder."""

    def __init__(self, *socket_and_server: Any) -> None:
        super().__init__(*socket_and_server, directory=str(ROOT))

    def do_GET(self) -> None:
        with contextlib.suppress(ConnectionError):  # the page was closed
            if self.path == "/blank":
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.send_header("content-length", str(len(_BLANK)))
                self.end_headers()
                self.wfile.write(_BLANK)
            elif self.path.startswith(_SERVED):
                super().do_GET()
            else:
                self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        pass  # it would be on standard error, among what the tests print


def new_tab(context: Any, url: str) -> Any:
    """Open a blank page of `Files` in a browser's context, and wait for the client."""
    tab = context.new_page()
    tab.set_default_timeout(seconds(PAGE_TIMEOUT_S) * 1000)
    tab.goto(url)
    tab.wait_for_function("document.title == 'Ready'")
    return tab
