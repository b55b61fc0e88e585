"""
The benchmark: what Millpond costs, as ratios within one run.

    python bench/bench.py [--quick] [--peers] [--only PART ...] [--json FILE]

The server has one core and the load another. Figures are medians of short rounds that
take turns, because a machine is never quiet; compare the ratios and not the figures of
two machines. A missed budget is marked and is no error: this measures, tests judge.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import citus
import clients
import command_line
import console
import consumers
import live
import load
import machine
import moving
import peers
import postgres
import publish
import readers
import report
import scenarios
import seed
import sinks
import startup
import streamed
import triggered
from millpond.testing.server import RunningServer
from results import Comparison, Results, Throughput, processor_ratio, ratio

RESULTS: Final = Path(__file__).with_name("results")
PARTS: Final = (
    "reads",
    "writes",
    "trigger",
    "streamed",
    "consumers",
    "readers",
    "publish",
    "sinks",
    "live",
    "console",
    "postgres",
    "moving",
    "citus",
    "clients",
    "cli",
    "startup",
)
IDENTITIES: Final = 1000
COLD_IDENTITIES: Final = 20_000  # more than anything remembers, and none comes twice


def main() -> int:
    """Run what was asked for."""
    options = _parse()
    RESULTS.mkdir(exist_ok=True)
    started = time.monotonic()
    results = Results()
    cores = machine.choose_cores()
    try:
        machine.need("wrk", load.WRK_HINT)
        # Not in the system's folder for such things: that is often kept in memory, and
        # a durable write to memory costs nothing.
        with tempfile.TemporaryDirectory(dir=RESULTS, prefix="data-") as folder:
            _measure(results, Path(folder), cores, options)
    except (machine.MissingToolError, load.LoadError, RuntimeError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    conditions = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **machine.describe(),
        "cores": cores.describe(),
        "file system": machine.filesystem(RESULTS),
        "took": f"{time.monotonic() - started:.0f} s",
    }
    print(report.show(results, conditions))
    report.save(results, conditions, options.json)
    print(f"\nwritten to {options.json}")
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure Millpond.")
    parser.add_argument(
        "--peers",
        action="store_true",
        help="compare with Kinto and pouchdb-server; they are installed (npm, PyPI) "
        "under bench/results/peers at the first run",
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds and fewer records"
    )
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, help="these parts alone"
    )
    parser.add_argument(
        "--json",
        type=Path,
        default=RESULTS / "latest.json",
        metavar="FILE",
        help="where the figures go (default: bench/results/latest.json)",
    )
    return parser.parse_args()


def _measure(
    results: Results, folder: Path, cores: machine.Cores, options: argparse.Namespace
) -> None:
    rounds = 3 if options.quick else 5
    if not {"reads", "writes", "cli"}.isdisjoint(options.only):
        _measure_service(results, folder, cores, options, rounds)
    if "trigger" in options.only:
        _say("sync trigger")
        triggered.measure(results, folder, cores, identities=IDENTITIES, rounds=3)
    if "streamed" in options.only:
        _say("updates that are streamed")
        streamed.measure(results, folder, cores, identities=IDENTITIES, rounds=3)
    if "consumers" in options.only:
        _say("consumers")
        consumers.measure(results, folder, cores, rounds=rounds)
    if "readers" in options.only:
        _say("readers before one writer")
        readers.measure(results, folder, cores, identities=IDENTITIES, rounds=rounds)
    if "publish" in options.only:
        _say("bulk publish")
        records = 50_000 if options.quick else 500_000
        publish.measure(results, folder, cores, records=records, rounds=3)
    if "sinks" in options.only:
        _say("bulk publish into other streams")
        records = 50_000 if options.quick else 500_000
        sinks.measure(results, folder, cores, records=records, rounds=3)
    if "live" in options.only:
        _say("live updates")
        live.measure(results, folder, cores, seconds=5 if options.quick else 10)
    if "console" in options.only:
        _say("console")
        identities = 10_000 if options.quick else 100_000
        console.measure(results, folder, cores, identities=identities, rounds=rounds)
    if "postgres" in options.only:
        _say("PostgreSQL")
        postgres.measure(results, folder, cores, identities=IDENTITIES, rounds=rounds)
    if "moving" in options.only:
        _say("moving in")
        records = 50_000 if options.quick else 500_000
        moving.measure(results, folder, cores, records=records, rounds=3)
    if "citus" in options.only:
        _say("a Citus cluster")
        records = 60_000 if options.quick else 200_000
        citus.measure(
            results, folder, cores, identities=200, records=records, rounds=rounds
        )
    if "startup" in options.only:
        _say("a start")
        startup.measure(results, folder, cores)
    if "clients" in options.only:
        _say("clients for JavaScript")
        clients.measure(results, folder, cores, rounds=5 * rounds)


def _measure_service(
    results: Results,
    folder: Path,
    cores: machine.Cores,
    options: argparse.Namespace,
    rounds: int,
) -> None:
    cold = seed.identity_ids(COLD_IDENTITIES) if "reads" in options.only else []
    data = seed.seed_sync(folder / "sync", IDENTITIES, cold=cold)
    with ExitStack() as stack:
        server = stack.enter_context(
            RunningServer(
                folder / "sync",
                settings=scenarios.HIGH_RATES,
                command_prefix=cores.pin_server(),
            )
        )
        constant = stack.enter_context(scenarios.constant_server(cores))
        service = scenarios.Service(server, constant, data, folder, cores)
        peer_reads: list[scenarios.Scenario] = []
        peer_writes: list[scenarios.Scenario] = []
        if options.peers:
            _say("peers")
            for peer in peers.start(stack, RESULTS / "peers", folder, cores):
                peer_reads.append(peer.read)
                peer_writes.append(peer.write)
        if "reads" in options.only:
            _say("reads")
            _measure_reads(results, service, cold, peer_reads, rounds)
        if "writes" in options.only:
            _say("writes")
            _measure_writes(results, service, peer_writes, rounds)
        memory = machine.memory_mib(server.pid, "VmHWM")
        if memory is not None:
            results.comparisons.append(Comparison("server, peak memory", memory, "MiB"))
        if "cli" in options.only:
            _say("command line")
            command_line.measure(results, server, cores, pairs=2 * rounds)


def _measure_reads(
    results: Results,
    service: scenarios.Service,
    cold_identity_ids: list[str],
    peer_reads: list[scenarios.Scenario],
    rounds: int,
) -> None:
    ours = [*service.reads(), *service.signing_in(), service.cold(cold_identity_ids)]
    scenarios.interleave([*ours, *peer_reads], rounds=rounds, seconds=1)
    results.throughputs += [each.throughput for each in ours]
    constant, one, by_users, twenty, details, guests, users, cold = results.throughputs
    results.comparisons += [
        _compare(one, constant, least=0.30),
        _compare(cold, constant),
        _compare(by_users, one, least=0.90),
        _compare(twenty, constant),
        _compare(details, constant, least=0.35),
        _compare(guests, constant, least=0.10),
        _compare(users, constant, least=0.10),
    ]
    for each in peer_reads:
        results.throughputs.append(each.throughput)
        least = peers.READ_BUDGETS[each.throughput.name.partition(",")[0]]
        results.comparisons.append(_compare(one, each.throughput, least=least))


def _measure_writes(
    results: Results,
    service: scenarios.Service,
    peer_writes: list[scenarios.Scenario],
    rounds: int,
) -> None:
    ours = service.writes()
    scenarios.interleave([*ours, *peer_writes], rounds=min(rounds, 3), seconds=2)
    results.throughputs += [each.throughput for each in ours]
    one, by_users = (
        each.throughput for each in ours[:3] if each.throughput.connections == 32
    )
    results.comparisons.append(_compare(by_users, one, least=0.90))
    for each in peer_writes:
        results.throughputs.append(each.throughput)
        least = peers.WRITE_BUDGETS.get(each.throughput.name.partition(",")[0])
        results.comparisons.append(_compare(one, each.throughput, least=least))


def _compare(
    ours: Throughput, other: Throughput, least: float | None = None
) -> Comparison:
    return Comparison(
        f"{ours.name} / {other.name}",
        ratio(ours, other),
        least=least,
        by_processor=processor_ratio(ours, other),
    )


def _say(part: str) -> None:
    print(f"bench: {part} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
