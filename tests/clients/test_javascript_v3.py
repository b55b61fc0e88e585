"""The third AWS SDK for JavaScript, where it is unlike the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clients.node import NodeProcess


@pytest.fixture
def open_page(packages: None) -> Iterator[Callable[[dict[str, str]], Any]]:
    """Open a page, at an endpoint, in the one browser of a guest."""
    process = NodeProcess("guest_pages.js")
    yield process.call
    process.close()


def test_a_guest_who_was_offline(open_page, server, pool):
    """With the cache of docs/identities.md a failure costs no guest their identity."""
    there = {"identityPoolId": pool, "region": server.region}
    offline = {**there, "endpoint": "http://127.0.0.1:9"}
    online = {**there, "endpoint": server.endpoint}
    first = open_page(online)

    assert open_page(offline).keys() == {"error"}
    assert open_page(online) == first
