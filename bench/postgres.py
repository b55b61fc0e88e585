"""
Listings and updates over PostgreSQL, as a share of what pgbench gets from it.

One node has a core to itself, and so has pgbench, in turn; the database is on the core
of the load, or on cores of its own where there are enough. Then two nodes against one:
with two cores the second node takes its time from the database and the load, and their
ratio only says that a node more does no harm.

The database writes through to the disk, as in production.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import statistics
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import machine
import pgbench
import scenarios
import seed
import signed
from load import Round, Target, probe, write_requests
from millpond.stores.postgres import PostgresStore
from millpond.testing.postgres import PostgresMissingError, TestPostgres
from millpond.testing.server import RunningServer
from results import Comparison, Figure, Results, Throughput, median_ratio, ratio

CONNECTIONS: Final = 32
LEAST: Final = 0.3
LIST: Final = "ListRecords, 1 record, PostgreSQL"
UPDATE: Final = "UpdateRecords, 1 record, PostgreSQL"
_SETTINGS: Final = {"fsync": "on", "full_page_writes": "on", "autovacuum": "on"}
_LISTED, _ONE, _TWO, _PGBENCH = "listed", "updated-1", "updated-2", "updated-pgbench"


@dataclass
class _Together:
    """The same kind of requests to several nodes at a time."""

    throughput: Throughput
    parts: Sequence[scenarios.Scenario]

    def round(self, seconds: int) -> Round:
        """Send them to all for about so long."""
        found: list[Round | Exception] = []

        def run(part: scenarios.Scenario) -> None:
            try:
                found.append(part.round(seconds))
            except Exception as error:
                found.append(error)

        threads = [threading.Thread(target=run, args=(part,)) for part in self.parts]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        rounds = [each for each in found if isinstance(each, Round)]
        for each in found:
            if isinstance(each, Exception):
                raise each
        answered = sum(each.answered for each in rounds)
        return Round(
            answered=answered,
            # Each for as long as it took: they need not have ended together.
            seconds=answered / sum(each.rate for each in rounds),
            p50_ms=max(each.p50_ms for each in rounds),
            p99_ms=max(each.p99_ms for each in rounds),
            load_core=max(each.load_core for each in rounds),  # each has seen all wrk
            server_core=_sum([each.server_core for each in rounds]),
            server_us=_mean([each.server_us for each in rounds]),
        )


def _sum(values: Sequence[float | None]) -> float | None:
    known = [each for each in values if each is not None]
    return sum(known) if len(known) == len(values) else None


def _mean(values: Sequence[float | None]) -> float | None:
    total = _sum(values)
    return None if total is None else total / len(values)


class _Nodes:
    """Nodes over one database, and the requests for them."""

    def __init__(
        self, nodes: Sequence[RunningServer], data: seed.SyncData, folder: Path
    ) -> None:
        self._nodes = nodes
        self._data = data
        self._folder = folder

    def listings(self, name: str, cores: machine.Cores) -> scenarios.Scenario:
        """Make listings of one record, shared among the nodes."""
        connections = CONNECTIONS // len(self._nodes)
        parts = []
        for number, (target, signer) in enumerate(self._signers()):
            path = self._folder / f"{_LISTED}-{len(self._nodes)}-{number}"
            requests = [
                signer.list_records(each, _LISTED, self._data.sync_count - 1)
                for each in self._data.identity_ids
            ]
            probe(target, requests[0])
            write_requests(path, requests[0], requests)
            parts.append(
                scenarios.Reads(Throughput(name, connections), target, path, cores)
            )
        return self._all(name, parts)

    def updates(
        self, name: str, dataset: str, cores: machine.Cores
    ) -> scenarios.Scenario:
        """Make updates of one record; each node gets identities of its own."""
        count = len(self._nodes)
        parts = []
        for number, (target, signer) in enumerate(self._signers()):
            own = replace(
                self._data, identity_ids=self._data.identity_ids[number::count]
            )
            made = scenarios.Updates(
                self._nodes[number], signer, own, dataset=dataset, patches=1
            )
            throughput = Throughput(name, CONNECTIONS // count)
            path = self._folder / f"{dataset}-{number}"
            parts.append(scenarios.Writes(throughput, target, path, cores, made.make))
        return self._all(name, parts)

    def _signers(self) -> Iterator[tuple[Target, signed.Signer]]:
        for node in self._nodes:
            target = scenarios.target_of(node)
            yield target, signed.Signer(node, target)

    def _all(
        self, name: str, parts: Sequence[scenarios.Scenario]
    ) -> scenarios.Scenario:
        if len(parts) == 1:
            return parts[0]
        return _Together(Throughput(name, CONNECTIONS), parts)


def measure(
    results: Results,
    folder: Path,
    cores: machine.Cores,
    *,
    identities: int,
    rounds: int,
) -> None:
    """Measure one node, pgbench and two nodes in turn."""
    own = TestPostgres.start_own(
        settings=_SETTINGS,
        command_prefix=cores.pin_database(),
        parent=parent_of(folder),
    )
    try:
        with contextlib.ExitStack() as stack:
            postgres = stack.enter_context(own)
            database = _Database(postgres, folder, identities)
            nodes = database.start_nodes(stack, cores)
            _measure(results, database, nodes, cores, rounds)
    except PostgresMissingError as error:
        results.notes.append(f"PostgreSQL was not measured. {error}")


def parent_of(folder: Path) -> Path | None:
    """Say where the database may be; its user has to get there."""
    if os.geteuid() != 0:
        return folder
    kept = folder.parent.resolve()  # `folder` itself is closed to others
    closed = [each for each in (kept, *kept.parents) if not each.stat().st_mode & 0o001]
    return None if closed else kept


class _Database:
    """A seeded database."""

    def __init__(self, postgres: TestPostgres, folder: Path, identities: int) -> None:
        self.folder = folder / "postgres"
        self.folder.mkdir()
        self.url = postgres.create_database()
        self.data = seed.SyncData(
            seed.identity_ids(identities), (_LISTED, _ONE, _TWO, _PGBENCH)
        )
        seed.seed_store(PostgresStore(self.url), self.data)
        pgbench.prepare(postgres, self.url, self.data)
        self._postgres = postgres

    def start_nodes(
        self, stack: contextlib.ExitStack, cores: machine.Cores
    ) -> list[RunningServer]:
        """Start two nodes, each on a core of its own."""
        settings = {
            "store": self.url,
            "secret_key": secrets.token_hex(32),
            **scenarios.HIGH_RATES,
        }
        first, second = (
            stack.enter_context(
                RunningServer(
                    self.folder / "node", settings=settings, command_prefix=prefix
                )
            )
            for prefix in (cores.pin_server(), cores.pin_second())
        )
        # The first one has made the key; the other finds it in the database.
        second.access_key_id = first.access_key_id
        second.secret_access_key = first.secret_access_key
        return [first, second]

    def scripts(self, cores: machine.Cores) -> list[pgbench.Pgbench]:
        """Make the listings and the updates of pgbench."""
        program = shutil.which("pgbench", path=str(self._postgres.programs))
        made = []
        for name, text, dataset in (
            ("ListRecords", pgbench.list_records(), _LISTED),
            ("UpdateRecords", pgbench.update_records(), _PGBENCH),
        ):
            script = self.folder / f"{name}.sql"
            script.write_text(text, encoding="utf-8")
            made.append(
                pgbench.Pgbench(
                    f"pgbench, statements of {name}",
                    program or machine.need("pgbench", pgbench.HINT),
                    self.url,
                    script,
                    dataset,
                    len(self.data.identity_ids),
                    cores,
                )
            )
        return made

    def check(self, update: pgbench.Pgbench) -> None:
        """Check that pgbench did what a node does."""
        pgbench.check_updates(self._postgres, self.url, update, self.data)


def _measure(
    results: Results,
    database: _Database,
    nodes: list[RunningServer],
    cores: machine.Cores,
    rounds: int,
) -> None:
    scripts = database.scripts(cores)
    one = _Nodes(nodes[:1], database.data, database.folder)
    two = _Nodes(nodes, database.data, database.folder)
    ours = [one.listings(LIST, cores), one.updates(UPDATE, _ONE, cores)]
    both = [
        two.listings(f"{LIST}, 2 nodes", cores),
        two.updates(f"{UPDATE}, 2 nodes", _TWO, cores),
    ]
    for _ in range(rounds):
        for alone, script, together in zip(ours, scripts, both, strict=True):
            scenarios.interleave([alone], rounds=1, seconds=2)
            script.round(2)
            scenarios.interleave([together], rounds=1, seconds=2)
    database.check(scripts[1])
    for alone, script, together in zip(ours, scripts, both, strict=True):
        _compare(results, alone.throughput, script, together.throughput)
    results.notes.append(
        f"PostgreSQL ran on {_words(cores.pin_database())}, the second node on "
        f"{_words(cores.pin_second())}."
    )


def _compare(
    results: Results, one: Throughput, script: pgbench.Pgbench, two: Throughput
) -> None:
    results.throughputs += [one, two]
    results.figures.append(
        Figure(
            f"{script.name}, {pgbench.CLIENTS} clients",
            statistics.median(script.rates),
            "per s",
        )
    )
    rates = [each.rate for each in one.rounds]
    results.comparisons += [
        Comparison(
            f"{one.name} / pgbench",
            median_ratio(rates, script.rates),
            least=LEAST,
        ),
        Comparison(f"{two.name} / 1 node", ratio(two, one)),
    ]


def _words(pinning: list[str]) -> str:
    return f"core {pinning[-1]}" if pinning else "any core"
