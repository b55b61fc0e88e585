"""
Limits of rates: how many calls a peer, an identity or a developer may make.

Unsigned calls are counted by the peer that sends them, signed ones by whose credentials
they are signed with: by identity, so that a household or a carrier behind one address
is not held to what one device may do. Calls whose signature fails are not counted: a
stranger could keep out everybody else behind his address, and a look at a signature
costs less than most answers. Which class a call counts in is in the contract.

Several servers. Each has its part of a limit, by how many servers of the store live,
but never less than a device needs (`millpond.limits`): connections stay with one
server, so that all calls of a device may come to one. The processes of one server count
in the same tables (`server.readers.shared`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, MutableSequence
from typing import Final

import structlog

from millpond import limits
from millpond.contract.shapes import Callers, Operation, RateClass
from millpond.core.rates import Buckets
from millpond.errors import TooManyRequestsException
from millpond.metrics import Metrics
from millpond.service.context import Caller
from millpond.settings import Settings

_log = structlog.get_logger()

LOOK_S: Final = 5.0  # between two looks at how many servers there are
LOG_S: Final = 60.0  # between two lines about one limit; whoever is over it sends many
DEVELOPERS: Final = "developers"


class _Limit:
    """One limit, and the buckets of those who are held to it."""

    def __init__(
        self,
        name: str,
        setting: str,
        rate: int,
        least: int,
        cells: MutableSequence[float] | None,
    ) -> None:
        self.name = name
        self.setting = setting
        self.rate = rate  # of all servers together
        self.least = least  # of one
        self.buckets = Buckets(rate, cells=cells)
        self.logged_s = -math.inf

    def share(self, servers: int) -> None:
        """Give this server its part."""
        self.buckets.rate = max(self.least, self.rate / servers)


class RateLimits:
    """Holds callers to their limits."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        *,
        count_servers: Callable[[], int] = lambda: 1,
        cells: Mapping[str, MutableSequence[float]] | None = None,
    ) -> None:
        """
        Args:
            count_servers: tells how many live, this one among them; asked often.
            cells: where to count, by `LIMITS`, with other processes of this server.
        """
        self._metrics = metrics
        self._count_servers = count_servers
        self._look_s = -math.inf  # when to look at it again
        cells = cells or {}
        self._of_class = {
            each: _make(each.value, settings, cells) for each in RateClass
        }
        self._of_developers = _make(DEVELOPERS, settings, cells)

    def check_peer(self, operation: Operation, peer: str, now_s: float) -> None:
        """
        Count a call that is not signed.

        Args:
            now_s: of a clock that never goes back.
        Raises:
            TooManyRequestsException: its peer is over the limit.
        """
        limit = self._of_class[operation.rate_class]
        if limit is not None:
            self._take(limit, operation, peer, now_s)

    def check_caller(self, operation: Operation, caller: Caller, now_s: float) -> None:
        """
        Count a call that is signed.

        Raises:
            TooManyRequestsException: the identity, or the developer key, is over it.
        """
        session = caller.session
        if session is None:
            if self._of_developers is not None:
                key_id = caller.access_key_id
                self._take(self._of_developers, operation, key_id, now_s)
            return
        limit = self._of_class[operation.rate_class]
        if limit is not None:
            self._take(limit, operation, session.identity_id, now_s)

    def _take(
        self, limit: _Limit, operation: Operation, key: str, now_s: float
    ) -> None:
        if now_s >= self._look_s:
            self._look_s = now_s + LOOK_S
            self._share()
        wait_s = limit.buckets.take(key, now_s)
        if wait_s:
            raise self._refusal(limit, operation, wait_s, now_s)

    def _share(self) -> None:
        servers = max(1, self._count_servers())
        for limit in (*self._of_class.values(), self._of_developers):
            if limit is not None:
                limit.share(servers)

    def _refusal(
        self, limit: _Limit, operation: Operation, wait_s: float, now_s: float
    ) -> TooManyRequestsException:
        self._metrics.rate_refusals.labels(limit.name).inc()
        if now_s - limit.logged_s >= LOG_S:
            limit.logged_s = now_s
            _log.warning(
                "rate.exceeded",
                limit=limit.name,
                setting=limit.setting,
                operation=operation.name,
            )
        unsigned = operation.callers is Callers.ANYONE
        whose = "address" if unsigned else "set of credentials"
        retry_after_s = max(1, math.ceil(wait_s))
        return TooManyRequestsException(
            f"Rate exceeded: {operation.name} and the like may be called "
            f"{limit.buckets.rate:g} times a second from one {whose}. Try again in "
            f"{retry_after_s} s.",
            retry_after_s=retry_after_s,
        )


_TABLE: Final = {
    RateClass.NEW_IDENTITIES.value: (
        "rate_new_identities_max",
        limits.NEW_IDENTITIES_RATE_MIN,
    ),
    RateClass.CREDENTIALS.value: ("rate_credentials_max", limits.CREDENTIALS_RATE_MIN),
    RateClass.READS.value: ("rate_reads_max", limits.READS_RATE_MIN),
    RateClass.WRITES.value: ("rate_writes_max", limits.WRITES_RATE_MIN),
    DEVELOPERS: ("rate_developer_max", 1),
}
"""By limit: its setting, and the least that one of several servers gives."""


LIMITS: Final = tuple(_TABLE)


def _make(
    name: str, settings: Settings, cells: Mapping[str, MutableSequence[float]]
) -> _Limit | None:
    """Make a limit of the settings; None where there is to be none."""
    setting, least = _TABLE[name]
    rate: int = getattr(settings, setting)
    return _Limit(name, setting, rate, least, cells.get(name)) if rate else None
