"""An HTTP server in this process that answers everything the same."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextlib.contextmanager
def answering(status: int, body: str) -> Iterator[str]:
    """Answer every request with a status and a body; give the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        do_PUT = do_POST  # noqa: N815 (so the base class calls it)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, args=(0.02,))
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def sts_error(code: str) -> str:
    """Word a refusal of STS."""
    return (
        f"<ErrorResponse><Error><Code>{code}</Code><Message>No.</Message></Error>"
        "</ErrorResponse>"
    )
