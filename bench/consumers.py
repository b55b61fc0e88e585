"""
What a consumer costs the server: GetRecords of a bulk publish, in JSON and in CBOR.

Both ask for the same page again and again, so the ratio of the requests is that of the
records. The page is what a bulk publish leaves: datasets of 20 records each.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import load
import machine
import scenarios
import seed
from load import LoadError, Target
from millpond.testing.server import RunningServer, wait_until
from millpond.wire import cbor
from millpond.wire.sigv4.signer import Outgoing, sign
from results import Comparison, Results, Throughput, processor_ratio, ratio
from signed import encode

CONNECTIONS: Final = 4
PAGE: Final = 500
LEAST: Final = 1.3  # CBOR, to JSON
_SHARD: Final = "shardId-000000000000"


def measure(
    results: Results, folder: Path, cores: machine.Cores, *, rounds: int
) -> None:
    """Publish a pool in bulk, and read a page of it in both spellings in turn."""
    seed.seed_sync(folder / "consumers", PAGE)
    with RunningServer(
        folder / "consumers", command_prefix=cores.pin_server()
    ) as server:
        iterator = _publish(server)
        target = scenarios.target_of(server)
        in_json = _reads(
            server, target, folder, cores, "json", json.dumps(iterator).encode(), _parse
        )
        in_cbor = _reads(server, target, folder, cores, "cbor", _spell(iterator), _read)
        scenarios.interleave([in_json, in_cbor], rounds=rounds, seconds=2)
    results.throughputs += [in_json.throughput, in_cbor.throughput]
    results.comparisons.append(
        Comparison(
            "GetRecords, CBOR / JSON",
            ratio(in_cbor.throughput, in_json.throughput),
            least=LEAST,
            by_processor=processor_ratio(in_cbor.throughput, in_json.throughput),
        )
    )


def _publish(server: RunningServer) -> dict[str, Any]:
    """Publish the pool; give what asks for the first page of what was published."""
    with (
        contextlib.closing(server.client("cognito-sync")) as sync,
        contextlib.closing(server.client("kinesis")) as kinesis,
    ):
        kinesis.create_stream(StreamName="consumed", ShardCount=1)
        sync.set_identity_pool_configuration(
            IdentityPoolId=seed.POOL,
            CognitoStreams={"StreamName": "consumed", "StreamingStatus": "ENABLED"},
        )
        sync.bulk_publish(IdentityPoolId=seed.POOL)
        wait_until(
            lambda: (
                sync.get_bulk_publish_details(IdentityPoolId=seed.POOL)[
                    "BulkPublishStatus"
                ]
                == "SUCCEEDED"
            ),
            timeout_s=120,
        )
        answer = kinesis.get_shard_iterator(
            StreamName="consumed", ShardId=_SHARD, ShardIteratorType="TRIM_HORIZON"
        )
    return {"ShardIterator": answer["ShardIterator"], "Limit": PAGE}


def _reads(
    server: RunningServer,
    target: Target,
    folder: Path,
    cores: machine.Cores,
    spelling: str,
    body: bytes,
    count: Callable[[bytes], int],
) -> scenarios.Reads:
    request = _signed(server, target, spelling, body)
    found = count(load.probe(target, request))
    if found != PAGE:
        raise LoadError(f"Expected {PAGE} records, not {found}.")
    path = load.write_requests(folder / f"get-records-{spelling}", request, [request])
    name = f"GetRecords, {PAGE} records, {spelling.upper()}"
    return scenarios.Reads(Throughput(name, CONNECTIONS), target, path, cores)


def _signed(server: RunningServer, target: Target, spelling: str, body: bytes) -> bytes:
    headers = [
        (b"host", target.netloc.encode()),
        (b"content-type", f"application/x-amz-{spelling}-1.1".encode()),
        (b"x-amz-target", b"Kinesis_20131202.GetRecords"),
    ]
    headers += sign(
        Outgoing("POST", b"/", b"", headers, body),
        access_key_id=server.access_key_id,
        secret=server.secret_access_key,
        region=server.region,
        service="kinesis",
        now_s=time.time(),
    )
    return encode("POST", "/", headers, body)


def _spell(asked: dict[str, Any]) -> bytes:
    return cbor.head(cbor.MAP, len(asked)) + b"".join(
        cbor.text(name) + (cbor.text if isinstance(each, str) else cbor.integer)(each)
        for name, each in asked.items()
    )


def _parse(answer: bytes) -> int:
    return len(json.loads(answer)["Records"])


def _read(answer: bytes) -> int:
    return len(cbor.Reader(answer).read()["Records"])
