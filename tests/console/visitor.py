"""Somebody who visits the console without a browser: a cookie jar and forms."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urlsplit

from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer

TIMEOUT_S = 20.0
FormData = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        """The page."""
        return self.body.decode()

    @property
    def data(self) -> Any:
        """What the page shows, of its JSON."""
        return json.loads(self.body)

    @property
    def location(self) -> str:
        """Where to go on; empty: nowhere."""
        return self.headers.get("location", "")

    @property
    def cookies(self) -> SimpleCookie:
        """What was set."""
        return SimpleCookie("\r\n".join(self.headers.get_all("set-cookie", [])))


class Visitor:
    """A visitor, who keeps cookies and says where requests come from as browsers do."""

    def __init__(self, endpoint: str, *, ca_file: str | None = None) -> None:
        self.endpoint = endpoint
        self.cookies: dict[str, str] = {}
        self.ca_file = ca_file

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request and keep the cookies of its answer."""
        url = urlsplit(self.endpoint)
        assert url.hostname
        if url.scheme == "https":
            context = ssl.create_default_context(cafile=self.ca_file)
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                url.hostname, url.port, timeout=seconds(TIMEOUT_S), context=context
            )
        else:
            connection = http.client.HTTPConnection(
                url.hostname, url.port, timeout=seconds(TIMEOUT_S)
            )
        sent = {"accept": "text/html", **(headers or {})}
        if self.cookies and "cookie" not in sent:
            sent["cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            found = Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()
        for name, morsel in found.cookies.items():
            if morsel.value:
                self.cookies[name] = morsel.value
            else:
                self.cookies.pop(name, None)
        return found

    def get(self, path: str, **headers: str) -> Answer:
        """Open a page, as somebody does who types its address."""
        return self.ask(
            "GET", path, headers={"sec-fetch-site": "none", **_named(headers)}
        )

    def json(self, path: str) -> Any:
        """Get the data of a page."""
        answer = self.get(path + ".json")
        assert answer.status == 200, answer.text
        return answer.data

    def post(self, path: str, form: FormData, **headers: str) -> Answer:
        """Send a form, as a page of the console does."""
        sent = {
            "content-type": "application/x-www-form-urlencoded",
            "origin": self.endpoint,
            "sec-fetch-site": "same-origin",
            **_named(headers),
        }
        return self.ask("POST", path, body=urlencode(form).encode(), headers=sent)

    def log_in(self, server: RunningServer) -> Answer:
        """Log in with the server's first key."""
        answer = self.post(
            "/console/login",
            {
                "access_key_id": server.access_key_id,
                "secret_access_key": server.secret_access_key,
            },
        )
        assert answer.status == 303, answer.text
        return answer


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
