"""
What the outbox and its relay cost an update.

Three servers with the same data take turns on one core. The pool of the first has no
stream. That of the second has one that is out of reach, so that each update writes its
row of the outbox and nothing sends it. The third streams into an embedded stream, so
that the relay, the stream and the requests share the core; it is left alone after each
round until its outbox is empty.
"""

from __future__ import annotations

import contextlib
import json
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import machine
import scenarios
import seed
import signed
from load import LoadError, Round
from millpond.testing.server import RunningServer
from results import Comparison, Results, Throughput, processor_ratio, ratio

CONNECTIONS: Final = 32
DATASET: Final = "updated-1"
LEAST: Final = 0.9
DRAIN_S_MAX: Final = 60.0
NAME: Final = "UpdateRecords, 1 record"
OUT_OF_REACH: Final = "nats://127.0.0.1:9/bench"  # nobody listens at that port


@dataclass
class _Drained:
    """Updates, after each round of which the outbox is let run empty."""

    updates: scenarios.Writes
    server: RunningServer

    @property
    def throughput(self) -> Throughput:
        """What is measured."""
        return self.updates.throughput

    def round(self, seconds: int) -> Round:
        """Send updates for about so long, then wait for the relay."""
        measured = self.updates.round(seconds)
        deadline = time.monotonic() + DRAIN_S_MAX
        while _outbox_entries(self.server) > 0:
            if time.monotonic() > deadline:
                raise LoadError("The outbox does not run empty.")
            time.sleep(0.05)
        return measured


def measure(
    results: Results,
    folder: Path,
    cores: machine.Cores,
    *,
    identities: int,
    rounds: int,
) -> None:
    """Measure updates without and with a stream, in turn."""
    with contextlib.ExitStack() as stack:

        def updates(
            name: str, place: str, **settings: str
        ) -> tuple[scenarios.Writes, RunningServer]:
            data = seed.seed_sync(folder / place, identities)
            server = stack.enter_context(
                RunningServer(
                    folder / place,
                    settings=settings,
                    command_prefix=cores.pin_server(),
                )
            )
            target = scenarios.target_of(server)
            made = scenarios.Updates(
                server,
                signed.Signer(server, target),
                data,
                dataset=DATASET,
                patches=1,
            )
            writes = scenarios.Writes(
                Throughput(name, CONNECTIONS),
                target,
                folder / f"{place}-requests",
                cores,
                made.make,
            )
            return writes, server

        alone, _ = updates(f"{NAME}, no stream", "unstreamed")
        kept, keeper = updates(
            f"{NAME}, outbox only",
            "kept",
            streams=json.dumps({seed.STREAM: OUT_OF_REACH}),
        )
        streamed, server = updates(f"{NAME}, streamed", "streamed")
        with contextlib.closing(server.client("kinesis")) as kinesis:
            kinesis.create_stream(StreamName=seed.STREAM, ShardCount=seed.STREAM_SHARDS)
        _enable_stream(keeper)
        _enable_stream(server)
        scenarios.interleave(
            [alone, kept, _Drained(streamed, server)], rounds=rounds, seconds=3
        )
        _check_delivery(server, streamed.throughput)
    ours = streamed.throughput
    results.throughputs += [alone.throughput, kept.throughput, ours]
    for other, least in ((kept.throughput, LEAST), (alone.throughput, None)):
        results.comparisons.append(
            Comparison(
                f"{ours.name} / {other.name}",
                ratio(ours, other),
                least=least,
                by_processor=processor_ratio(ours, other),
            )
        )


def _enable_stream(server: RunningServer) -> None:
    with contextlib.closing(server.client("cognito-sync")) as sync:
        sync.set_identity_pool_configuration(
            IdentityPoolId=seed.POOL,
            CognitoStreams={"StreamName": seed.STREAM, "StreamingStatus": "ENABLED"},
        )


def _outbox_entries(server: RunningServer) -> int:
    return int(_metric(server, "millpond_outbox_entries"))


def _check_delivery(server: RunningServer, throughput: Throughput) -> None:
    """A relay that sends nothing would be cheap."""
    sent = _metric(server, 'millpond_stream_records_total{source="outbox"}')
    if sent <= 0:
        raise LoadError(f"{throughput.name}: nothing reached the stream.")


def _metric(server: RunningServer, name: str) -> float:
    with urllib.request.urlopen(f"{server.endpoint}/metrics") as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
    return 0.0
