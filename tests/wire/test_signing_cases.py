"""Requests and their signatures, as clients of all languages make them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from millpond.wire.sigv4 import signer

FILE = Path(__file__).parents[1] / "client_cases/signing/requests.json"
CASES: list[dict[str, Any]] = json.loads(FILE.read_text("utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[each["case"] for each in CASES])
def test_case(case):
    """The headers that are added are those of the case."""
    request = case["request"]
    added = signer.sign(
        signer.Outgoing(
            request["method"],
            request["path"].encode(),
            request["query"].encode(),
            [(name.encode(), value.encode()) for name, value in request["headers"]],
            request["body"].encode(),
        ),
        access_key_id=case["access_key_id"],
        secret=case["secret"],
        region=case["region"],
        service=case["service"],
        now_s=case["now_s"],
        session_token=case.get("session_token"),
    )

    assert [[name.decode(), value.decode()] for name, value in added] == case["added"]
