"""
Readers before one writer: what a request costs, whichever processes have a part in it.

Servers with 0, 1 and 2 readers, in turn. Two cores cannot show how reads scale, for the
load needs one of them; what they show is the processor time of one answer in all
processes together. Where that stays the same, N readers on N cores answer N times as
many. An update goes through a reader, so its time says what the relay costs, and its
rate whether that holds anybody up.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

import machine
import scenarios
import seed
from load import Target
from millpond.testing.server import RunningServer
from results import Comparison, Results, processor_ratio, ratio

READERS: Final = (0, 1, 2)
LEAST_READS: Final = 0.9  # of the processor's work that one reader gets done
LEAST_UPDATES: Final = 0.95


def measure(
    results: Results,
    folder: Path,
    cores: machine.Cores,
    *,
    identities: int,
    rounds: int,
) -> None:
    """Read from and write to servers with and without readers, in turn."""
    reads: dict[int, scenarios.Scenario] = {}
    writes: dict[int, scenarios.Scenario] = {}
    with contextlib.ExitStack() as stack:
        for readers in READERS:
            place = folder / f"readers-{readers}"
            data = seed.seed_sync(place, identities)
            server = stack.enter_context(
                RunningServer(
                    place, settings={**scenarios.HIGH_RATES, "readers": str(readers)}
                )
            )
            own = folder / f"requests-{readers}"
            own.mkdir()
            service = scenarios.Service(server, _NO_CONSTANT, data, own, cores)
            reads[readers] = service.listing()
            writes[readers] = service.update()
            for scenario in (reads[readers], writes[readers]):
                scenario.throughput.name += f", {readers} readers"
        scenarios.interleave(
            [*reads.values(), *writes.values()], rounds=rounds, seconds=2
        )
    results.throughputs += [
        each.throughput for each in (*reads.values(), *writes.values())
    ]
    results.comparisons += [
        _compare("ListRecords, 2 readers / 1", reads[2], reads[1], LEAST_READS),
        _compare("ListRecords, 1 reader / 0", reads[1], reads[0], None),
        _compare(
            "UpdateRecords, 2 readers / none", writes[2], writes[0], LEAST_UPDATES
        ),
    ]


_NO_CONSTANT: Final = Target("127.0.0.1", 0, 0)


def _compare(
    name: str,
    ours: scenarios.Scenario,
    other: scenarios.Scenario,
    least: float | None,
) -> Comparison:
    return Comparison(
        name,
        ratio(ours.throughput, other.throughput),
        least=least,
        by_processor=processor_ratio(ours.throughput, other.throughput),
    )
