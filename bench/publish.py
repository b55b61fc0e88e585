"""A bulk publish beside `sqlite3 FILE .dump` of the same file."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import machine
import seed
from load import LoadError
from machine import Cores, MissingToolError
from millpond.stores.sqlite import FILE_NAME
from millpond.testing.server import RunningServer
from results import Comparison, Figure, Results, median_ratio

SQLITE_HINT: Final = "apt-get install sqlite3"
PUBLISH_S_MAX: Final = 120.0
POLL_S: Final = 0.1


def measure(
    results: Results, folder: Path, cores: Cores, *, records: int, rounds: int
) -> None:
    """Seed once, then dump and publish in turn, each time a fresh copy."""
    template = folder / "publish-template"
    count = seed.seed_publish(template, records)
    dumps: list[float] = []
    publishes: list[float] = []
    peaks: list[float] = []
    for number in range(rounds):
        copy = folder / f"publish-{number}"
        shutil.copytree(template, copy)
        try:
            dumps.append(count / dump_s(copy / FILE_NAME, cores))
        except MissingToolError as error:
            if not number:
                results.notes.append(f"no .dump: {error}")
        seconds, peak_mib = publish(copy, cores, expected=count)
        publishes.append(count / seconds)
        if peak_mib is not None:
            peaks.append(peak_mib)
        shutil.rmtree(copy)
    name = f"bulk publish of {count:,} records"
    results.figures.append(Figure(name, statistics.median(publishes), "records/s"))
    if dumps:
        results.figures.append(
            Figure("sqlite3 .dump", statistics.median(dumps), "records/s")
        )
        value = median_ratio(publishes, dumps)
        results.comparisons.append(Comparison("bulk publish / .dump", value, least=0.9))
    if peaks:
        results.comparisons.append(
            Comparison(f"{name}, peak memory", max(peaks), "MiB", most=150)
        )


def dump_s(file: Path, cores: Cores, *, target: Path = Path(os.devnull)) -> float:
    """Time a dump on the core of the server; nobody has the file open."""
    shell = machine.need("sqlite3", SQLITE_HINT)
    command = [*cores.pin_server(), shell, str(file), ".dump"]
    with target.open("wb") as out:
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=out)
        return time.perf_counter() - started


def publish(
    folder: Path,
    cores: Cores,
    *,
    expected: int = 0,
    settings: Mapping[str, str] | None = None,
) -> tuple[float, float | None]:
    """
    Publish; return the seconds it took by its own clock, and the peak memory.

    Args:
        expected: whether there must be something in the embedded stream in the end.
    """
    with RunningServer(
        folder, settings=settings, command_prefix=cores.pin_server()
    ) as server:
        took_s = publish_on(server)
        peak_mib = machine.memory_mib(server.pid, "VmHWM")
        if expected:
            check_delivery(server)
    return took_s, peak_mib


def publish_on(server: RunningServer) -> float:
    """Publish from a server that runs; return the seconds by its own clock."""
    client = server.client("cognito-sync")
    started = time.perf_counter()
    client.bulk_publish(IdentityPoolId=seed.POOL)
    details = _wait(client)
    wall_s = time.perf_counter() - started
    took = details["BulkPublishCompleteTime"] - details["BulkPublishStartTime"]
    took_s: float = took.total_seconds()
    if took_s > wall_s + POLL_S:
        raise LoadError(f"Published in {took}, but {wall_s:.1f} s went by.")
    return took_s


def _wait(client: Any) -> Any:
    deadline = time.monotonic() + PUBLISH_S_MAX
    while time.monotonic() < deadline:
        details = client.get_bulk_publish_details(IdentityPoolId=seed.POOL)
        if details["BulkPublishStatus"] == "SUCCEEDED":
            return details
        if details["BulkPublishStatus"] != "IN_PROGRESS":
            raise LoadError(f"The bulk publish failed: {details}")
        time.sleep(POLL_S)
    raise LoadError(f"The bulk publish took more than {PUBLISH_S_MAX:g} s.")


def check_delivery(server: RunningServer) -> None:
    """Look into the stream: a fast publish that delivers nothing is none."""
    kinesis = server.client("kinesis")
    shards = kinesis.list_shards(StreamName=seed.STREAM)["Shards"]
    iterator = kinesis.get_shard_iterator(
        StreamName=seed.STREAM,
        ShardId=shards[0]["ShardId"],
        ShardIteratorType="TRIM_HORIZON",
    )["ShardIterator"]
    found = kinesis.get_records(ShardIterator=iterator, Limit=1)["Records"]
    if not found:
        raise LoadError("The bulk publish succeeded, but its stream is empty.")
