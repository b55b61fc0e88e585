"""
A start, up to the first answer, and what an idle server has in memory.

In turn with a build of an older commit, whose sources git gives; what they run on is
what is installed here, for both.
"""

from __future__ import annotations

import subprocess
import tarfile
import time
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple

import load
import machine
from machine import Cores
from millpond.testing.server import RunningServer
from results import Comparison, Figure, Results, median_ratio
from scenarios import target_of
from signed import Signer

BEFORE: Final = "5ab21a8"
STARTS: Final = 7
TIME_MOST: Final = 0.6
MEMORY_MOST: Final = 0.85
_IDLE_S: Final = 2.0  # then workers have looked at what there is once


class _Start(NamedTuple):
    seconds: float
    cpu_s: float | None
    mib: float | None


def measure(results: Results, folder: Path, cores: Cores) -> None:
    """Start both builds on new folders, in turn."""
    root = Path(__file__).parents[1]
    builds = {"now": root / "src"}
    try:
        builds["before"] = _sources(root, folder / "before")
    except (OSError, subprocess.CalledProcessError):
        results.notes.append(f"startup: git does not give commit {BEFORE} here")
    starts: dict[str, list[_Start]] = {name: [] for name in builds}
    for number in range(STARTS + 1):
        for name, sources in builds.items():
            began = _start(folder / f"start-{name}-{number}", sources, cores)
            if number:  # the first one compiles
                starts[name].append(began)
    for name, all_of_it in starts.items():
        for what, unit, values in _series(all_of_it):
            middle = sorted(values)[len(values) // 2]
            results.figures.append(Figure(f"start, {what}, {name}", middle, unit))
    if "before" in starts:
        ours, theirs = (_series(starts[name]) for name in ("now", "before"))
        for (what, unit, now), (_, _, before) in zip(ours, theirs, strict=True):
            most = MEMORY_MOST if unit == "MiB" else TIME_MOST
            results.comparisons.append(
                Comparison(
                    f"start, {what} / that of {BEFORE}",
                    median_ratio(now, before),
                    most=most,
                )
            )


def _series(starts: list[_Start]) -> list[tuple[str, str, list[float]]]:
    found = [
        ("to the first answer", "ms", [each.seconds * 1000 for each in starts]),
        ("processor", "ms", [e.cpu_s * 1000 for e in starts if e.cpu_s]),
        ("idle memory", "MiB", [each.mib for each in starts if each.mib]),
    ]
    return [row for row in found if row[2]]


def _start(data: Path, sources: Path, cores: Cores) -> _Start:
    prefix = [*cores.pin_server(), "env", f"PYTHONPATH={sources}"]
    began_s = time.perf_counter()
    with RunningServer(data, command_prefix=prefix) as server:
        target = target_of(server)
        load.probe(target, Signer(server, target).list_identity_pool_usage())
        seconds = time.perf_counter() - began_s
        cpu_s = machine.cpu_s(server.pid)
        time.sleep(_IDLE_S)
        return _Start(seconds, cpu_s, machine.memory_mib(server.pid, "VmRSS"))


def _sources(root: Path, target: Path) -> Path:
    """Unpack the sources of the older build."""
    packed = subprocess.run(
        ["git", "archive", BEFORE, "src"], cwd=root, capture_output=True, check=True
    )
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
        archive.extractall(target, filter="data")
    return target / "src"
