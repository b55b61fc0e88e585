"""
The load generator: wrk, which sends prepared requests as they are.

Everything that costs the client time (signing, JSON) is done before a round, so that
wrk only writes and reads. Whether it kept up is measured in every round and not
believed: `Round` holds the share of a core that wrk and the server used.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import machine

SCRIPT: Final = Path(__file__).with_name("load.lua")
WRK_HINT: Final = "apt-get install wrk, or brew install wrk"
ROUND_S_MAX: Final = 20  # a round of counted requests that takes longer is broken
ERRORS: Final = ("status", "connect", "read", "write", "timeout")


class LoadError(Exception):
    """Requests were not answered with success, so there is nothing to compare."""


@dataclass(frozen=True)
class Target:
    """A server under load."""

    host: str
    port: int
    pid: int

    @property
    def netloc(self) -> str:
        """What a Host header says."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Round:
    """What one round of load measured."""

    answered: int
    seconds: float
    p50_ms: float
    p99_ms: float
    load_core: float  # share of a core that wrk used
    server_core: float | None  # and the server, with all its threads
    server_us: float | None  # processor time of the server per request

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answered / self.seconds


def write_requests(path: Path, padding: bytes, requests: Sequence[bytes]) -> Path:
    """Write a file that `run` sends; `padding` must be harmless and may be repeated."""
    with path.open("wb") as file:
        for request in (padding, *requests):
            file.write(b"%d\n" % len(request))
            file.write(request)
    return path


def run(
    target: Target,
    requests: Path,
    *,
    connections: int,
    cores: machine.Cores,
    seconds: int | None = None,
) -> Round:
    """
    Send the requests of a file from one thread.

    Args:
        seconds: send them again and again for so long; None sends each of them once.
    Raises:
        LoadError: an answer was not a success, or a connection failed.
    """
    command = [
        *cores.pin_load(),
        *(machine.need("wrk", WRK_HINT), "-t1", f"-c{connections}"),
        *(f"-d{seconds or ROUND_S_MAX}s", "--timeout", "5s", "-s", str(SCRIPT)),
        *(f"http://{target.netloc}/", "--", str(requests), str(connections)),
        "once" if seconds is None else "cycle",
    ]
    server_before, load_before = machine.cpu_s(target.pid), machine.children_cpu_s()
    started = time.monotonic()
    ended = subprocess.run(command, capture_output=True, text=True)
    wall_s = time.monotonic() - started
    server_after, load_after = machine.cpu_s(target.pid), machine.children_cpu_s()
    said = _result(ended, once=seconds is None)
    server_s = None
    if server_before is not None and server_after is not None:
        server_s = server_after - server_before
    return Round(
        answered=said["answered"],
        seconds=said["seconds"],
        p50_ms=said["p50_ms"],
        p99_ms=said["p99_ms"],
        load_core=(load_after - load_before) / wall_s,
        server_core=None if server_s is None else server_s / wall_s,
        # Padding is counted here: it took the server's time as well.
        server_us=None if server_s is None else server_s / said["all"] * 1e6,
    )


def _result(ended: subprocess.CompletedProcess[str], *, once: bool) -> dict[str, Any]:
    if ended.returncode != 0 or "{" not in ended.stdout:
        raise LoadError(f"wrk failed: {ended.stderr.strip() or ended.stdout.strip()}")
    said: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    bad = {name: said[name] for name in ERRORS if said[name]}
    if bad:
        raise LoadError(f"{said['answered']} requests, and errors by kind: {bad}")
    if once and not said["used_up"]:
        raise LoadError(f"The requests did not end within {ROUND_S_MAX} s.")
    return said


def probe(target: Target, request: bytes) -> bytes:
    """
    Send one request and return the body of the answer.

    Raises:
        LoadError: the status is not one of success; the message shows the answer.
    """
    with socket.create_connection((target.host, target.port), timeout=10) as sock:
        sock.sendall(request)
        response = http.client.HTTPResponse(sock)
        response.begin()
        body = response.read()
    if not 200 <= response.status < 300:
        line = request.split(b"\r\n", 1)[0].decode()
        raise LoadError(f"{line}: {response.status} {body[:500]!r}")
    return body
