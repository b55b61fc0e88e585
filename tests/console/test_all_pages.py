"""
Every page in a real browser: with hostile data and with none, with script and without.

Pages are found as people find them, by links and by the buttons of forms that change
nothing. A page that nothing leads to is a fault as well.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from console import hostile
from console.checking import faults_of
from console.mill import Mill
from console.windows import Watched, watching
from millpond.console.app import routes
from millpond.console.base import ROOT, Page
from millpond.testing.server import RunningServer

PAGES = {row.path: row for row in routes() if row.kind == "page"}
EACH_MAX = 2  # of one kind of page
# Where the buttons of forms lead that change nothing, with every box ticked.
_FORMS = """all => all.filter(each => each.form && 'get' ===
  (each.getAttribute('formmethod') || each.form.getAttribute('method'))
).map(each => {
  const data = new FormData(each.form);
  for (const box of each.form.querySelectorAll('[type=checkbox]'))
    data.append(box.name, box.value);
  const action = each.getAttribute('formaction') || each.form.getAttribute('action');
  const url = new URL(action || location.pathname, location);
  url.search = new URLSearchParams(data);
  return url.href;
})"""


@pytest.fixture(scope="module")
def hostile_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose texts are all attempts at something."""
    with Mill(tmp_path_factory.mktemp("hostile") / "data") as running:
        hostile.fill(running)
        yield running.server


def row_of(path: str) -> Page | None:
    """Say which page answers a path."""
    for row in PAGES.values():
        pattern = re.sub(r"\{\w+\}", "[^/]+", re.escape(row.path).replace("\\", ""))
        if re.fullmatch((ROOT + pattern).rstrip("/"), path):
            return row
    return None


def links(watched: Watched) -> list[str]:
    """List where a page leads, within the console: its links, then its forms."""
    found: list[str] = watched.page.eval_on_selector_all(
        "a[href]", "all => all.map(each => each.href)"
    )
    found += watched.page.eval_on_selector_all("button", _FORMS)
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
    faults: list[str] = []
    opened = Counter[str]()
    with watching(browser, server) as watched:
        for path in walk(watched, opened):
            faults += faults_of(watched, path)
        faults += watched.faults
    assert faults == []
    if which == "hostile":
        assert {*PAGES} - {*opened} == set()


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
