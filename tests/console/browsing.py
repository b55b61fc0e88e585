"""People at a browser: Chromium, in which nothing that strangers wrote may run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from playwright.sync_api import Browser

from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer


@contextlib.contextmanager
def sitting_down(
    browser: Browser, server: RunningServer
) -> Iterator[Callable[..., Any]]:
    """
    Give what opens a page in a browser that is logged in.

    In the end, no script of anybody's has run and nothing was asked of elsewhere.
    """
    wrong: list[str] = []

    def open_page(*, script: bool, width: int = 1280) -> Any:
        context = browser.new_context(
            java_script_enabled=script, viewport={"width": width, "height": 900}
        )
        context.set_default_timeout(seconds(15) * 1000)
        page = context.new_page()
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on("request", lambda asked: note(asked.url))
        page.on("console", lambda said: listen(said.text))
        page.goto(f"{server.endpoint}/console/login")
        page.fill("[name=access_key_id]", server.access_key_id)
        page.fill("[name=secret_access_key]", server.secret_access_key)
        page.click("main button")
        return page

    def listen(said: str) -> None:
        if "the server responded with a status of 4" not in said:
            wrong.append(said)  # of a policy that was broken, say

    def note(url: str) -> None:
        if not url.startswith(server.endpoint):
            wrong.append(url)

    yield open_page
    assert wrong == []
