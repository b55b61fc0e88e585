"""Real browsers that look at the console, and what they must never do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, ViewportSize

from clients.node import PACKAGES
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer

TIMEOUT_S: Final = 20.0
NARROW: Final[ViewportSize] = {"width": 360, "height": 740}
SERIOUS: Final = ("serious", "critical")


class Watched:
    """A page in a browser, and all that it did: asked elsewhere, ran, complained."""

    def __init__(self, page: Page, endpoint: str) -> None:
        self.page = page
        self.endpoint = endpoint
        self.faults: list[str] = []
        page.set_default_timeout(seconds(TIMEOUT_S) * 1000)
        page.on("request", lambda asked: self._asked(asked.url))
        page.on("dialog", lambda dialog: self._dialog(dialog))
        page.on("pageerror", lambda error: self.faults.append(f"failed: {error}"))
        page.on("console", lambda message: self._said(message))

    def _asked(self, url: str) -> None:
        if urlsplit(url).netloc != urlsplit(self.endpoint).netloc:
            self.faults.append(f"asked {url}")

    def _dialog(self, dialog: Any) -> None:
        self.faults.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _said(self, message: Any) -> None:
        # A status that is no success is told as an error, too; those are tested.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(f"said {message.text}")

    def open(self, path: str) -> Page:
        """Open a page of the console."""
        self.page.goto(self.endpoint + path, wait_until="load")
        return self.page

    def log_in(self, server: RunningServer) -> None:
        """Log in with the server's first key, as people do."""
        page = self.open("/console/login")
        page.get_by_label("Access key id").fill(server.access_key_id)
        page.get_by_label("Secret access key").fill(server.secret_access_key)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/console")

    def serious(self) -> list[str]:
        """Say what axe-core finds that keeps people out."""
        # By way of the debugger, for the page's policy lets no such script in.
        self.page.evaluate((PACKAGES / "axe-core/axe.min.js").read_text("utf-8"))
        found = self.page.evaluate("axe.run({resultTypes: ['violations']})")
        return [
            f"{each['id']}: {each['nodes'][0]['html'][:200]}"
            for each in found["violations"]
            if each["impact"] in SERIOUS
        ]

    def overflow(self) -> int:
        """Say by how many pixels a page is wider than a narrow screen."""
        self.page.set_viewport_size(NARROW)
        wide: int = self.page.evaluate("document.documentElement.scrollWidth")
        return max(0, wide - NARROW["width"])


@contextmanager
def watching(
    browser: Browser, server: RunningServer, *, script: bool = True
) -> Iterator[Watched]:
    """Open a browser's window, logged in, with script or without."""
    context = browser.new_context(java_script_enabled=script)
    try:
        watched = Watched(context.new_page(), server.endpoint)
        watched.log_in(server)
        yield watched
    finally:
        context.close()
