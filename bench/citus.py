"""
Updates, listings and a bulk publish on a Citus cluster, as a share of what one server
of the same build does.

`MILLPOND_TEST_CITUS` names the coordinator. The other server is started from the
programs that the coordinator says it runs from, with its settings, so it has to be on
this machine. Each has a node, on the core of nodes; they take turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import machine
import postgres
import publish
import scenarios
import seed
import signed
from load import probe, write_requests
from millpond.stores.postgres import PostgresStore, distribution
from millpond.testing.citus import CitusMissingError, TestCitus
from millpond.testing.postgres import PostgresMissingError, TestPostgres
from millpond.testing.server import RunningServer
from results import Comparison, Figure, Results, Throughput, median_ratio, ratio

CITUS, PLAIN = "Citus", "one server"
# records of an update: connections, and requests of the first round
UPDATES: Final = {1: (32, 400), 100: (16, 200), 1000: (4, 40)}
LEAST_UPDATES: Final = 0.5
LEAST_LISTINGS: Final = 0.6
LEAST_PUBLISH: Final = 0.5
# What changes how much a commit costs has to be the same on both.
_SAME: Final = (
    "autovacuum",
    "fsync",
    "full_page_writes",
    "shared_buffers",
    "synchronous_commit",
    "wal_level",
)
_LISTED: Final = "listed"


class _Side:
    """A database, and a node over it."""

    def __init__(self, name: str, url: str, folder: Path, cores: machine.Cores) -> None:
        self.name = name
        self._folder = folder / name.replace(" ", "-")
        self._folder.mkdir(parents=True)
        self._cores = cores
        self.settings = {
            "store": url,
            "secret_key": secrets.token_hex(32),
            "bulk_publish_pause_s": "0",
            **scenarios.HIGH_RATES,
        }

    def start(self, stack: contextlib.ExitStack) -> None:
        """Start the node."""
        self._server = stack.enter_context(
            RunningServer(
                self._folder,
                settings=self.settings,
                command_prefix=self._cores.pin_server(),
            )
        )
        self._target = scenarios.target_of(self._server)
        self._signer = signed.Signer(self._server, self._target)

    def make(self, data: seed.SyncData) -> list[scenarios.Scenario]:
        """Make a listing, and an update of each size."""
        path = self._folder / _LISTED
        listings = [
            self._signer.list_records(each, _LISTED, data.sync_count - 1)
            for each in data.identity_ids
        ]
        probe(self._target, listings[0])
        write_requests(path, listings[0], listings)
        listed = Throughput(
            f"ListRecords, 1 record, {self.name}", scenarios.READ_CONNECTIONS
        )
        return [
            scenarios.Reads(listed, self._target, path, self._cores),
            *(self._updates(data, size) for size in UPDATES),
        ]

    def _updates(self, data: seed.SyncData, size: int) -> scenarios.Scenario:
        connections, first = UPDATES[size]
        dataset = f"updated-{size}"
        made = scenarios.Updates(
            self._server,
            self._signer,
            data,
            dataset=dataset,
            patches=size,
            seeded=False,
        )
        return scenarios.Writes(
            Throughput(f"UpdateRecords, {size:,} records, {self.name}", connections),
            self._target,
            self._folder / dataset,
            self._cores,
            made.make,
            first=first,
        )

    def publish(self, count: int) -> float:
        """Publish so many records; return how many it were in a second."""
        seconds = publish.publish_on(self._server)
        publish.check_delivery(self._server)
        return count / seconds


def measure(
    results: Results,
    folder: Path,
    cores: machine.Cores,
    *,
    identities: int,
    records: int,
    rounds: int,
) -> None:
    """Measure both in turn; without a cluster nothing, and say so."""
    try:
        with TestCitus.start() as citus, _plain(citus, folder) as plain:
            _requests(
                results,
                _sides(citus, plain, folder, cores, "requests"),
                identities,
                rounds,
            )
            sides = _sides(citus, plain, folder, cores, "publish")
            _publishes(results, sides, records, rounds)
    except (CitusMissingError, PostgresMissingError) as error:
        results.notes.append(f"Citus was not measured: {error}.")


@contextlib.contextmanager
def _plain(citus: TestCitus, folder: Path) -> Iterator[TestPostgres]:
    ((programs,),) = citus.execute(
        "SELECT setting FROM pg_config WHERE name = 'BINDIR'"
    )
    settings = {name: citus.execute(f"SHOW {name}")[0][0] for name in _SAME}
    with TestPostgres.start_own(
        settings=settings, programs=Path(programs), parent=postgres.parent_of(folder)
    ) as plain:
        yield plain


def _sides(
    citus: TestCitus,
    plain: TestPostgres,
    folder: Path,
    cores: machine.Cores,
    part: str,
) -> list[_Side]:
    spread = citus.create_database()
    asyncio.run(_spread(spread))
    own = folder / f"citus-{part}"
    return [
        _Side(CITUS, spread, own, cores),
        _Side(PLAIN, plain.create_database(), own, cores),
    ]


async def _spread(url: str) -> None:
    store = PostgresStore(url)
    await store.open()
    connection = await store.database.connect("distribute")
    await distribution.distribute(connection)
    await connection.close()
    await store.aclose()


def _requests(
    results: Results, sides: list[_Side], identities: int, rounds: int
) -> None:
    data = seed.SyncData(seed.identity_ids(identities), (_LISTED,))
    for side in sides:
        seed.seed_store(PostgresStore(side.settings["store"]), data)
    with contextlib.ExitStack() as stack:
        for side in sides:
            side.start(stack)
        pairs = list(zip(*(side.make(data) for side in sides), strict=True))
        for pair in pairs:
            scenarios.interleave(list(pair), rounds=rounds, seconds=2)
    for cluster, alone in pairs:
        results.throughputs += [cluster.throughput, alone.throughput]
        is_listing = cluster.throughput.name.startswith("ListRecords")
        results.comparisons.append(
            Comparison(
                f"{cluster.throughput.name} / {PLAIN}",
                ratio(cluster.throughput, alone.throughput),
                least=LEAST_LISTINGS if is_listing else LEAST_UPDATES,
            )
        )


def _publishes(results: Results, sides: list[_Side], records: int, rounds: int) -> None:
    for side in sides:
        count = seed.seed_publish_store(PostgresStore(side.settings["store"]), records)
    rates: dict[str, list[float]] = {side.name: [] for side in sides}
    with contextlib.ExitStack() as stack:
        for side in sides:
            side.start(stack)
        for _ in range(rounds):
            for side in sides:
                rates[side.name].append(side.publish(count))
    for name, found in rates.items():
        results.figures.append(
            Figure(
                f"bulk publish of {count:,} records, {name}",
                statistics.median(found),
                "records/s",
            )
        )
    results.comparisons.append(
        Comparison(
            f"bulk publish, {CITUS} / {PLAIN}",
            median_ratio(rates[CITUS], rates[PLAIN]),
            least=LEAST_PUBLISH,
        )
    )
