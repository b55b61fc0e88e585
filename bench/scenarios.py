"""Requests under load: the constant answer, listings, updates, bulk publish details."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import load
import seed
from load import Round, Target
from machine import Cores
from millpond.core.sync import DatasetId
from millpond.core.tokens import SyncSessions
from millpond.server import secret_key
from millpond.testing.server import RunningServer
from results import Throughput
from signed import Signer, Users, get_credentials_for_identity

READ_CONNECTIONS: Final = 32
WRITE_REQUESTS_FIRST: Final = 400  # a short round tells how many a full one takes
WRITE_REQUESTS_MAX: Final = 20_000
SIGNING_IN: Final = 100  # guests, and users
LIFETIME_MS: Final = 3_600_000
# The limits are there and cost what they cost, but no load of ours reaches them.
HIGH_RATES: Final = {
    f"rate_{name}_max": "1000000"
    for name in ("new_identities", "credentials", "reads", "writes", "developer")
}


class Scenario(Protocol):
    """One row of the table; `round` runs it for about so many seconds."""

    throughput: Throughput

    def round(self, seconds: int) -> Round: ...


@dataclass
class Reads:
    """Requests that may be sent again and again."""

    throughput: Throughput
    target: Target
    requests: Path
    cores: Cores

    def round(self, seconds: int) -> Round:
        """Send them for so long."""
        return load.run(
            self.target,
            self.requests,
            connections=self.throughput.connections,
            cores=self.cores,
            seconds=seconds,
        )


@dataclass
class ReadsInTurn:
    """Requests of which none is sent again before all others were."""

    throughput: Throughput
    target: Target
    path: Path
    cores: Cores
    requests: list[bytes]

    def round(self, seconds: int) -> Round:
        """Go on where the last round ended."""
        load.write_requests(self.path, self.requests[0], self.requests)
        measured = load.run(
            self.target,
            self.path,
            connections=self.throughput.connections,
            cores=self.cores,
            seconds=seconds,
        )
        sent = measured.answered % len(self.requests)
        self.requests = self.requests[sent:] + self.requests[:sent]
        return measured


@dataclass
class Writes:
    """Requests that each count once; `make` makes the next ones, padding first."""

    throughput: Throughput
    target: Target
    requests: Path
    cores: Cores
    make: Callable[[int], tuple[bytes, list[bytes]]]
    first: int = WRITE_REQUESTS_FIRST
    _rate: float | None = None

    def round(self, seconds: int) -> Round:
        """Send as many as will take about so long."""
        if self._rate is None:
            self._rate = self._send(self.first).rate
        count = min(int(self._rate * seconds), WRITE_REQUESTS_MAX)
        measured = self._send(max(count, self.first))
        self._rate = measured.rate
        return measured

    def _send(self, count: int) -> Round:
        padding, requests = self.make(count)
        load.write_requests(self.requests, padding, requests)
        return load.run(
            self.target,
            self.requests,
            connections=self.throughput.connections,
            cores=self.cores,
        )


class Updates:
    """
    Makes UpdateRecords requests, identity by identity in turn.

    Two updates of one identity are as far apart as there are identities, so that the
    sync counts which the second one names hold when it arrives.

    Each needs a sync session of its own. They are issued here, with the server's key,
    as its ListRecords would: a session leaves no trace before it is spent.
    """

    def __init__(
        self,
        server: RunningServer,
        signer: Signer,
        data: seed.SyncData,
        *,
        dataset: str,
        patches: int,
        seeded: bool = True,
    ) -> None:
        """
        Args:
            seeded: whether the dataset is there already, with as many records.
        """
        self._signer = signer
        self._dataset = dataset
        self._patches = patches
        # The first record is one update ahead of the others.
        counts = [data.sync_count] + [data.sync_count - 1] * (patches - 1)
        if not seeded:
            counts = [0] * patches
        self._counts = {each: [*counts] for each in data.identity_ids}
        self._turns = itertools.cycle(data.identity_ids)
        master = secret_key.load(server.data, server.secret_key)
        self._sessions = SyncSessions(
            secret_key.derive(master, "sync sessions"),
            lifetime_ms=LIFETIME_MS,
            random_bytes=seed.random_bytes,
        )

    def make(self, count: int) -> tuple[bytes, list[bytes]]:
        """Make the next requests, and a harmless one to pad with."""
        requests = [self._next() for _ in range(count)]
        identity_id = next(iter(self._counts))
        padding = self._signer.list_records(identity_id, self._dataset, 0)
        return padding, requests

    def _next(self) -> bytes:
        identity_id = next(self._turns)
        counts = self._counts[identity_id]
        after = max(counts) + 1
        dataset_id = DatasetId(seed.POOL, identity_id, self._dataset)
        now_ms = time.time_ns() // 1_000_000
        patches = [
            {
                "Op": "replace",
                "Key": seed.record_key(number),
                "Value": seed.record_value(after * 100 + number),
                "SyncCount": known,
                "DeviceLastModifiedDate": now_ms // 1000,
            }
            for number, known in enumerate(counts)
        ]
        body = {
            "RecordPatches": patches,
            "SyncSessionToken": self._sessions.issue(dataset_id, now_ms=now_ms).token,
        }
        self._counts[identity_id] = [after] * self._patches
        encoded = json.dumps(body, separators=(",", ":")).encode()
        return self._signer.update_records(identity_id, self._dataset, encoded)


class Service:
    """A seeded Millpond under load, with the constant server beside it."""

    def __init__(
        self,
        server: RunningServer,
        constant: Target,
        data: seed.SyncData,
        folder: Path,
        cores: Cores,
    ) -> None:
        self.target = target_of(server)
        self._signer = Signer(server, self.target)
        self._user_signer = Signer(server, self.target, Users(server))
        self._server = server
        self._constant = constant
        self._data = data
        self._folder = folder
        self._cores = cores

    def reads(self) -> list[Scenario]:
        """Make the constant answer, the listings and the bulk publish details."""
        last = self._data.sync_count - 1
        one = self._listings(self._signer, last, expected=1)
        users = self._listings(self._user_signer, last, expected=1)
        all_of_them = self._listings(self._signer, 0, expected=seed.RECORDS_PER_DATASET)
        details = [self._signer.get_bulk_publish_details()]
        load.probe(self.target, details[0])
        return [
            # The same bytes as the listing, so that what arrives costs the same.
            self._reads("constant answer", self._constant, one),
            self._reads("ListRecords, 1 record", self.target, one),
            self._reads("ListRecords, 1 record, by users", self.target, users),
            self._reads("ListRecords, 20 records", self.target, all_of_them),
            self._reads("GetBulkPublishDetails", self.target, details),
        ]

    def signing_in(self) -> list[Scenario]:
        """Make requests for credentials: of guests, and of a developer's users."""
        with contextlib.closing(self._server.client("cognito-identity")) as client:
            guests = [
                client.get_id(IdentityPoolId=seed.POOL)["IdentityId"]
                for _ in range(SIGNING_IN)
            ]
            users = [
                client.get_open_id_token_for_developer_identity(
                    IdentityPoolId=seed.POOL,
                    Logins={seed.PROVIDER: str(number)},
                    TokenDuration=3600,
                )
                for number in range(SIGNING_IN)
            ]
        by_guests = [get_credentials_for_identity(self.target, e) for e in guests]
        by_users = [
            get_credentials_for_identity(self.target, e["IdentityId"], e["Token"])
            for e in users
        ]
        load.probe(self.target, by_guests[0])
        load.probe(self.target, by_users[0])
        name = "GetCredentialsForIdentity"
        return [
            self._reads(f"{name}, guests", self.target, by_guests),
            self._reads(f"{name}, users", self.target, by_users),
        ]

    def cold(self, identity_ids: Sequence[str]) -> Scenario:
        """Make the listings of one record of identities that are asked for once."""
        last = self._data.sync_count - 1
        return ReadsInTurn(
            Throughput("ListRecords, 1 record, cold", READ_CONNECTIONS),
            self.target,
            self._folder / "cold",
            self._cores,
            [self._signer.list_records(each, "listed", last) for each in identity_ids],
        )

    def listing(self) -> Scenario:
        """Make the listings of one record alone."""
        requests = self._listings(self._signer, self._data.sync_count - 1, expected=1)
        return self._reads("ListRecords, 1 record", self.target, requests)

    def update(self) -> Scenario:
        """Make the updates of one record alone, from many connections."""
        (scenario,) = self._updates(
            self._signer, "UpdateRecords, 1 record", "updated-1", 1, (32,)
        )
        return scenario

    def writes(self) -> list[Scenario]:
        """Make the updates: by a developer with 1 and 32 connections, and by users."""
        one, twenty = 1, seed.RECORDS_PER_DATASET
        name, many = "UpdateRecords, 1 record", f"UpdateRecords, {twenty} records"
        return [
            *self._updates(self._signer, name, "updated-1", one, (1, 32)),
            *self._updates(
                self._user_signer, f"{name}, by users", "updated-by-users", one, (32,)
            ),
            *self._updates(self._signer, many, "updated-20", twenty, (1, 32)),
        ]

    def _updates(
        self,
        signer: Signer,
        name: str,
        dataset: str,
        patches: int,
        connections: tuple[int, ...],
    ) -> list[Scenario]:
        updates = Updates(
            self._server, signer, self._data, dataset=dataset, patches=patches
        )
        return [
            Writes(
                Throughput(name, each),
                self.target,
                self._folder / dataset,
                self._cores,
                updates.make,
            )
            for each in connections
        ]

    def _listings(
        self, signer: Signer, sync_count: int, *, expected: int
    ) -> list[bytes]:
        requests = [
            signer.list_records(each, "listed", sync_count)
            for each in self._data.identity_ids
        ]
        answer = json.loads(load.probe(self.target, requests[0]))
        if len(answer["Records"]) != expected:
            raise load.LoadError(f"Expected {expected} records, not {answer}.")
        return requests

    def _reads(self, name: str, target: Target, requests: list[bytes]) -> Reads:
        path = self._folder / name.replace(" ", "-").replace(",", "")
        load.write_requests(path, requests[0], requests)
        return Reads(Throughput(name, READ_CONNECTIONS), target, path, self._cores)


def interleave(scenarios: list[Scenario], *, rounds: int, seconds: int) -> None:
    """Run scenarios in turn, so that what disturbs the machine disturbs all alike."""
    for _ in range(rounds):
        for scenario in scenarios:
            scenario.throughput.rounds.append(scenario.round(seconds))


def target_of(server: RunningServer) -> Target:
    """Say where a running server is."""
    parts = urlsplit(server.endpoint)
    assert parts.hostname is not None
    assert parts.port is not None
    return Target(parts.hostname, parts.port, server.pid)


@contextmanager
def constant_server(cores: Cores) -> Iterator[Target]:
    """Run the server of the constant answer."""
    script = Path(__file__).with_name("constant_server.py")
    process = subprocess.Popen(
        [*cores.pin_server(), sys.executable, str(script)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise load.LoadError("The constant server did not start.")
        yield Target("127.0.0.1", int(line), process.pid)
    finally:
        process.terminate()
        process.wait()
