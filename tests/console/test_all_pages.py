"""
Every page in a real browser: with hostile data and with none, with script and without.

Pages are found as people find them, by links. A page that nothing leads to is a fault
as well, unless `ELSEWHERE` says where it is shown.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from console import hostile
from console.visitor import Visitor
from console.windows import Watched, watching
from millpond.console.app import routes
from millpond.console.base import ROOT, Page
from millpond.testing.server import RunningServer

PAGES = {row.path: row for row in routes() if row.kind == "page"}
EACH_MAX = 2  # of one kind of page
# Rows to which a link leads only from a state that their own stories make.
_PARKED = "test_streams: of entries that a sink refused"
ELSEWHERE = {
    "/pools/{pool}/outbox/discard": _PARKED,
    "/pools/{pool}/outbox/download": _PARKED,
    "/pools/{pool}/outbox/parked/{entry}": _PARKED,
    "/pools/{pool}/outbox/parked/{entry}/download": _PARKED,
    "/identities/{identity}/devices/{device}/remove": "test_devices: of one there is",
    "/identities/delete": "test_identities: of those that were ticked",
}


@pytest.fixture(scope="module")
def hostile_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose texts are all attempts at something."""
    with RunningServer(tmp_path_factory.mktemp("hostile") / "data") as running:
        hostile.fill(running)
        yield running


def row_of(path: str) -> Page | None:
    """Say which page answers a path."""
    for row in PAGES.values():
        pattern = re.sub(r"\{\w+\}", "[^/]+", re.escape(row.path).replace("\\", ""))
        if re.fullmatch((ROOT + pattern).rstrip("/"), path):
            return row
    return None


def links(watched: Watched) -> list[str]:
    """List where a page leads, within the console."""
    found: list[str] = watched.page.eval_on_selector_all(
        "a[href]", "all => all.map(each => each.href)"
    )
    paths = []
    for url in found:
        parts = urlsplit(url)
        assert parts.scheme in ("http", "https"), url
        if url.startswith(watched.endpoint + ROOT) and ".json" not in parts.path[-5:]:
            paths.append(parts.path + (f"?{parts.query}" if parts.query else ""))
    return [each for each in paths if "format=json" not in each]


def walk(watched: Watched, opened: Counter[str]) -> Iterator[str]:
    """Open page after page, some of each kind; downloads are counted alone."""
    waiting, seen = [ROOT], {ROOT}
    while waiting:
        path = waiting.pop(0)
        row = row_of(urlsplit(path).path)
        if row is None or opened[row.path] >= EACH_MAX:
            continue
        answer = watched.page.context.request.head(watched.endpoint + path)
        if "attachment" in answer.headers.get("content-disposition", ""):
            opened[row.path] += 1
            continue
        opened[row.path] += 1
        watched.open(path)
        for each in links(watched):
            if each not in seen:
                seen.add(each)
                waiting.append(each)
        yield path


@pytest.mark.timeout(600)
@pytest.mark.parametrize("which", ["hostile", "empty"])
def test_every_page(
    which: str, browser: Browser, axe: None, request: pytest.FixtureRequest
) -> None:
    """It runs nothing, asks nothing of elsewhere, and keeps nobody out."""
    name = f"{which}_server" if which == "hostile" else "console_server"
    server: RunningServer = request.getfixturevalue(name)
    visitor = Visitor(server.endpoint)
    visitor.log_in(server)
    faults: list[str] = []
    opened = Counter[str]()
    with watching(browser, server) as watched:
        for path in walk(watched, opened):
            page = watched.page
            faults += [f"{path}: {each}" for each in watched.serious()]
            if page.evaluate("window.ran") is not None:
                faults.append(f"{path}: ran a script")
            if not page.title().endswith("Millpond") or page.locator("h1").count() != 1:
                faults.append(f"{path}: has no title, or not one heading")
            if watched.overflow():
                faults.append(f"{path}: is wider than a narrow screen")
            page.set_viewport_size({"width": 1280, "height": 800})
            query = urlsplit(path).query
            data = visitor.get(
                f"{urlsplit(path).path}?{query + '&' if query else ''}format=json"
            )
            if data.status != 200 or not isinstance(data.data, dict):
                faults.append(f"{path}: has no data")
        faults += watched.faults
    assert faults == []
    if which == "hostile":
        assert {*PAGES} - {*ELSEWHERE} - {*opened} == set()


@pytest.mark.timeout(600)
def test_every_page_without_script(
    hostile_server: RunningServer, browser: Browser
) -> None:
    """Without script the same pages are there, with what they are about."""
    with watching(browser, hostile_server, script=False) as watched:
        without = [
            path
            for path in walk(watched, Counter())
            if not watched.page.locator("main h1").inner_text().strip()
        ]
        assert watched.faults == []

    assert without == []


def test_by_keyboard(signed_in: Watched) -> None:
    """The first key leads past the navigation; all that can be done has its turn."""
    page = signed_in.open(ROOT)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page = signed_in.open(ROOT + "/pools")
    reached = set[str]()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.innerText.trim()"))
    assert {"Pools", "Settings", "Create a pool", "Log out"} <= reached
