"""What the tests of login providers share: one to ask, and a clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from login_providers.provider import Provider


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ms += round(seconds * 1000)


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until told otherwise."""
    return Clock()


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A login provider without TLS, which publishes the key `one`."""
    running = Provider()
    yield running
    running.close()
