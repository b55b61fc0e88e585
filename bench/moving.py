"""
Moving a pool in, beside `millpond store copy` of the same data in the same run.

The source is a server on the core of the servers, and the command has the core of the
load; so has `store copy`, which needs no server and compares both stores in the end.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import seed
from load import LoadError
from machine import Cores
from millpond.core.identity_pools import IdentityPool
from millpond.stores.copying import DatasetRow, IdentityRow, Kind, RecordRow
from millpond.stores.sqlite import SqliteStore
from millpond.testing.server import RunningServer
from results import Comparison, Figure, Results, median_ratio

DATASETS: Final = 4  # of an identity
RECORDS: Final = 50  # of a dataset
AT_ONCE: Final = 200  # identities in a transaction while seeding
ALLOWED_PER_S: Final = 100  # calls, under a throttle
BURST_S: Final = 60  # a server lets so many seconds' worth through at once
THROTTLED_IDENTITIES: Final = 2400


def measure(
    results: Results, folder: Path, cores: Cores, *, records: int, rounds: int
) -> None:
    """Copy the same pool both ways in turn; then once under a throttle."""
    place = folder / "moving"
    place.mkdir()
    identities = records // (DATASETS * RECORDS)
    count = identities * DATASETS * RECORDS
    (place / "source").mkdir()
    asyncio.run(_seed(place / "source", identities))
    shutil.copytree(place / "source", place / "copied")  # that one is not in use
    moves, copies, peaks = [], [], []
    with RunningServer(place / "source", command_prefix=cores.pin_server()) as server:
        for _ in range(rounds):
            moved_s, peak_mib, _ = _move(place, cores, server)
            moves.append(count / moved_s)
            peaks.append(peak_mib)
            copies.append(count / _copy(place, cores))
    name = f"import copy of {count:,} records"
    results.figures.append(Figure(name, statistics.median(moves), "records/s"))
    results.figures.append(
        Figure("store copy of the same", statistics.median(copies), "records/s")
    )
    value = median_ratio(moves, copies)
    results.comparisons.append(Comparison("import copy / store copy", value, least=0.5))
    results.comparisons.append(
        Comparison(f"{name}, peak memory", max(peaks), "MiB", most=200)
    )
    shutil.rmtree(place / "source")
    shutil.rmtree(place / "copied")
    _measure_throttled(results, place, cores)
    shutil.rmtree(place)


def _measure_throttled(results: Results, place: Path, cores: Cores) -> None:
    (place / "source").mkdir()
    asyncio.run(_seed(place / "source", THROTTLED_IDENTITIES))
    with RunningServer(
        place / "source",
        settings={"rate_developer_max": str(ALLOWED_PER_S)},
        command_prefix=cores.pin_server(),
    ) as server:
        took_s, _, copied = _move(place, cores, server)
    answered = copied["Requests"] - copied["Throttled"]
    allowed = ALLOWED_PER_S * (BURST_S + took_s)
    value = answered / allowed
    results.comparisons.append(
        Comparison(
            f"import copy under {ALLOWED_PER_S} calls a second, of these used",
            value,
            least=0.9,
        )
    )


def _move(
    place: Path, cores: Cores, server: RunningServer
) -> tuple[float, float, dict[str, Any]]:
    """Import the pool into a new store: seconds, peak in MiB, what it printed."""
    target = place / "target"
    _run(["store", "create", "--data", str(target)], cores, {})
    words = ["import", "copy", seed.POOL, "--data", str(target)]
    words += ["--endpoint-url", server.endpoint, "--output", "json"]
    took_s, peak_mib, printed = _run(words, cores, server.environment())
    shutil.rmtree(target)
    return took_s, peak_mib, json.loads(printed)


def _copy(place: Path, cores: Cores) -> float:
    """Copy the store: seconds."""
    target = place / "target"
    words = ["store", "copy", str(place / "copied"), str(target)]
    took_s, _, _ = _run(words, cores, {})
    shutil.rmtree(target)
    return took_s


def _run(
    words: list[str], cores: Cores, environment: Mapping[str, str]
) -> tuple[float, float, str]:
    command = [*cores.pin_load(), sys.executable, "-m", "millpond", *words]
    began = time.perf_counter()
    with subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        printed, told = process.stdout.read(), process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    took_s = time.perf_counter() - began
    if process.returncode:
        raise LoadError(f"{words[:2]} ended with {process.returncode}: {told}")
    return took_s, usage.ru_maxrss / 1024, printed


async def _seed(folder: Path, identities: int) -> None:
    store = SqliteStore(folder)
    await store.open()
    await store.create_identity_pool(
        IdentityPool(
            identity_pool_id=seed.POOL,
            identity_pool_name="bench",
            allow_unauthenticated_identities=True,
        ),
        pools_max=1,
    )
    ids = list(seed.identity_ids(identities))
    for begin in range(0, len(ids), AT_ONCE):
        part = ids[begin : begin + AT_ONCE]
        at = str(begin).encode()
        rows = [IdentityRow(e, seed.POOL, 1, 1, True, None, ()) for e in part]
        await store.import_(Kind.IDENTITIES, rows, position=at)
        sets = [_dataset(e, f"set-{n}") for e in part for n in range(DATASETS)]
        await store.import_(Kind.DATASETS, sets, position=at)
        records = [_record(each, n) for each in sets for n in range(RECORDS)]
        await store.import_(Kind.RECORDS, records, position=at)
    await store.end_copy()
    await store.aclose()


def _dataset(identity_id: str, name: str) -> DatasetRow:
    size = RECORDS * (len(seed.record_key(0)) + seed.VALUE_CHARS)
    return DatasetRow(
        identity_id=identity_id,
        identity_pool_id=seed.POOL,
        dataset_name=name,
        sync_count=RECORDS,
        live=True,
        horizon=0,
        creation_date_ms=seed.NOW_MS,
        last_modified_date_ms=seed.NOW_MS,
        last_modified_by="bench",
        num_records=RECORDS,
        data_storage=size,
        root_dataset_name=None,
    )


def _record(dataset: DatasetRow, number: int) -> RecordRow:
    return RecordRow(
        identity_id=dataset.identity_id,
        identity_pool_id=seed.POOL,
        dataset_name=dataset.dataset_name,
        record_key=seed.record_key(number),
        sync_count=number + 1,
        last_modified_date_ms=seed.NOW_MS,
        last_modified_by="bench",
        device_last_modified_date_ms=seed.NOW_MS,
        value=seed.record_value(number),
    )
