"""The machine: which cores to use, which tools there are, what a process has used."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple


class MissingToolError(Exception):
    """A program that the benchmark needs is not installed."""


class Cores(NamedTuple):
    """Where the server and the load run; None where they cannot be pinned."""

    server: int | None
    load: int | None
    others: tuple[int, ...] = ()

    def pin_server(self) -> list[str]:
        """What to put before a server's command."""
        return _pin(self.server)

    def pin_load(self) -> list[str]:
        """What to put before the command of whatever drives a server."""
        return _pin(self.load)

    def pin_second(self) -> list[str]:
        """What to put before the command of a second server."""
        return _pin(self.others[0] if self.others else self.load)

    def pin_database(self) -> list[str]:
        """What to put before the command of a database behind the servers."""
        return _pin(self.others[1] if len(self.others) > 1 else self.load)

    def describe(self) -> str:
        """Say it in words."""
        if self.server is None:
            return "not pinned: it takes taskset and two cores"
        return f"server on core {self.server}, load on core {self.load}"


def _pin(core: int | None) -> list[str]:
    return [] if core is None else ["taskset", "-c", str(core)]


def choose_cores() -> Cores:
    """Choose two cores, of two different physical ones where there are any."""
    if not hasattr(os, "sched_getaffinity") or shutil.which("taskset") is None:
        return Cores(None, None)
    first, *others = sorted(os.sched_getaffinity(0))
    if not others:
        return Cores(None, None)
    siblings = _siblings(first)
    apart = [core for core in others if core not in siblings]
    chosen = (apart or others)[0]
    return Cores(first, chosen, tuple(each for each in others if each != chosen))


def _siblings(core: int) -> set[int]:
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    try:
        text = path.read_text("ascii").strip()
    except OSError:
        return {core}
    found: set[int] = set()
    for part in text.split(","):
        low, _, high = part.partition("-")
        found.update(range(int(low), int(high or low) + 1))
    return found


def need(tool: str, hint: str) -> str:
    """
    Find a program.

    Raises:
        MissingToolError: it is not there; the message says how to get it.
    """
    found = shutil.which(tool)
    if found is None:
        raise MissingToolError(f"{tool} is not installed: {hint}")
    return found


def cpu_s(pid: int) -> float | None:
    """
    Processor time of a process, its threads and the processes below it; None where it
    is not told.
    """
    own = _cpu_s(pid)
    if own is None:
        return None
    return own + sum(_cpu_s(each) or 0.0 for each in _children(pid))


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    except OSError:
        return []
    return [int(each) for each in text.split()]


def _cpu_s(pid: int) -> float | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children_cpu_s() -> float:
    """Processor time of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def memory_mib(pid: int, name: str) -> float | None:
    """VmRSS (resident now) or VmHWM (the most it ever was), where the kernel tells."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    return None


def filesystem(folder: Path) -> str:
    """Name the kind of file system, because durable writes depend on it."""
    try:
        lines = Path("/proc/mounts").read_text("utf-8").splitlines()
    except OSError:
        return "unknown"
    mounts = {fields[1]: fields[2] for fields in map(str.split, lines)}
    for place in (folder, *folder.resolve().parents):
        if str(place) in mounts:
            return mounts[str(place)]
    return "unknown"


def describe() -> dict[str, str]:
    """What a reader must know to compare two runs."""
    names = ("granian", "uvloop", "msgspec", "apsw")
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
        **{name: metadata.version(name) for name in names},
        "commit": _commit(),
    }


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, cwd=Path(__file__).parent
        )
    except OSError:
        return "unknown"
    return ended.stdout.strip() or "unknown"
