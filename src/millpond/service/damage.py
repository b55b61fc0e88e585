"""
What is stored and cannot be read: told apart from other failures, counted, remembered.

A request has been decoded before a service function sees it, and what hooks, streams
and login providers send is read where it arrives. So what cannot be decoded after that
comes out of the store.
"""

from __future__ import annotations

from typing import Final

import msgspec

from millpond.errors import DamagedStoreError
from millpond.metrics import Metrics

_UNDECODABLE: Final = (DamagedStoreError, msgspec.MsgspecError, UnicodeDecodeError)
VERIFY: Final = "`millpond store verify`"


def is_damage(error: BaseException) -> bool:
    """Say whether an error of a service function is about what is stored."""
    return isinstance(error, _UNDECODABLE)


class Damage:
    """What this server has met since it started."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.count = 0
        """Requests that could not be answered for it."""

    def note(self) -> None:
        """Count a request."""
        self.count += 1
        self._metrics.damaged_reads.inc()

    @property
    def sentence(self) -> str:
        """Say it to people; empty when there is nothing to say."""
        if not self.count:
            return ""
        requests = "1 request" if self.count == 1 else f"{self.count} requests"
        return (
            f"{requests} met rows that cannot be read since the server started; "
            f"{VERIFY} finds them."
        )
