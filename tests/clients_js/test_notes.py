"""The example of notes: two windows, live, and offline."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

import pytest
from playwright.sync_api import BrowserContext, Page, Response, expect

from clients_js.app import AtServer
from clients_js.runtimes import PAGE_TIMEOUT_S, Files
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer, wait_until

SENT = "All is sent"


class Window:
    """A window with the notes, as somebody who uses it sees it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []
        self.identity_id = ""
        """Whose the notes are, as soon as they were asked for."""
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", lambda asked: self._asked(asked.url))

    def _asked(self, url: str) -> None:
        if found := re.search("/identities/([^/]+)/", unquote(url)):
            self.identity_id = found[1]

    def add(self, text: str) -> None:
        """Write a new note."""
        self.page.get_by_role("button", name="New note").click()
        field = self.page.get_by_role("textbox", name="The note")
        expect(field).to_be_editable()
        expect(field).to_have_value("")
        field.press_sequentially(text)
        expect(field).to_have_value(text)
        self.shows(text)

    def edit(self, before: str, text: str) -> None:
        """Open a note, and write something else."""
        self.page.get_by_role("button", name=before).click()
        self.page.get_by_role("textbox", name="The note").fill(text)

    def shows(self, *titles: str) -> None:
        """Wait until these notes are listed, the newest first, and no other."""
        expect(self.page.locator("#list button")).to_have_text([*titles])

    def says(self, text: str) -> None:
        """Wait until the line at the foot says this."""
        expect(self.page.get_by_role("status")).to_have_text(re.compile(text))


@pytest.fixture
def new_window(
    server: RunningServer, pool: str, files: Files
) -> Callable[[BrowserContext], Window]:
    """Open the notes in a new window."""
    expect.set_options(timeout=seconds(PAGE_TIMEOUT_S) * 1000)
    address = f"{files.origin}/examples/notes/index.html"

    def open_window(device: BrowserContext) -> Window:
        window = Window(device.new_page())
        window.page.goto(f"{address}?endpoint={server.endpoint}&pool={pool}")
        return window

    return open_window


@pytest.fixture
def windows(
    new_window: Callable[[BrowserContext], Window], device: BrowserContext
) -> tuple[Window, Window]:
    """Two windows of one browser."""
    return new_window(device), new_window(device)


def test_two_windows(windows):
    """What is written in one is in the other, edited and removed there."""
    first, second = windows
    first.add("Feed the ducks")
    second.shows("Feed the ducks")
    second.edit("Feed the ducks", "Feed the swans")
    first.shows("Feed the swans")
    first.says(SENT)
    first.page.get_by_role("button", name="Remove").click()
    second.shows()
    second.says(SENT)
    assert first.faults == second.faults == []


def test_offline(windows, device, developer, pool):
    """Without a network it opens and takes notes; they are sent when it is back."""
    first, second = windows
    first.add("Feed the ducks")
    first.page.wait_for_selector("html[data-stays]")
    device.set_offline(True)
    second.page.reload()
    second.shows("Feed the ducks")
    second.edit("Feed the ducks", "Feed the swans")
    first.shows("Feed the swans")
    second.says("1 to be sent, when there is a network")

    device.set_offline(False)
    second.says(SENT)
    first.says(SENT)
    notes = AtServer(developer, pool, first.identity_id, "notes")
    ((_, value),) = notes.items.items()
    assert '"Feed the swans"' in value
    assert first.faults == second.faults == []


def test_live(windows, device, developer, pool):
    """What somebody else changes is shown without being asked for."""
    first, second = windows
    with device.expect_event("response", _is_update):  # of either window
        first.add("Feed the ducks")
    notes = AtServer(developer, pool, first.identity_id, "notes")
    # What was typed may have been sent in parts.
    wait_until(lambda: '"Feed the ducks"' in str(notes.items), timeout_s=PAGE_TIMEOUT_S)
    ((key, value),) = notes.items.items()
    notes.set(**{key: value.replace("ducks", "swans")})
    first.shows("Feed the swans")
    second.shows("Feed the swans")


def test_where_the_server_is(device, files, server, pool):
    """Without an address it asks for one."""
    window = Window(device.new_page())
    window.page.goto(f"{files.origin}/examples/notes/index.html")
    window.page.get_by_label("Server").fill(server.endpoint)
    window.page.get_by_label("Pool").fill(pool)
    window.page.get_by_role("button", name="Open").click()
    window.add("Feed the ducks")
    assert window.faults == []


def _is_update(answer: Response) -> bool:
    return answer.request.method == "POST" and answer.url.endswith("/datasets/notes")
