"""Requests at random, the same ones each time: some hundred, more as time allows."""

from __future__ import annotations

import copy
import json
import random
import time
from dataclasses import replace as changed
from typing import Any

import pytest

from acceptance.raw_http import Request
from acceptance.violations import APIS, right_call

SEED = 20140630
REQUESTS_MIN = 200  # however slow the machine is
REQUESTS_MAX = 4000
TIME_MAX_S = 8.0

ODD_TEXTS = (
    "",
    " ",
    "\x7f",
    "é",
    "😀",
    "%00",
    "%",
    "%2F",
    "..",
    ".",
    "null",
    "0",
    "-1",
    "1e400",
    "us-east-1:0-0",
    "a" * 300,
    "'; DROP TABLE records; --",
    "\\u0000",
    "${x}",
)
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    2**63,
    10**30,
    [],
    {},
    [None],
    {"": None},
    *ODD_TEXTS,
)


def bent(chance, raw, dataset):
    """Make a right request and bend it in one to three places."""
    api = chance.choice(APIS)
    call = right_call(api, chance.choice(api.operations))
    if "IdentityPoolId" in call.labels and chance.random() < 0.7:
        call.labels["IdentityPoolId"] = dataset.pool
    for _ in range(chance.randint(1, 3)):
        place = chance.choice(["labels", "query", "headers", "body", "body", "body"])
        if place == "body":
            bend_body(chance, call.body)
        elif getattr(call, place):
            part = getattr(call, place)
            text = chance.choice(ODD_TEXTS)
            part[chance.choice(list(part))] = text
    body = json.dumps(call.body).encode() if call.body else b""
    headers = dict(call.headers)
    if api.protocol == "json":
        headers["x-amz-target"] = f"{api.target_prefix}.{call.operation.name}"
    if body and chance.random() < 0.2:
        body = bend_bytes(chance, body)
    if chance.random() < 0.1:
        headers[f"x-odd-{chance.randint(0, 9)}"] = chance.choice(ODD_TEXTS)
    method = call.operation.method
    if chance.random() < 0.05:
        method = chance.choice(["GET", "POST", "DELETE", "PUT"])
    target = call.target.encode()
    if chance.random() < 0.05:
        target += chance.choice(
            [b"?", b"/", b"//", b"?a&b=&=c", b"%", b"?nextToken=%00"]
        )
    request = Request(
        method=method, target=target, headers=tuple(headers.items()), body=body
    )
    return request, changed(raw.scope, service=api.name)


def bend_body(chance, body):
    """Change, drop or add something somewhere inside a body."""
    while True:
        inner = [
            value
            for value in (body.values() if isinstance(body, dict) else body)
            if isinstance(value, dict | list) and value
        ]
        if not inner or chance.random() < 0.4:
            break
        body = chance.choice(inner)
    value = copy.deepcopy(chance.choice(ODD_VALUES))
    if isinstance(body, list):
        body[chance.randrange(len(body))] = value
        return
    what = chance.random()
    if body and what < 0.2:
        del body[chance.choice(list(body))]
    elif body and what < 0.9:
        body[chance.choice(list(body))] = value
    else:
        body[chance.choice(ODD_TEXTS)] = value


def bend_bytes(chance, body):
    """Change some bytes."""
    changed_bytes = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        changed_bytes[chance.randrange(len(changed_bytes))] = chance.randrange(256)
    return bytes(changed_bytes)


@pytest.mark.usefixtures("unharmed_server")
def test_random_requests(raw, dataset):
    """No request, however it was bent, gets an answer of 500 or none at all."""
    chance = random.Random(SEED)
    dataset.put(a="1")
    deadline = time.monotonic() + TIME_MAX_S
    sent = 0
    while sent < REQUESTS_MIN or (time.monotonic() < deadline and sent < REQUESTS_MAX):
        request, scope = bent(chance, raw, dataset)
        answer = raw.send(raw.signed(request, scope))
        sent += 1
        assert answer.status < 500 or answer.status == 501, (request, answer)
