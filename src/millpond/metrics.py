"""
Metrics, in Prometheus form.

The request path touches a plain dict; the names and labels of Prometheus are put on
when somebody asks, because its own counters cost more than our routing.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)


class RequestMetrics(Collector):
    """Requests by operation and status, and how long they took."""

    def __init__(self) -> None:
        self._requests: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._buckets: defaultdict[str, list[int]] = defaultdict(
            lambda: [0] * (len(_BUCKETS_S) + 1)
        )
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def observe(self, operation: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests[operation, status] += 1
        self._buckets[operation][bisect.bisect_left(_BUCKETS_S, seconds)] += 1
        self._seconds[operation] += seconds

    def collect(self) -> Iterator[Metric]:
        """List the figures for Prometheus."""
        requests = CounterMetricFamily(
            "millpond_requests",
            "Requests answered, by operation and HTTP status.",
            labels=("operation", "status"),
        )
        for (operation, status), count in self._requests.items():
            requests.add_metric((operation, str(status)), count)
        yield requests
        duration = HistogramMetricFamily(
            "millpond_request_duration_seconds",
            "Time from the request's head to its answer.",
            labels=("operation",),
        )
        for operation, counts in self._buckets.items():
            duration.add_metric(
                (operation,), _cumulative(counts), self._seconds[operation]
            )
        yield duration


def _cumulative(counts: list[int]) -> list[tuple[str, float]]:
    bounds = [str(float(bound)) for bound in _BUCKETS_S] + ["+Inf"]
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip(bounds, counts, strict=True):
        total += count
        buckets.append((bound, total))
    return buckets


class Metrics:
    """Everything that is measured."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = RequestMetrics()
        self.registry.register(self.requests)
        self.outbox_entries = Gauge(
            "millpond_outbox_entries",
            "Changes that wait for their stream.",
            registry=self.registry,
        )
        self.outbox_lag = Gauge(
            "millpond_outbox_lag_seconds",
            "Age of the oldest change that waits for its stream; 0 without one.",
            registry=self.registry,
        )
        self.outbox_parked_entries = Gauge(
            "millpond_outbox_parked_entries",
            "Changes that were put aside because their stream refuses them for good.",
            registry=self.registry,
        )
        self.outbox_parked = Counter(
            "millpond_outbox_parked",
            "Changes that were ever put aside.",
            registry=self.registry,
        )
        self.stream_records = Counter(
            "millpond_stream_records",
            "Records that streams have acknowledged.",
            ("source",),
            registry=self.registry,
        )
        self.sink_errors = Counter(
            "millpond_sink_errors",
            "Puts that a sink refused or could not take.",
            ("source",),
            registry=self.registry,
        )
        self.streams_disabled = Counter(
            "millpond_streams_disabled",
            "Pools whose streaming was switched off because the stream is gone.",
            registry=self.registry,
        )
        self.pushes_waiting = Gauge(
            "millpond_pushes_waiting",
            "Pushes that the push service has not taken yet.",
            registry=self.registry,
        )
        self.pushes = Counter(
            "millpond_pushes",
            "Pushes that were tried, by outcome: sent, failed (and tried again), "
            "disabled (with their device), dropped (no push application).",
            ("outcome",),
            registry=self.registry,
        )
        self.bulk_publishes = Counter(
            "millpond_bulk_publishes",
            "Bulk publishes that ended, by status.",
            ("status",),
            registry=self.registry,
        )
        self.live_listeners = Gauge(
            "millpond_live_listeners",
            "Listeners to live updates at the moment.",
            registry=self.registry,
        )
        self.live_cut_offs = Counter(
            "millpond_live_cut_offs",
            "Listeners that were cut off because they did not read.",
            registry=self.registry,
        )
