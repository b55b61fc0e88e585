"""
What a reader counts, on its way to the writer, which alone is asked for it.

Told is what was added since the last time, so that nothing is counted twice by a writer
that was started again. What a reader that is killed has not told, at most a second's,
is lost; the same is true of a server that is killed.
"""

from __future__ import annotations

import resource
from collections.abc import Callable

from millpond.metrics import Metrics
from millpond.server.readers.messages import Figures
from millpond.service.developer_keys import KeyRing
from millpond.service.sync_sessions import SyncSessionCounter


def make_taker(
    metrics: Metrics, sessions: SyncSessionCounter, keys: KeyRing
) -> Callable[[int], Figures]:
    """Make what gives the figures of a reader that it has not told yet."""
    told: dict[tuple[str, tuple[str, ...]], float] = {}

    def take(number: int) -> Figures:
        requests, durations = metrics.requests.take()
        counters = []
        for name, labels, value in metrics.list_counts():
            more = value - told.get((name, labels), 0.0)
            if more:
                told[name, labels] = value
                counters.append((name, [*labels], more))
        used = resource.getrusage(resource.RUSAGE_SELF)
        gauges = metrics.list_shared_gauges()
        gauges["cpu"] = used.ru_utime + used.ru_stime
        return Figures(
            number,
            sessions.take(),
            keys.take_uses(),
            requests,
            durations,
            counters,
            gauges,
        )

    return take


def absorb(metrics: Metrics, figures: Figures, reader: str) -> None:
    """Add what a reader tells to the writer's own figures."""
    metrics.requests.add(figures.requests, figures.durations)
    for name, labels, more in figures.counters:
        metrics.add_count(name, labels, more)
    metrics.of_others[reader] = figures.gauges
