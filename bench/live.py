"""
Live updates: how long a change takes to its listener, and what a listener costs.

The time is taken from the sending of the update to the arrival of the event, so the
update itself is in it, from its signature to its durable commit.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import machine
import seed
from load import LoadError, Target
from machine import Cores
from millpond.testing.server import RunningServer
from results import Comparison, Figure, Results
from scenarios import Updates, target_of
from signed import Signer

LISTENERS: Final = 500  # each of another identity
IDLE: Final = 2000
CHANGES_PER_S: Final = 500
CONNECTIONS: Final = 32  # that the changes come from
ARRIVE_S_MAX: Final = 20.0
DATASET: Final = "updated-1"


class Listener(asyncio.Protocol):
    """A connection that takes events, and the time when each of them came."""

    def __init__(self, request: bytes) -> None:
        self.arrived: list[float] = []
        self.connected: asyncio.Future[None] = asyncio.Future()
        self._request = request
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for live updates."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take whole messages; a comment is none of interest."""
        *messages, self._buffer = (self._buffer + data).split(b"\n\n")
        for message in messages:
            if b"data: " in message:
                self.arrived.append(time.perf_counter())
            elif b": connected" in message and not self.connected.done():
                self.connected.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell whoever waits for the connection that there is none."""
        if not self.connected.done():
            self.connected.set_exception(LoadError(f"Refused: {self._buffer[:200]!r}"))

    def close(self) -> None:
        """Go away."""
        self._transport.close()


def measure(results: Results, folder: Path, cores: Cores, *, seconds: int) -> None:
    """Measure the memory of idle listeners first, then the way of changes to some."""
    data = seed.seed_sync(folder / "live", LISTENERS)
    with RunningServer(
        folder / "live",
        settings={"live_listeners_max": str(IDLE)},
        command_prefix=cores.pin_server(),
    ) as server:
        signer = Signer(server, target_of(server))
        updates = Updates(server, signer, data, dataset=DATASET, patches=1)
        listen = [signer.get_live_updates(each) for each in data.identity_ids]
        count = CHANGES_PER_S * seconds
        _, changes = updates.make(count)
        with _pinned(cores):
            idle_mib, times = asyncio.run(_run(target_of(server), listen, changes))
    times_ms = sorted(each * 1000 for each in times)
    name = f"change to listener, {CHANGES_PER_S}/s to {LISTENERS}"
    p99_ms = times_ms[int(len(times_ms) * 0.99)]
    results.figures.append(Figure(f"{name}, p50", statistics.median(times_ms), "ms"))
    results.comparisons.append(Comparison(f"{name}, p99", p99_ms, "ms", most=50))
    if idle_mib is not None:
        name = f"{IDLE:,} idle listeners, memory"
        results.comparisons.append(Comparison(name, idle_mib, "MiB", most=150))


@contextmanager
def _pinned(cores: Cores) -> Iterator[None]:
    """Keep this process on the core of the load."""
    if cores.load is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cores.load})
    yield
    os.sched_setaffinity(0, before)


async def _run(
    target: Target, listen: Sequence[bytes], changes: Sequence[bytes]
) -> tuple[float | None, list[float]]:
    requests = itertools.islice(itertools.cycle(listen), IDLE)
    listeners = [await _connect(target, each) for each in requests]
    idle_mib = machine.memory_mib(target.pid, "VmRSS")
    for each in listeners[LISTENERS:]:
        each.close()
    sent = await _send(target, changes)
    # The changes go around the identities, as the listeners do.
    deadline = time.monotonic() + ARRIVE_S_MAX
    while sum(len(each.arrived) for each in listeners[:LISTENERS]) < len(changes):
        if time.monotonic() > deadline:
            raise LoadError("Not every change has come to its listener.")
        await asyncio.sleep(0.05)
    arrived = [
        listeners[n % LISTENERS].arrived[n // LISTENERS] for n in range(len(sent))
    ]
    for each in listeners[:LISTENERS]:
        each.close()
    return idle_mib, [end - start for start, end in zip(sent, arrived, strict=True)]


async def _connect(target: Target, request: bytes) -> Listener:
    _, listener = await asyncio.get_running_loop().create_connection(
        lambda: Listener(request), target.host, target.port
    )
    await listener.connected
    return listener


async def _send(target: Target, changes: Sequence[bytes]) -> list[float]:
    """Send changes at their rate, in turn over the connections; give the times."""
    connections = [
        await asyncio.open_connection(target.host, target.port)
        for _ in range(CONNECTIONS)
    ]
    answers = [asyncio.create_task(_check_answers(reader)) for reader, _ in connections]
    sent: list[float] = []
    started = time.perf_counter()
    for number, request in enumerate(changes):
        due = started + number / CHANGES_PER_S
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        _, writer = connections[number % CONNECTIONS]
        sent.append(time.perf_counter())
        writer.write(request)
        await writer.drain()
    for _, writer in connections:
        writer.write_eof()
    await asyncio.gather(*answers)
    for _, writer in connections:
        writer.close()
    return sent


async def _check_answers(reader: asyncio.StreamReader) -> None:
    """Read answers to the end; each must be one of success."""
    rest = b""
    while data := await reader.read(65536):
        *lines, rest = (rest + data).split(b"\r\n")
        for line in lines:
            if line.startswith(b"HTTP/1.1 ") and b" 200 " not in line:
                raise LoadError(f"An update was not made: {line.decode()}")
