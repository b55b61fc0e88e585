"""
Updates through a sync trigger, as a share of what its hook answers on its own.

The hook is the example of the documentation, which checks the signature and reads the
records with Python's own HTTP server. It runs beside the load, on the load's core: what
it costs is the developer's, and takes nothing from the server. Both are sent the same
event: a dataset of 20 records, of which one is patched.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import load
import machine
import scenarios
import seed
import signed
from load import Target
from millpond.core import sync_trigger
from millpond.core.sync import DatasetId, StoredRecord
from millpond.hooks import http
from millpond.testing.server import RunningServer
from results import Comparison, Results, Throughput, ratio

EXAMPLE: Final = Path(__file__).parents[1] / "examples" / "sync_trigger.py"
SECRET: Final = "the secret of the benchmark"
CONNECTIONS: Final = 32
LEAST: Final = 0.5
DATASET: Final = "updated-by-users"
NAME: Final = "UpdateRecords, 1 record, through a trigger"


def measure(
    results: Results,
    folder: Path,
    cores: machine.Cores,
    *,
    identities: int,
    rounds: int,
) -> None:
    """Measure the hook alone and updates through it, in turn."""
    data = seed.seed_sync(folder / "trigger", identities)
    settings = {"hook_private_networks": "true", "hook_secret": SECRET}
    server = RunningServer(
        folder / "trigger", settings=settings, command_prefix=cores.pin_server()
    )
    with server, _hook(cores) as hook:
        with contextlib.closing(server.client("cognito-sync")) as client:
            client.set_cognito_events(
                IdentityPoolId=seed.POOL,
                Events={"SyncTrigger": f"http://{hook.netloc}/"},
            )
        target = scenarios.target_of(server)
        updates = scenarios.Updates(
            server,
            signed.Signer(server, target, signed.Users(server)),
            data,
            dataset=DATASET,
            patches=1,
        )
        through = scenarios.Writes(
            Throughput(NAME, CONNECTIONS),
            target,
            folder / "through-trigger",
            cores,
            updates.make,
        )
        alone = scenarios.Reads(
            Throughput("the hook alone", CONNECTIONS),
            hook,
            folder / "hook-alone",
            cores,
        )
        event = _event_request(hook)
        load.probe(hook, event)
        load.write_requests(alone.requests, event, [event])
        scenarios.interleave([alone, through], rounds=rounds, seconds=2)
    results.throughputs += [alone.throughput, through.throughput]
    results.comparisons.append(
        Comparison(
            f"{NAME} / the hook alone",
            ratio(through.throughput, alone.throughput),
            least=LEAST,
        )
    )


@contextlib.contextmanager
def _hook(cores: machine.Cores) -> Iterator[Target]:
    process = subprocess.Popen(
        [*cores.pin_load(), sys.executable, str(EXAMPLE), "0"],
        env={**os.environ, "HOOK_SECRET": SECRET},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = urlsplit(process.stdout.readline().strip()).port
        if port is None:
            raise load.LoadError("The hook did not start.")
        yield Target("127.0.0.1", port, process.pid)
    finally:
        process.terminate()
        process.communicate()


def _event_request(hook: Target) -> bytes:
    """Write the request that the server sends for one of the updates."""
    records = {
        key: StoredRecord(key, seed.record_value(number), 1, seed.NOW_MS, "", None)
        for number in range(seed.RECORDS_PER_DATASET)
        for key in [seed.record_key(number)]
    }
    identity_id = seed.identity_ids(1)[0]
    event = sync_trigger.encode_event(
        sync_trigger.make_event(DatasetId(seed.POOL, identity_id, DATASET), records, [])
    )
    timestamp = str(int(time.time()))
    headers = [
        (b"host", hook.netloc.encode()),
        (b"content-type", b"application/json"),
        (b"x-millpond-timestamp", timestamp.encode()),
        (
            b"x-millpond-signature",
            http.sign(SECRET.encode(), timestamp, event).encode(),
        ),
    ]
    return signed.encode("POST", "/", headers, event)
