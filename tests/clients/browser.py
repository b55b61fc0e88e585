"""
Chromium without a window, and the pages in it.

A page is told what to do by the server it came from: it fetches a command, does it, and
posts what came of it. So nothing has to drive the browser. Where a test needs the
switches of a browser, Playwright drives it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, sync_playwright

from clients.node import PACKAGES, SCRIPTS
from millpond.testing.deadlines import seconds

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
OPTIONS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ANSWER_TIMEOUT_S: Final = 60.0  # the first answer comes when the browser has started
START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 10.0
_POLL_S: Final = 10.0

_FILES: Final = {
    "/": SCRIPTS / "device.html",
    "/device.js": SCRIPTS / "device.js",
    "/aws-sdk.js": PACKAGES / "aws-sdk/dist/aws-sdk.min.js",
    "/amazon-cognito.js": PACKAGES / "amazon-cognito-js/dist/amazon-cognito.min.js",
}


def find_chromium() -> str:
    """Find the browser, or skip the test."""
    chosen = os.environ.get("MILLPOND_TEST_CHROMIUM")
    for name in [chosen] if chosen else NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    pytest.skip(
        f"there is no {' or '.join([chosen] if chosen else NAMES)}: install Chromium, "
        "or set MILLPOND_TEST_CHROMIUM to its path"
    )


@contextlib.contextmanager
def driven() -> Iterator[Browser]:
    """
    Start the browser and drive it, or skip the test.

    One at a time in a process, so a fixture with it lasts no longer than its module.
    """
    path = find_chromium()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path,
            args=[*OPTIONS[1:]],
            timeout=seconds(START_TIMEOUT_S) * 1000,
        )
        yield chromium
        chromium.close()


class Page:
    """A page with an origin, and so with local storage, of its own."""

    def __init__(self) -> None:
        """Begin to serve the page; a browser may open it from now on."""
        self._commands: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.origin = f"http://127.0.0.1:{self._server.server_port}"

    def call(self, command: dict[str, Any]) -> Any:
        """Give a command and wait for its answer."""
        self._commands.put(command)
        return self._results.get(timeout=seconds(ANSWER_TIMEOUT_S))

    def close(self) -> None:
        """Stop serving."""
        self._commands.put(None)  # nobody waits for a command any more
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        page = self

        class Handler(BaseHTTPRequestHandler):
            """Serves the files of the page, its commands, and takes its results."""

            def do_GET(self) -> None:
                if self.path == "/command":
                    self.answer(json.dumps(page._next()).encode(), "application/json")
                elif self.path in _FILES:
                    kind = "text/html" if self.path == "/" else "text/javascript"
                    self.answer(_FILES[self.path].read_bytes(), kind)
                else:
                    self.send_error(404)

            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                page._results.put(json.loads(self.rfile.read(length)))
                self.answer(b"{}", "application/json")

            def answer(self, body: bytes, kind: str) -> None:
                with contextlib.suppress(ConnectionError):  # the browser was closed
                    self.send_response(200)
                    self.send_header("content-type", f"{kind}; charset=utf-8")
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass  # it would be on standard error, among what the tests print

        return Handler

    def _next(self) -> Any:
        try:
            return self._commands.get(timeout=_POLL_S)
        except queue.Empty:
            return None


class Chromium:
    """A browser with a fresh profile that shows some pages."""

    def __init__(self, path: str, pages: Sequence[Page], profile: Path) -> None:
        # It opens one page; that one shows the others in frames.
        first, *others = [f"{page.origin}/" for page in pages]
        url = f"{first}#{','.join(others)}"
        with profile.with_suffix(".log").open("wb") as log:
            self._process = subprocess.Popen(
                [path, *OPTIONS, f"--user-data-dir={profile}", url],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        try:
            self._process.wait(seconds(STOP_TIMEOUT_S))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
