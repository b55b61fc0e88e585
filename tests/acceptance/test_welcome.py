"""What somebody sees who opens the address of a server in a browser."""

from __future__ import annotations

import http.client
import json
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest

from acceptance.kinds import embedded_does
from millpond.testing.deadlines import seconds

pytestmark = embedded_does("pages for people, which no store sees")

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


class Answer:
    """One answer, read to its end."""

    def __init__(self, server, method, path, headers) -> None:
        url = urlsplit(server.endpoint)
        connection = http.client.HTTPConnection(
            url.hostname, url.port, timeout=seconds(30)
        )
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        self.status = response.status
        self.headers = response.headers
        self.body = response.read().decode()
        connection.close()


@pytest.fixture
def ask(server):
    """Ask the server for a path, with some headers."""
    return lambda method="GET", path="/", **headers: Answer(
        server, method, path, {k.replace("_", "-"): v for k, v in headers.items()}
    )


class Page(HTMLParser):
    """The text and the links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]


def test_a_browser_gets_a_page(server, ask):
    """It says what this is, where it is, and where the documents are."""
    answer = ask(Accept=BROWSER)

    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "Millpond" in answer.body
    assert server.endpoint in answer.body
    assert any("/docs" in each for each in Page(answer.body).links)
    assert len(answer.body) < 4096


def test_its_links_lead_somewhere(server, ask):
    """What it names on this server is there; nothing is loaded from elsewhere."""
    answer = ask(Accept=BROWSER)
    page = Page(answer.body)

    here = [each for each in page.links if "://" not in each]
    assert here
    for each in here:
        assert (
            ask(path=urlsplit(urljoin(f"{server.endpoint}/", each)).path).status
            in (200, 303)  # of the console, to its login
        )
    assert not {"script", "img", "link", "iframe"} & set(page.tags)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["vary"] == "accept"


def test_a_browser_may_ask_for_the_head_alone(ask):
    """HEAD is answered as GET is, without the page."""
    answer = ask("HEAD", Accept=BROWSER)

    assert (answer.status, answer.body) == (200, "")


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/", {}),
        ("GET", "/", {"Accept": "*/*"}),
        ("GET", "/", {"Accept": "application/json"}),
        ("GET", "/", {"Accept": "text/html;q=0, application/json"}),
        ("GET", "/", {"Accept": "text/html;q=x"}),
        ("GET", "/", {"Accept": "application/json, text/html;q=0.9"}),
        ("GET", "/", {"Accept": "text/htmlx"}),
        ("GET", "/", {"Accept": BROWSER, "Authorization": "AWS4-HMAC-SHA256 x"}),
        ("POST", "/", {"Accept": BROWSER}),
        ("PUT", "/", {"Accept": BROWSER}),
        ("GET", "/nope", {"Accept": BROWSER}),
        ("GET", "//", {"Accept": BROWSER}),
        ("GET", "/index.html", {"Accept": BROWSER}),
    ],
)
def test_a_program_is_told_as_ever(ask, method, path, headers):
    """404 in the form of the APIs, for whoever does not ask as a browser does."""
    answer = ask(method, path, **headers)

    assert answer.status == 404
    assert "html" not in answer.headers["content-type"]
    assert answer.headers["x-amzn-requestid"]
    assert "UnknownOperation" in answer.headers.get("x-amzn-errortype", answer.body)
    json.loads(answer.body)


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/?Action=Nope&Version=2011-06-15", {}), ("/", {"X-Amz-Target": "Nope.Nope"})],
)
def test_who_names_an_operation_is_no_browser(ask, path, headers):
    """It is refused as an operation that there is not."""
    answer = ask(path=path, Accept=BROWSER, **headers)

    assert answer.status in (400, 404)
    assert "<!doctype html>" not in answer.body


def test_it_leads_to_the_console(ask):
    """Whoever runs the server finds the console from its address."""
    assert "console" in Page(ask(accept=BROWSER).body).links
    assert ask(path="/console", accept=BROWSER).status == 303
