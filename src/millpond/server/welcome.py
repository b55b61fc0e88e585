"""
The page that somebody sees who opens the address of a server in a browser.

It is for people alone: a program, which asks for no HTML, is told as ever that `/`
names no operation. Nothing in it is secret, and nothing is loaded from elsewhere.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Final

DOCUMENTS_URL: Final = "https://github.com/millpond/millpond/blob/main/docs/index.md"
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "vary": "accept",
}
_HTML: Final = (b"text/html", b"application/xhtml+xml")
_JSON: Final = b"application/json"
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Millpond</title>
<style>
body {{ font: 1rem/1.5 sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem;
  color-scheme: light dark }}
pre {{ overflow-x: auto }}
</style>
</head>
<body>
<h1>Millpond</h1>
<p>This is a server of Millpond, which keeps the data of each user in step across
devices. It speaks the APIs of Amazon Cognito Sync and Amazon Cognito Identity, so there
is nothing to see here in a browser: apps, the AWS SDKs and the AWS CLI call it.</p>
<pre>export AWS_ENDPOINT_URL={url}
aws cognito-sync list-identity-pool-usage</pre>
<p>{console}from a terminal: <code>millpond help</code> lists the
commands, and <code>millpond doctor</code> says why a call fails.</p>
<ul>
<li><a href="{documents}">The documents</a></li>
<li><a href="healthz">/healthz</a>, <a href="readyz">/readyz</a>: whether it works</li>
<li><a href="metrics">/metrics</a>: what it does, for Prometheus</li>
</ul>
</body>
</html>
"""
_CONSOLE: Final = """Whoever runs it looks into it in
<a href="console">the console</a>, or """
_NO_CONSOLE: Final = "Whoever runs it looks into it "


def page(public_url: str, *, has_console: bool) -> str:
    """
    Write the page.

    Args:
        public_url: where clients reach the server.
    """
    return _PAGE.format(
        url=html.escape(public_url),
        documents=DOCUMENTS_URL,
        console=_CONSOLE if has_console else _NO_CONSOLE,
    )


def is_for_people(method: str, headers: Mapping[bytes, bytes]) -> bool:
    """Tell whether a browser asks, which says that it takes HTML, and not a program."""
    if method not in ("GET", "HEAD") or b"authorization" in headers:
        return False
    if b"x-amz-target" in headers:
        return False
    taken = [_read_range(each) for each in headers.get(b"accept", b"").split(b",")]
    html = max((quality for kind, quality in taken if kind in _HTML), default=0.0)
    json = max((quality for kind, quality in taken if kind == _JSON), default=0.0)
    return 0 < html >= json


def _read_range(media_range: bytes) -> tuple[bytes, float]:
    """Read what a client takes, and how gladly; 0 is not at all."""
    kind, *parameters = (each.strip().lower() for each in media_range.split(b";"))
    quality = next((p[2:] for p in parameters if p.startswith(b"q=")), b"1")
    try:
        number = float(quality)
    except ValueError:
        number = 0.0
    return kind, number if number > 0 else 0.0  # NaN is no number
