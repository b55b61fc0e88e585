"""Browsers: which pages may call the server, and what they get to see."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from acceptance.kinds import embedded_does
from acceptance.raw_http import Answer, RawClient, Request
from millpond.testing.server import RunningServer

pytestmark = embedded_does("headers, which no store sees")

APP = "https://app.example"
LOCAL = "http://localhost:8080"
STRANGER = "https://evil.example"
ASKED = {
    "authorization",
    "content-type",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-target",
    "x-amz-user-agent",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
}
"""What the JavaScript SDKs ask to send (aws-sdk-js-v3#3113)."""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawClient]:
    """A server that lets two origins in."""
    origins = json.dumps([APP, "http://localhost:*"])
    with RunningServer(
        tmp_path_factory.mktemp("cors") / "data", settings={"cors_origins": origins}
    ) as running:
        yield RawClient(running)


def preflight(raw: RawClient, origin: str, target: bytes = b"/") -> Answer:
    headers = (
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", ",".join(sorted(ASKED))),
    )
    return raw.send(Request(method="OPTIONS", target=target, headers=headers))


def words(answer: Answer, header: str) -> set[str]:
    return {each.strip().lower() for each in answer.headers[header].split(",")}


@pytest.mark.parametrize("origin", [APP, LOCAL, "http://localhost"])
@pytest.mark.parametrize("target", [b"/", b"/identitypools/us-east-1%3Aa/identities"])
def test_a_preflight_of_a_known_origin(raw, origin, target):
    """A page that is let in may send what the SDKs send, to every API."""
    answer = preflight(raw, origin, target)

    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == origin
    assert words(answer, "access-control-allow-methods") >= {"get", "post", "delete"}
    assert words(answer, "access-control-allow-headers") >= ASKED
    assert int(answer.headers["access-control-max-age"]) > 0


def test_an_answer_is_shown_to_a_known_origin(raw):
    """Errors are typed in a browser too: what says so is exposed."""
    request = Request(headers=(("origin", APP),), target=b"/identitypools")

    answer = raw.send(request)

    assert answer.status == 403
    assert answer.headers["access-control-allow-origin"] == APP
    exposed = words(answer, "access-control-expose-headers")
    assert exposed >= {
        "x-amzn-requestid",
        "x-amzn-errortype",
        "x-amzn-errormessage",
        "date",
    }
    assert "origin" in words(answer, "vary")


@pytest.mark.parametrize(
    "origin",
    [
        STRANGER,
        "null",
        "https://app.example.evil.example",
        "https://app.example:8443",
        "http://app.example",
        "http://localhost.evil.example",
        "http://localhost:80/x",
        "\u00e9",
        "",
    ],
)
def test_other_origins_get_nothing(raw, origin):
    """A page of another origin is told nothing, whatever its origin looks like."""
    asked = preflight(raw, origin)
    answered = raw.send(
        Request(headers=(("origin", origin),), target=b"/identitypools")
    )

    for answer in (asked, answered):
        assert "access-control-allow-origin" not in answer.headers
        assert "origin" in words(answer, "vary")


def test_by_default_nobody_is_let_in(server):
    """A server lets no page in unless its operator says so."""
    answer = preflight(RawClient(server), LOCAL)

    assert "access-control-allow-origin" not in answer.headers


def test_an_options_request_that_is_no_preflight(raw):
    """OPTIONS as such is no operation."""
    answer = raw.send(Request(method="OPTIONS", target=b"/identitypools"))

    assert (answer.status, answer.error) == (404, "UnknownOperationException")
