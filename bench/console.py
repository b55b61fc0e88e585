"""
The console: what a page costs, what viewers cost others, and what it costs unseen.

Pages are those of a store with many identities. While somebody watches a bulk publish,
its progress is written by this process, as another server's worker would: so there is
something new at each look, and the server does nothing else but take updates.
"""

from __future__ import annotations

import asyncio
import http.client
import itertools
import select
import socket
import statistics
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import console_seed
import load
import machine
import seed
from load import LoadError, Target
from machine import Cores
from millpond.core import bulk_publish
from millpond.core.bulk_publish import BulkPublishRun, Counts, LeasedSlice
from millpond.core.identity_pools import IdentityPool
from millpond.stores.base import Store
from millpond.stores.sqlite import SqliteStore
from millpond.testing.server import RunningServer
from results import Comparison, Figure, Results, Throughput, processor_ratio, ratio
from scenarios import HIGH_RATES, Updates, Writes, target_of
from signed import Signer

VIEWERS: Final = 10
SLICES: Final = 16
PAGE_MS_MAX: Final = 200
PROCESSOR_MS_MAX: Final = 3
WARM: Final = 5
STARTS: Final = 7
LEASE_MS: Final = 10_000  # not longer than the server's own, or it would take it over
_PATHS: Final = {
    "overview": "",
    "pools": "/pools",
    "a pool": "/pools/{pool}",
    "identities of a pool, 50 of them": "/identities?pool={pool}",
    "an identity": "/identities/{identity}",
    "a dataset of 20 records": "/identities/{identity}/datasets/listed",
    "streams": "/streams",
    "a stream, 20 records": "/streams/{stream}",
    "bulk publish": "/pools/{pool}/publish",
    "outbox": "/outbox",
    "the outbox of a pool, 20 parked": "/pools/{pool}/outbox",
    "a parked change": "/pools/{pool}/outbox/parked/{parked}",
    "keys": "/keys",
    "audit": "/audit",
    "settings, a hundred rows": "/settings",
    "connect": "/connect",
}


def measure(
    results: Results, folder: Path, cores: Cores, *, identities: int, rounds: int
) -> None:
    """Seed once; then pages, viewers, and servers that nobody looks at."""
    data = console_seed.seed_console(folder / "console", identities)
    with RunningServer(
        folder / "console", settings=HIGH_RATES, command_prefix=cores.pin_server()
    ) as server:
        target = target_of(server)
        before_mib = machine.memory_mib(server.pid, "VmRSS")
        cookie = _log_in(server, target)
        _measure_pages(results, target, cookie, data, identities)
        after_mib = machine.memory_mib(server.pid, "VmRSS")
        if before_mib is not None and after_mib is not None:
            looked_at = Figure(
                "console, memory of looking", after_mib - before_mib, "MiB"
            )
            results.figures.append(looked_at)
        _measure_viewers(results, folder, server, cookie, data, cores, rounds)
    _measure_unseen(results, folder, cores)


# --- Pages ---


def _measure_pages(
    results: Results, target: Target, cookie: str, data: seed.SyncData, identities: int
) -> None:
    values = {
        "pool": seed.POOL,
        "identity": data.identity_ids[7],
        "stream": seed.STREAM,
        "parked": "7",
    }
    slowest: tuple[float, str] = (0.0, "")
    dearest: tuple[float, str] = (0.0, "")
    for name, path in _PATHS.items():
        times_ms, processor_ms = _time(
            target, "/console" + path.format(**values), cookie
        )
        if not times_ms:
            results.notes.append(f"console: there is no page for '{name}'")
            continue
        slowest = max(slowest, (times_ms[-1], name))
        results.figures.append(
            Figure(f"console, {name}, p50", statistics.median(times_ms) * 1000, "us")
        )
        if processor_ms is not None:
            if "50" not in name and "hundred" not in name:  # it is of twenty rows
                dearest = max(dearest, (processor_ms, name))
            results.figures.append(
                Figure(f"console, {name}, processor", processor_ms * 1000, "us")
            )
    name = f"console, slowest page of {identities:,} identities ({slowest[1]})"
    results.comparisons.append(Comparison(name, slowest[0], "ms", most=PAGE_MS_MAX))
    name = f"console, dearest page, processor ({dearest[1]})"
    results.comparisons.append(
        Comparison(name, dearest[0], "ms", most=PROCESSOR_MS_MAX)
    )


def _time(
    target: Target, path: str, cookie: str, count: int = 100
) -> tuple[list[float], float | None]:
    """Ask for a page again and again: times in order, and processor time for each."""
    connection = http.client.HTTPConnection(target.host, target.port, timeout=30)
    times_ms: list[float] = []
    processor_s: float | None = 0.0
    headers = {"cookie": cookie, "sec-fetch-site": "none", "accept": "text/html"}
    for number in range(WARM + count):
        if number == WARM:
            processor_s = machine.cpu_s(target.pid)
        started = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if number >= WARM:
            times_ms.append((time.perf_counter() - started) * 1000)
        if answer.status == 404:
            return [], None
        if answer.status != 200:
            raise LoadError(f"{path}: {answer.status} {body[:300]!r}")
    after_s = machine.cpu_s(target.pid)
    connection.close()
    if processor_s is None or after_s is None:
        return sorted(times_ms), None
    return sorted(times_ms), (after_s - processor_s) / count * 1000


def _log_in(server: RunningServer, target: Target) -> str:
    form = {
        "access_key_id": server.access_key_id,
        "secret_access_key": server.secret_access_key,
    }
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "origin": server.endpoint,
        "sec-fetch-site": "same-origin",
    }
    connection = http.client.HTTPConnection(target.host, target.port, timeout=30)
    connection.request("POST", "/console/login", urlencode(form).encode(), headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    cookies = SimpleCookie("\r\n".join(answer.headers.get_all("set-cookie", [])))
    if answer.status != 303 or not cookies:
        raise LoadError(f"Logging in to the console: {answer.status}.")
    return "; ".join(f"{name}={each.value}" for name, each in cookies.items())


# --- Viewers ---


def _measure_viewers(
    results: Results,
    folder: Path,
    server: RunningServer,
    cookie: str,
    data: seed.SyncData,
    cores: Cores,
    rounds: int,
) -> None:
    target = target_of(server)
    updates = Updates(
        server, Signer(server, target), data, dataset="updated-1", patches=1
    )
    name = "UpdateRecords beside a bulk publish"
    alone = Writes(Throughput(name, 32), target, folder / "alone", cores, updates.make)
    watched = Writes(
        Throughput(f"{name}, {VIEWERS} viewers", 32),
        target,
        folder / "watched",
        cores,
        updates.make,
    )
    request = (
        f"GET /console/pools/{seed.POOL}/publish/live HTTP/1.1\r\n"
        f"host: {target.netloc}\r\ncookie: {cookie}\r\n"
        "sec-fetch-site: same-origin\r\n\r\n"
    ).encode()
    with _publishing(server.data):
        for _ in range(rounds):
            alone.throughput.rounds.append(alone.round(2))
            with _viewers(target, request) as seen:
                watched.throughput.rounds.append(watched.round(2))
            if min(seen) < 2:
                raise LoadError(f"Viewers saw {seen} changes of a bulk publish.")
    results.throughputs += [alone.throughput, watched.throughput]
    results.comparisons.append(
        Comparison(
            f"{watched.throughput.name} / without",
            ratio(watched.throughput, alone.throughput),
            least=0.97,
            by_processor=processor_ratio(watched.throughput, alone.throughput),
        )
    )


@contextmanager
def _viewers(target: Target, request: bytes) -> Iterator[list[int]]:
    """Look on; gives how many changes each viewer has seen."""
    sockets = [
        socket.create_connection((target.host, target.port)) for _ in range(VIEWERS)
    ]
    seen = [0] * VIEWERS
    for each in sockets:
        each.sendall(request)
    over = threading.Event()

    def read() -> None:
        numbers = {each: n for n, each in enumerate(sockets)}
        while not over.is_set():
            for each in select.select(sockets, [], [], 0.2)[0]:
                seen[numbers[each]] += each.recv(65536).count(b"event: part")

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield seen
    finally:
        over.set()
        reader.join()
        for each in sockets:
            each.close()


@contextmanager
def _publishing(folder: Path) -> Iterator[None]:
    """Let a bulk publish go on, as a worker elsewhere would do it."""
    over, started = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            asyncio.run(_publish(folder, started, over))
        except BaseException as error:
            failures.append(error)
            started.set()

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    started.wait()
    try:
        if not failures:
            yield
    finally:
        over.set()
        worker.join()
    if failures:
        raise LoadError(f"The bulk publish did not go on: {failures[0]}")


async def _publish(
    folder: Path, started: threading.Event, over: threading.Event
) -> None:
    store = SqliteStore(folder)
    await store.open()
    try:
        slices = await store.cut_bulk_publish("us-east-1", SLICES)
        await store.start_bulk_publish(seed.POOL, _start, slices)
        # Together, so that the server's own worker finds none of them.
        leases = await asyncio.gather(*(_lease(store, n) for n in range(SLICES)))
        held = [each for each in leases if each is not None]
        started.set()
        for number in itertools.count(1):
            if over.is_set():
                break
            for each in held:
                counts = Counts(number, 20 * number, 2000 * number)
                until_ms = _now_ms() + LEASE_MS
                await store.checkpoint_slice(
                    each, None, counts, lease_until_ms=until_ms
                )
            await asyncio.sleep(0.3)
        await store.fail_bulk_publish(
            held[0], lambda run: bulk_publish.fail(run, message="It was for show.")
        )
    finally:
        await store.aclose()


async def _lease(store: Store, number: int) -> LeasedSlice | None:
    return await store.lease_slice(
        f"bench {number}", now_ms=_now_ms(), lease_ms=LEASE_MS
    )


def _start(pool: IdentityPool, last: BulkPublishRun) -> BulkPublishRun:
    return bulk_publish.start(
        last,
        run_id=str(uuid.uuid4()),
        stream=console_seed.ENABLED,
        now_ms=_now_ms(),
        pause_s=0,
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


# --- Unseen ---


def _measure_unseen(results: Results, folder: Path, cores: Cores) -> None:
    """Start servers with and without a console that nobody looks at, in turn."""
    took: dict[str, list[float]] = {"auto": [], "off": []}
    memory: dict[str, list[float]] = {"auto": [], "off": []}
    for number in range(2 * STARTS):
        setting = ("auto", "off")[number % 2]
        place = folder / f"unseen-{number}"
        started = time.perf_counter()
        with RunningServer(
            place, settings={"console": setting}, command_prefix=cores.pin_server()
        ) as server:
            took[setting].append(time.perf_counter() - started)
            target = target_of(server)
            request = f"GET /healthz HTTP/1.1\r\nhost: {target.netloc}\r\n\r\n"
            load.probe(target, request.encode())
            mib = machine.memory_mib(server.pid, "VmRSS")
            if mib is not None:
                memory[setting].append(mib)
    shares = [a / b for a, b in zip(took["auto"], took["off"], strict=True)]
    results.comparisons.append(
        Comparison(
            "start with a console / without", statistics.median(shares), most=1.05
        )
    )
    if memory["auto"]:
        more = statistics.median(memory["auto"]) - statistics.median(memory["off"])
        name = "console that nobody looks at, memory"
        results.comparisons.append(Comparison(name, more, "MiB", most=4))
