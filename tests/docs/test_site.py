"""The documents are one site: whole, linked, and without anything from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from clients.browser import driven
from docs.site import (
    ROOT,
    Site,
    anchors_of,
    documents,
    is_elsewhere,
    links_of,
)

# Beside the environment of the tests, as the Makefile has it.
SPHINX = Path(f"{sys.prefix}-site") / "bin" / "python"
NOBODY = "http://127.0.0.1:9"
START_BYTES_MAX = 700_000  # what the first page loads, pictures and all
PAGE_BYTES_MAX = 600_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Build it as `make site` does, where no network answers."""
    if not SPHINX.exists():
        pytest.skip("what makes the site is not installed: run `make site`")
    folder = tmp_path_factory.mktemp("site")
    command = ["-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-c", "docs"]
    build = subprocess.run(
        [SPHINX, *command, "-d", folder / "doctrees", ROOT, folder / "html"],
        cwd=ROOT,
        env={**os.environ, "http_proxy": NOBODY, "https_proxy": NOBODY},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (build.returncode, build.stderr) == (0, "")
    return Site(folder / "html")


def test_links_lead_somewhere_on_a_code_host() -> None:
    """Each relative link of a document names what exists, down to the heading."""
    texts = {each: each.read_text("utf-8") for each in documents()}
    anchors = {path: anchors_of(text) for path, text in texts.items()}
    broken = []
    for path, text in texts.items():
        for link in links_of(text):
            if is_elsewhere(link):
                continue
            name, _, anchor = link.partition("#")
            target = (path.parent / name).resolve() if name else path
            here = target.is_relative_to(ROOT) and not name.startswith("/")
            if not (here and target.exists()) or (
                anchor and anchor not in anchors.get(target, set())
            ):
                broken.append(f"{path.relative_to(ROOT)}: {link}")

    assert broken == []


def test_links_lead_somewhere_in_the_site(site: Site) -> None:
    """So does each in what was built of them."""
    assert len(site.pages) > len(list(ROOT.glob("docs/*.md")))
    assert site.broken() == []


def test_every_document_is_a_page_that_can_be_found(site: Site) -> None:
    """From the first page on, links lead to all of them."""
    reached = site.reached(site.folder / "index.html")
    built = {page for page in site.pages if page.name != "search.html"}

    assert {page.name for page in built - reached} == set()
    for each in documents():
        if each.is_relative_to(ROOT / "tests"):
            continue  # a note beside the code
        assert site.folder / each.relative_to(ROOT).with_suffix(".html") in reached


def test_nothing_comes_from_elsewhere(site: Site) -> None:
    """No script, style, picture or font is loaded from another host."""
    assert site.from_elsewhere() == []


def test_what_would_come_from_elsewhere_is_seen(tmp_path: Path) -> None:
    """Whichever way a page names it."""
    (tmp_path / "page.html").write_text(
        '<link rel=stylesheet href="https://a.example/a.css"><a href="https://b.example">'
        '<img src="//c.example/c.png" srcset="d.png 1x, https://d.example/d.png 2x">'
        "<style>@import 'https://e.example/e.css'; p {background: url(f.png)}</style>"
        '<p style="background: url(https://g.example/g.png)"><img src="data:,">'
    )
    (tmp_path / "app.js").write_text('import x from "https://h.example/h.js";')

    found = Site(tmp_path).from_elsewhere()

    hosts = sorted(urlsplit(each.partition(": ")[2]).netloc[0] for each in found)
    assert hosts == [*"acdegh"]


def test_no_page_is_heavy(site: Site) -> None:
    """A page is read on a telephone, too."""
    heavy = {
        page.name: page.stat().st_size
        for page in site.pages
        if page.stat().st_size > PAGE_BYTES_MAX
    }
    first = site.folder / "docs" / "index.html"
    loads = {site.target(first, each)[0] for each in site.pages[first].loads}

    assert heavy == {}
    assert sum(each.stat().st_size for each in [first, *loads]) < START_BYTES_MAX


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    with driven() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A page without a network; nothing is wrong with what it showed."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda told: faults.append(told.text))
    page.on(
        "request",
        lambda asked: (
            faults.append(asked.url)
            if not asked.url.startswith(("file:", "data:"))
            else None
        ),
    )
    page.goto((site.folder / "index.html").as_uri())
    page.wait_for_url("**/docs/index.html")
    yield page
    context.close()
    assert faults == []


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ("tombstone", "Concepts"),
        ("SyncSessionToken", "Amazon Cognito Sync, 2014-06-30"),
        ("stream_payload_store", "Settings"),
    ],
)
def test_the_search_works_without_a_server(page: Page, words: str, title: str) -> None:
    """Opened from the folder, it finds a word of the text, and leads to its page."""
    page.fill("input[name=q]", words)
    page.press("input[name=q]", "Enter")
    found = page.locator("ul.search a")
    found.filter(has_text=title).first.wait_for()
    pages = [str(each.get_attribute("href")) for each in found.all()]
    why = ["docs/decisions/" in each for each in pages]
    assert why == sorted(why), "what tells how comes before what tells why"
    found.filter(has_text=title).first.click()

    page.wait_for_selector(f"article:has-text('{words}')")
    assert page.title().startswith(title.split(",")[0])


@pytest.mark.parametrize("name", ["cognito-sync", "kinesis"])
def test_an_openapi_document_is_a_page(page: Page, site: Site, name: str) -> None:
    """Opened from the folder, it shows an operation, references and all."""
    folder = site.folder / "docs" / "reference" / "openapi"
    page.goto((folder / "README.html").as_uri())
    page.locator(f"article a[href='{name}.html']").click()
    page.locator(".opblock-summary").first.click()

    page.wait_for_selector(".opblock-body .response-col_description")
    assert page.locator(".errors-wrapper").count() == 0


def test_it_fits_a_telephone_and_the_night(browser: Browser, site: Site) -> None:
    """No page is wider than a narrow screen; who likes it dark gets it dark."""
    context = browser.new_context(
        offline=True, color_scheme="dark", viewport={"width": 360, "height": 640}
    )
    page = context.new_page()
    wide = []
    for path in {*site.pages} - {site.folder / "index.html"}:  # which leads on at once
        page.goto(path.as_uri())
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(str(path.relative_to(site.folder)))
    page.goto((site.folder / "docs" / "index.html").as_uri())
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    context.close()

    assert wide == []
    assert max(int(each) for each in colour.strip("rgba()").split(",")[:3]) < 64


def test_pictures_go_by_the_page(page: Page, site: Site) -> None:
    """Who switches the page to dark gets dark pictures; on a telephone they scroll."""
    page.set_viewport_size({"width": 360, "height": 640})
    page.goto((site.folder / "docs" / "concepts.html").as_uri())
    picture = page.locator("img[src$='sync.svg']")
    schemes = []
    for theme in ("light", "dark"):
        page.evaluate("theme => { document.body.dataset.theme = theme }", theme)
        schemes.append(picture.evaluate("each => getComputedStyle(each).colorScheme"))

    assert schemes == ["light", "dark"]
    assert picture.evaluate("each => each.getBoundingClientRect().width") > 500
    assert picture.evaluate("each => each.parentElement.clientWidth") < 360
