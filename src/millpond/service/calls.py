"""The calls of the APIs that a server for tests was sent, for whoever tests an app."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import msgspec

from millpond.service.callers import Caller

CALLS_MAX: Final = 4096
"""Kept at a time; then the oldest go."""
PARAMETERS_BYTES_MAX: Final = 65_536
"""Of a body whose parameters are kept."""


class Call(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """
    A call, as it was answered.

    Args:
        number: the first one is 1; it rises by one with each, until a reset.
        operation: its name; `Unknown` where the request named none.
        status: of the answer.
        error: the code of the error; empty: there was none.
        time_ms: by the clock of the server.
        identity_id: of the user whose credentials signed it; empty: a developer's, or
            nobody's.
        parameters: of the request, by their names in the API; None: they could not be
            read, or were very large.
    """

    number: int
    operation: str
    status: int
    time_ms: int
    error: str = ""
    access_key_id: str = ""
    identity_id: str = ""
    user_agent: str = ""
    parameters: Any = None


class Calls:
    """The last calls, in order."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=CALLS_MAX)
        self._number = 0

    def note(
        self,
        *,
        operation: str,
        status: int,
        error: str,
        time_ms: int,
        caller: Caller,
        user_agent: str,
        decoded: Any,
        body_bytes: int,
    ) -> None:
        """Keep a call that was answered."""
        self._number += 1
        session = caller.session
        kept = decoded is not None and body_bytes <= PARAMETERS_BYTES_MAX
        self._calls.append(
            Call(
                self._number,
                operation,
                status,
                time_ms,
                error,
                caller.access_key_id or "",
                session.identity_id if session is not None else "",
                user_agent,
                msgspec.to_builtins(decoded) if kept else None,
            )
        )

    def list_after(self, number: int) -> list[Call]:
        """List the calls after one, the oldest first."""
        return [each for each in self._calls if each.number > number]

    def clear(self) -> None:
        """Forget all, and count from the beginning."""
        self._calls.clear()
        self._number = 0
