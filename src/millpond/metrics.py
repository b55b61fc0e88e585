"""
Metrics, in Prometheus form.

The request path touches a plain dict; the names and labels of Prometheus are put on
when somebody asks, because its own counters cost more than our routing.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar, Final, NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)


class Description(NamedTuple):
    """A metric, for people."""

    name: str  # as it is exposed
    kind: str  # counter, gauge or histogram
    help: str
    labels: tuple[str, ...]

    @property
    def unit(self) -> str:
        """What it is in, by the last word of its name."""
        return next(
            (unit for word, unit in _UNITS.items() if word in self.name.split("_")),
            "",
        )


_UNITS: Final = {
    "bytes": "bytes",
    "seconds": "seconds",
    "second": "a second",  # behind per
    "fds": "files",
}
# What the collector of the process exposes, where there is a /proc to read.
PROCESS: Final = (
    Description(
        "process_cpu_seconds_total", "counter", "CPU time, of user and system.", ()
    ),
    Description("process_max_fds", "gauge", "Files that may be open at a time.", ()),
    Description("process_open_fds", "gauge", "Files and sockets that are open.", ()),
    Description("process_resident_memory_bytes", "gauge", "Memory in use.", ()),
    Description(
        "process_start_time_seconds", "gauge", "When it started, epoch seconds.", ()
    ),
    Description("process_virtual_memory_bytes", "gauge", "Memory that is mapped.", ()),
)


class RequestMetrics(Collector):
    """Requests by operation and status, and how long they took."""

    DESCRIBED: ClassVar = (
        Description(
            "millpond_requests_total",
            "counter",
            "Requests answered, by operation (Unknown where there is none) and HTTP "
            "status.",
            ("operation", "status"),
        ),
        Description(
            "millpond_request_duration_seconds",
            "histogram",
            "Time from the request's head to its answer, by operation.",
            ("operation",),
        ),
    )

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

    def totals(self) -> tuple[int, int]:
        """Give how many were answered, and how many of them with an error."""
        requests = errors = 0
        for (_, status), count in [*self._requests.items()]:
            requests += count
            if status >= 400:
                errors += count
        return requests, errors

    def take(
        self,
    ) -> tuple[list[tuple[str, int, int]], list[tuple[str, list[int], float]]]:
        """Give the figures to another process of this server, and begin anew."""
        requests = [(*key, count) for key, count in self._requests.items()]
        durations = [
            (operation, counts, self._seconds[operation])
            for operation, counts in self._buckets.items()
        ]
        for each in (self._requests, self._buckets, self._seconds):
            each.clear()
        return requests, durations

    def add(
        self,
        requests: Iterable[tuple[str, int, int]],
        durations: Iterable[tuple[str, list[int], float]],
    ) -> None:
        """Add figures that `take` gave in another process."""
        for operation, status, count in requests:
            self._requests[operation, status] += count
        for operation, counts, seconds in durations:
            buckets = self._buckets[operation]
            for at, count in enumerate(counts):
                buckets[at] += count
            self._seconds[operation] += seconds

    def collect(self) -> Iterator[Metric]:
        """List the figures for Prometheus."""
        counted, timed = self.DESCRIBED
        requests = CounterMetricFamily(
            counted.name, counted.help, labels=counted.labels
        )
        for (operation, status), count in self._requests.items():
            requests.add_metric((operation, str(status)), count)
        yield requests
        duration = HistogramMetricFamily(timed.name, timed.help, labels=timed.labels)
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
        # Times at which a counter began would be series that nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.described: list[Description] = [*PROCESS, *RequestMetrics.DESCRIBED]
        """Everything that the registry ever exposes."""
        ProcessCollector(registry=self.registry)
        self._counters: dict[str, Counter] = {}
        self._shared_gauges: dict[str, Callable[[], float]] = {}
        self.of_others: dict[str, dict[str, float]] = {}
        """Gauges of other processes of this server, by process and name."""
        self.requests = RequestMetrics()
        self.registry.register(self.requests)
        gauge, counter = self._gauge, self._counter
        self.build_info = gauge(
            "build_info",
            "1; the labels say what runs: version of Millpond, version of Python, kind "
            "of store (sqlite or postgres).",
            ("version", "python", "store"),
        )
        self.readers = gauge(
            "readers", "Reader processes that work with the writer at the moment."
        )
        self.readers_cpu = gauge(
            "readers_cpu_seconds",
            "CPU time of the reader processes that there are; beside that of the "
            "writer, which process_cpu_seconds_total has.",
        )
        self.readers_cpu.set_function(lambda: self._sum_of_others("cpu"))
        self.init_scripts = gauge(
            "init_scripts",
            "Scripts of init_folder, by state: waiting, running, succeeded or failed. "
            "Those behind one that failed go on waiting.",
            ("state",),
        )
        self.store_up = gauge(
            "store_up",
            "1 when the store answers; 0 when not, and what is read from it is NaN.",
        )
        self.store_bytes = gauge(
            "store_bytes",
            "Size of the store on disk: the files of the embedded store, or the "
            "PostgreSQL database (of a Citus cluster, its coordinator).",
        )
        self.data_free_bytes = gauge(
            "data_free_bytes", "Room that is left on the disk of the data folder."
        )
        self.certificate_end = gauge(
            "tls_certificate_end_timestamp_seconds",
            "When the first certificate of the chain that is served ends, epoch "
            "seconds; 0 without TLS.",
        )
        self.identity_pools = gauge("identity_pools", "Identity pools.")
        self.identities = gauge(
            "identities",
            "Identities of all pools, without those that were merged into others. "
            "Counted by and by in the background; NaN before the first count is done.",
        )
        self.tombstones = gauge(
            "tombstones",
            "Removed records that are kept so that devices learn of it. Counted as "
            "millpond_identities is.",
        )
        self.tombstones_dropped = counter(
            "tombstones_expired_total",
            "Removed records that are kept no longer, by the reason: age, or number "
            "(there were too many in the dataset).",
            ("reason",),
        )
        self.outbox_entries = gauge(
            "outbox_entries", "Changes that wait for their stream."
        )
        self.outbox_lag = gauge(
            "outbox_lag_seconds",
            "Age of the oldest change that waits for its stream; 0 without one.",
        )
        self.outbox_parked_entries = gauge(
            "outbox_parked_entries",
            "Changes that were put aside because their stream refuses them for good.",
        )
        self.outbox_parked = counter(
            "outbox_parked_total", "Changes that were ever put aside."
        )
        self.stream_records = counter(
            "stream_records_total",
            "Records that streams have acknowledged, by source: outbox or "
            "bulk_publish.",
            ("source",),
        )
        self.sink_errors = counter(
            "sink_errors_total",
            "Puts that a sink refused or could not take, by source: outbox or "
            "bulk_publish.",
            ("source",),
        )
        self.streams_disabled = counter(
            "streams_disabled_total",
            "Pools whose streaming was switched off because the stream is gone.",
        )
        self.verified = gauge(
            "store_verified_timestamp_seconds",
            "When `millpond store verify` last ended, epoch seconds; 0: never.",
        )
        self.store_faults = gauge(
            "store_faults",
            "Faults that `millpond store verify` found when it last came to an end.",
        )
        self.expired_guests = counter(
            "expired_guests_total",
            "Guests that were deleted because nobody used them.",
        )
        self.damaged_reads = counter(
            "damaged_reads_total",
            "Requests that could not be answered because what is stored is damaged.",
        )
        self.rate_refusals = counter(
            "rate_refusals_total",
            "Requests refused because their sender is over a limit, by class: new "
            "identities, credentials, reads, writes or developers.",
            ("class",),
        )
        self.sync_triggers = counter(
            "sync_trigger_calls_total",
            "Calls of sync triggers, by outcome: answered, unreachable (no connection, "
            "or no answer that is one), timeout, throttled, refused (it answers with "
            "an error), invalid (its answer cannot be written).",
            ("outcome",),
        )
        self.pushes_waiting = gauge(
            "pushes_waiting", "Pushes that the push service has not taken yet."
        )
        self.pushes = counter(
            "pushes_total",
            "Pushes that were tried, by outcome: sent, failed (and tried again), "
            "disabled (with their device), dropped (no push application).",
            ("outcome",),
        )
        self.bulk_publishes = counter(
            "bulk_publishes_total",
            "Bulk publishes that ended, by status: SUCCEEDED or FAILED.",
            ("status",),
        )
        self.bulk_publishes_in_progress = gauge(
            "bulk_publishes_in_progress", "Bulk publishes that have not ended."
        )
        self.live_listeners = gauge(
            "live_listeners", "Listeners to live updates at the moment."
        )
        self.subscriptions = gauge(
            "subscriptions",
            "Subscriptions to shards of embedded streams at the moment.",
        )
        self.live_cut_offs = counter(
            "live_cut_offs_total",
            "Listeners that were cut off because they did not read.",
        )
        of_import = ("identity_pool_id",)
        self.import_identities = gauge(
            "import_identities",
            "Identities that the pass of an import has read, by identity pool.",
            of_import,
        )
        self.import_remaining = gauge(
            "import_remaining_identities",
            "Identities that the pass has still to read, as far as it is known; 0 when "
            "it is over.",
            of_import,
        )
        self.import_rate = gauge(
            "import_requests_per_second",
            "Calls a second that the source of an import answered of late.",
            of_import,
        )
        self.import_throttled = gauge(
            "import_throttled_requests",
            "Calls that the source put off in this pass.",
            of_import,
        )
        self.import_aside = gauge(
            "import_aside",
            "What this pass has not taken: changed here as well, or unfit.",
            of_import,
        )
        self.import_lag = gauge(
            "import_lag_seconds",
            "How old what is here of a source may be: what its follower says, or else "
            "the time since the last complete pass began; NaN before there was one.",
            of_import,
        )
        self.claimed_identities = counter(
            "claimed_identities_total",
            "Identities that moved in without the names of their users and were "
            "claimed by somebody who showed their id and a token.",
            of_import,
        )
        self.imports: Final = (
            *(self.import_identities, self.import_remaining, self.import_rate),
            *(self.import_throttled, self.import_aside, self.import_lag),
        )
        """The figures of imports, for each pool that moves in."""
        self.refused = counter(
            "refused_total",
            "What was refused or cut off because a bound was reached, by reason: "
            "body_stuck (a body that did not come, or gave way to others), body_room "
            "(no room for a body), answer_stuck (an answer that nobody took), "
            "answer_room (no room for an answer), requests (too many over HTTP/2).",
            ("reason",),
        )
        self.request_bodies_bytes = gauge(
            "request_bodies_bytes",
            "Bytes held of request bodies that come in several pieces.",
        )
        self.answers_bytes = gauge(
            "answers_bytes", "Bytes held of large answers that wait for their readers."
        )
        self.connections = gauge("connections", "Connections of clients, as last seen.")
        self.connections_ended = counter(
            "connections_ended_total",
            "Connections that were ended from here, by reason: silent (no request "
            "came), idle (none came any more), stuck (an answer that nobody took), "
            "full (gave way to others), peer (one peer had too many).",
            ("reason",),
        )
        self.of_the_store: Final = (
            *(self.outbox_entries, self.outbox_lag, self.outbox_parked_entries),
            *(self.pushes_waiting, self.identity_pools, self.store_bytes),
            *(self.verified, self.store_faults, self.bulk_publishes_in_progress),
        )
        """The figures that are read from the store whenever somebody asks."""
        for each in (*self.of_the_store, self.identities, self.tombstones):
            each.set(float("nan"))

    def _gauge(self, name: str, help: str, labels: tuple[str, ...] = ()) -> Gauge:
        name = self._describe(name, "gauge", help, labels)
        return Gauge(name, help, labels, registry=self.registry)

    def _counter(self, name: str, help: str, labels: tuple[str, ...] = ()) -> Counter:
        name = self._describe(name, "counter", help, labels)
        counter = Counter(name, help, labels, registry=self.registry)
        self._counters[name] = counter
        return counter

    def share_gauge(self, gauge: Gauge, here: Callable[[], float]) -> None:
        """Show what `here` gives and what it gives in other processes, in one."""
        (metric,) = gauge.collect()
        name = metric.name
        self._shared_gauges[name] = here
        gauge.set_function(lambda: here() + self._sum_of_others(name))

    def list_shared_gauges(self) -> dict[str, float]:
        """List what those gauges say of this process, by name."""
        return {name: here() for name, here in self._shared_gauges.items()}

    def _sum_of_others(self, name: str) -> float:
        return sum(each.get(name, 0.0) for each in self.of_others.values())

    def list_counts(self) -> Iterator[tuple[str, tuple[str, ...], float]]:
        """List the counters: name, labels and how much each has."""
        for name, counter in self._counters.items():
            for metric in counter.collect():
                for sample in metric.samples:
                    yield name, tuple(sample.labels.values()), sample.value

    def add_count(self, name: str, labels: Iterable[str], more: float) -> None:
        """Add to a counter what another process has counted."""
        counter = self._counters[name]
        labels = [*labels]
        (counter.labels(*labels) if labels else counter).inc(more)

    def _describe(
        self, name: str, kind: str, help: str, labels: tuple[str, ...]
    ) -> str:
        name = f"millpond_{name}"
        self.described.append(Description(name, kind, help, labels))
        return name
