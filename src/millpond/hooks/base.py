"""
The hook port: how the service calls what a developer has set for an event.

A hook may be called more than once for one update: when the dataset changed while it
was thinking, when a connection broke. It says what is to be written, and should do
nothing else.
"""

from __future__ import annotations

from typing import Protocol


class Hook(Protocol):
    """Something outside that is sent an event and answers."""

    async def call(self, target: str, event: bytes) -> bytes:
        """
        Call a hook, within `limits.SYNC_TRIGGER_S_MAX`.

        Args:
            target: which one: the ARN of a function, or a URL.
            event: JSON.
        Returns:
            The answer as it came, at most `limits.SYNC_TRIGGER_ANSWER_BYTES_MAX`.
        Raises:
            HookTimeoutError: it did not answer in time.
            HookThrottledError: it is over its rate.
            HookError: it cannot be reached, or answers something else than an answer.
        """
        ...

    async def check(self, target: str) -> None:
        """
        Tell of a hook that, as this server is set up, can never be called. Nothing is
        sent to it; a name that cannot be looked up now may be known later. Then all is
        loaded that calls it.

        Raises:
            HookError: why, with a hint.
        """
        ...

    async def aclose(self) -> None:
        """Close its connections. Idempotent."""
        ...
