"""What the tests of hooks share: a server, and a loop for each call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hooks.hook_server import HookServer


@pytest.fixture
def hook_server() -> Iterator[HookServer]:
    """A hook that agrees with everything, until a test says otherwise."""
    with HookServer() as server:
        yield server
