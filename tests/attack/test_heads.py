"""Heads: what is wrong with a signature is found out at little cost, however large."""

from __future__ import annotations

from dataclasses import replace

import pytest

from acceptance.raw_http import Request

PATH = b"/identitypools/us-east-1:a/identities/us-east-1:b/datasets"
FORM = (("content-type", "application/x-www-form-urlencoded"),)
MANY = b"a&" * 30_000


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (Request(target=PATH + b"?" + MANY), 400),
        (Request(target=PATH + b"?" + b"%41&" * 15_000), 400),
        (Request(target=b"/?Action=GetCallerIdentity&" + MANY), 400),
        (
            Request(
                method="POST",
                target=b"/?" + MANY,
                headers=FORM,
                body=b"Action=GetCallerIdentity&Version=2011-06-15",
            ),
            400,
        ),
        (Request(target=PATH, headers=(("x-" + "a;x-" * 2000 + "b", "v"),)), 400),
    ],
    ids=["parameters", "escapes", "an action", "beside a form", "signed headers"],
)
def test_wrong_signatures_that_are_long_to_check(attack, request_, status):
    """They are refused before they are spelt in every way that a client may have."""
    target = attack()
    scope = replace(target.raw.scope, secret="wrong")
    signed = target.raw.signed(request_, scope)
    # The name of the last one is one for the parser, and very many for whoever checks.
    headers = [(name, value) for name, value in signed.headers if ";" not in name]
    signed = signed.but(headers=tuple(headers))
    assert target.raw.send(signed).status == status
    before = target.cpu_s

    for _ in range(20):
        target.raw.send(signed)

    assert target.cpu_s - before < 0.4


def test_a_query_of_many_parameters(attack):
    """It is told how many it may have; so many are fine."""
    target = attack()
    answers = [
        target.raw.call(
            "GET", PATH + b"?" + b"&".join(b"a%d=" % n for n in range(size))
        )
        for size in (256, 257)
    ]

    assert [each.status for each in answers] == [404, 400]
    assert "The query has 257 parameters; the limit is 256." in answers[1].message
