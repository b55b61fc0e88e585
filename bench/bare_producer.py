"""
What a stream takes from a bare producer: its driver, the payloads, and nothing else.

    python bare_producer.py (nats|file|sink) TARGET PAYLOADS

`sink` is not so bare: it puts the payloads, events that were encoded here, through the
sink of the URL, as the server would, with nothing before it.

Prints the seconds it took. The payloads are in memory before the clock starts; each
stands behind its length, four bytes.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import nats

from millpond.core.streaming import EncodedRecord, StreamRecord
from millpond.sinks import load_engine
from millpond.sinks.base import Sink
from millpond.workers.delivery import RECORDS_MAX

OUTSTANDING_MAX: Final = 2000  # acknowledgements that are waited for at a time
BATCH_BYTES: Final = 4 * 1024 * 1024  # that are synced together


def main() -> None:
    """Send everything."""
    kind, target, file = sys.argv[1:]
    payloads = read_payloads(Path(file))
    if kind == "nats":
        seconds = asyncio.run(_to_nats(target, payloads))
    elif kind == "sink":
        seconds = asyncio.run(_to_sink(target, payloads))
    else:
        seconds = _to_file(Path(target), payloads)
    print(f"{seconds:.6f}")


def write_payloads(file: Path, payloads: Sequence[bytes]) -> None:
    """Write what `read_payloads` reads."""
    with file.open("wb") as out:
        for each in payloads:
            out.write(len(each).to_bytes(4, "big") + each)


def read_payloads(file: Path) -> list[bytes]:
    """Read all payloads into memory."""
    data = file.read_bytes()
    found = []
    place = 0
    while place < len(data):
        end = place + 4 + int.from_bytes(data[place : place + 4], "big")
        found.append(data[place + 4 : end])
        place = end
    return found


async def _to_nats(target: str, payloads: Sequence[bytes]) -> float:
    """Publish with many acknowledgements outstanding, as the driver's manual has it."""
    url, _, subject = target.rpartition("/")
    client = await nats.connect(url)
    stream = client.jetstream(publish_async_max_pending=OUTSTANDING_MAX)
    started = time.perf_counter()
    acknowledgements = [await stream.publish_async(subject, each) for each in payloads]
    await asyncio.gather(*acknowledgements)
    seconds = time.perf_counter() - started
    await client.close()
    return seconds


async def _to_sink(target: str, payloads: Sequence[bytes]) -> float:
    """Put as many at a time as the server does."""
    sink: Sink = load_engine(target.partition(":")[0]).make_sink(target, None)
    await sink.open()
    started = time.perf_counter()
    batch: list[StreamRecord] = []
    size = 0
    for number, each in enumerate(payloads):
        batch.append(EncodedRecord(f"us-east-1:{number}", each, f"bench.{number}"))
        size += len(each)
        if size >= BATCH_BYTES or len(batch) == min(sink.records_max, RECORDS_MAX):
            assert not (await sink.put(batch)).failed
            batch, size = [], 0
    assert not (await sink.put(batch)).failed
    seconds = time.perf_counter() - started
    await sink.aclose()
    return seconds


def _to_file(target: Path, payloads: Sequence[bytes]) -> float:
    """Write lines, as many as make a batch at a time, each batch synced."""
    started = time.perf_counter()
    with target.open("wb", buffering=0) as out:
        lines: list[bytes] = []
        size = 0
        for each in payloads:
            lines += (each, b"\n")
            size += len(each)
            if size >= BATCH_BYTES:
                out.write(b"".join(lines))
                os.fdatasync(out.fileno())
                lines, size = [], 0
        out.write(b"".join(lines))
        os.fdatasync(out.fileno())
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
