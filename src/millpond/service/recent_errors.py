"""The last requests that were refused or failed, for whoever looks into the server."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

KEPT: Final = 50
_CHARS_MAX: Final = 300  # of a message


class RecentError(NamedTuple):
    """A request that was refused or failed."""

    time_ms: int
    request_id: str
    operation: str
    status: int
    code: str
    message: str


class RecentErrors:
    """
    The newest of them, in memory.

    What failed here is kept apart from what was refused: strangers can have as much
    refused as they like, and push out none of the others.
    """

    def __init__(self) -> None:
        self._failed: deque[RecentError] = deque(maxlen=KEPT)
        self._refused: deque[RecentError] = deque(maxlen=KEPT)

    def note(self, error: RecentError) -> None:
        """Keep one."""
        kept = self._failed if error.status >= 500 else self._refused
        kept.append(error._replace(message=error.message[:_CHARS_MAX]))

    def failed(self) -> list[RecentError]:
        """List what failed here, the newest first."""
        return [*reversed(self._failed)]

    def refused(self) -> list[RecentError]:
        """List what was refused, the newest first."""
        return [*reversed(self._refused)]
