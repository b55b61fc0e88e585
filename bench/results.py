"""What a run has measured, and the budgets it is compared with."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from load import Round


@dataclass
class Throughput:
    """Rounds of one kind of request."""

    name: str
    connections: int
    rounds: list[Round] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers per second, in the median round."""
        return statistics.median(each.rate for each in self.rounds)

    @property
    def p50_ms(self) -> float:
        """The median over the rounds of the median latency."""
        return statistics.median(each.p50_ms for each in self.rounds)

    @property
    def p99_ms(self) -> float:
        """The median over the rounds of the 99th percentile."""
        return statistics.median(each.p99_ms for each in self.rounds)

    @property
    def load_core(self) -> float:
        """The share of a core that the load generator used."""
        return statistics.median(each.load_core for each in self.rounds)

    @property
    def server_core(self) -> float | None:
        """The share of a core that the server used, where it is known."""
        return _median([each.server_core for each in self.rounds])

    @property
    def server_us(self) -> float | None:
        """The server's processor time per request, where it is known."""
        return _median([each.server_us for each in self.rounds])


def _median(values: Sequence[float | None]) -> float | None:
    known = [each for each in values if each is not None]
    return statistics.median(known) if known else None


@dataclass(frozen=True)
class Figure:
    """A figure that is not a rate of requests."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True)
class Comparison:
    """
    A ratio, or a bound in MiB or ms, and its budget if it has one.

    A ratio of requests is taken twice: by rate, and by the processor time that the
    servers used. On a quiet machine they agree. On a busy one the rate of a cheap
    request suffers most, because it waits for its turn most often, and that would
    flatter whatever is compared with it. So the lower of the two is judged.
    """

    name: str
    value: float
    unit: str = "x"
    least: float | None = None
    most: float | None = None
    by_processor: float | None = None

    @property
    def budget(self) -> str:
        """The budget in words."""
        if self.least is not None:
            return f">= {self.least:g}"
        return "" if self.most is None else f"< {self.most:g}"

    @property
    def verdict(self) -> str:
        """Pass or miss; empty where there is no budget."""
        if self.least is not None:
            lower = min(self.value, self.by_processor or self.value)
            return "pass" if lower >= self.least else "MISS"
        if self.most is not None:
            return "pass" if self.value < self.most else "MISS"
        return ""


@dataclass
class Results:
    """Everything that a run has measured."""

    throughputs: list[Throughput] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what was skipped, and why


def ratio(ours: Throughput, other: Throughput) -> float:
    """
    Compare two kinds of requests.

    The median of the ratios round by round: a machine that is slower for some rounds is
    so for both.
    """
    assert len(ours.rounds) == len(other.rounds)
    return median_ratio(
        [each.rate for each in ours.rounds], [each.rate for each in other.rounds]
    )


def processor_ratio(ours: Throughput, other: Throughput) -> float | None:
    """Compare by the servers' processor time per request, where it is known."""
    if not ours.server_us or not other.server_us:
        return None
    return other.server_us / ours.server_us


def median_ratio(ours: Sequence[float], others: Sequence[float]) -> float:
    """Give the median of the ratios of pairs."""
    return statistics.median(a / b for a, b in zip(ours, others, strict=True))
