"""
The wall time and the memory of commands, beside the AWS CLI.

Both programs run the same words in turn against one server, on the core of the load. A
command that calls has half of the AWS CLI's time; one that only prints has 0.3 of it,
because there is no server to wait for.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import seed
from load import LoadError
from machine import Cores
from millpond.testing.server import RunningServer
from results import Comparison, Figure, Results, median_ratio

_CALL_MOST: Final = 0.5
_PRINT_MOST: Final = 0.3
_KEY_PRESS_MS_MAX: Final = 100.0


@dataclass
class _Command:
    """
    Words that both programs know.

    Args:
        expected: what a result must hold.
        most: the budget, as a part of the AWS CLI's time.
        code: the exit status.
    """

    name: str
    words: tuple[str, ...]
    expected: str
    most: float = _PRINT_MOST
    code: int = 0


_DETAILS: Final = ("cognito-sync", "get-bulk-publish-details")
_POOL: Final = ("--identity-pool-id", seed.POOL)
COMMANDS: Final = (
    _Command("a call", (*_DETAILS, *_POOL), "NOT_STARTED", _CALL_MOST),
    _Command(
        "a call, as a table",
        (*_DETAILS, *_POOL, "--output", "table"),
        "NOT_STARTED",
        _CALL_MOST,
    ),
    _Command("a skeleton", (*_DETAILS, "--generate-cli-skeleton"), "IdentityPoolId"),
    _Command("a usage error", _DETAILS, "are required", code=2),
    _Command("a help page", (*_DETAILS, "help"), "SYNOPSIS"),
)
# A small parent: a process that is forked has the peak of its parent to begin with.
_WATCH: Final = """\
import os, sys, time
started = time.perf_counter()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
seconds = time.perf_counter() - started
code = os.waitstatus_to_exitcode(status)
print(f"\\n{seconds} {usage.ru_maxrss} {code}", file=sys.stderr)
"""
_COMPLETION: Final = ("completion", "--words", "cognito-sync", "list-records", "--")


@dataclass
class _Runs:
    """What one program took for one command."""

    seconds: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)


def measure(
    results: Results, server: RunningServer, cores: Cores, *, pairs: int
) -> None:
    """Run both in turn, and the words that a shell asks for by ours alone."""
    ours, theirs = _find("millpond"), _find("aws")
    if ours is None:
        ours = [sys.executable, "-m", "millpond"]
    if theirs is None:
        results.notes.append("no CLI comparison: aws is not installed")
    environment = _environment(server)
    for command in COMMANDS:
        if command.words[-1] == "help" and not shutil.which("groff"):
            results.notes.append("no help page of the AWS CLI: it needs groff")
            continue
        runs, runs_aws = _Runs(), _Runs()
        for number in range(pairs + 1):
            for program, each in ((ours, runs), (theirs, runs_aws)):
                if program is not None:
                    line = [*cores.pin_load(), *program, *command.words]
                    # the first one fills the caches
                    _run(line, environment, command, each if number else _Runs())
        _report(results, command, runs, runs_aws)
    _measure_completion(results, [*cores.pin_load(), *ours], environment, pairs)


def _report(results: Results, command: _Command, runs: _Runs, aws: _Runs) -> None:
    results.figures.append(_figure(f"millpond, {command.name}", runs.seconds))
    if not aws.seconds:
        return
    results.figures.append(_figure(f"aws, {command.name}", aws.seconds))
    results.comparisons += [
        Comparison(
            f"{command.name}, wall time / aws",
            median_ratio(runs.seconds, aws.seconds),
            most=command.most,
        ),
        Comparison(
            f"{command.name}, peak memory / aws",
            median_ratio(runs.resident, aws.resident),
            most=1.0,
        ),
    ]


def _measure_completion(
    results: Results, program: list[str], environment: dict[str, str], pairs: int
) -> None:
    asking = _Command("words for a shell", _COMPLETION, "--identity-pool-id")
    runs = _Runs()
    for _ in range(pairs):
        _run([*program, *asking.words], environment, asking, runs)
    took_ms = statistics.median(runs.seconds) * 1000
    results.comparisons.append(
        Comparison(asking.name, took_ms, unit="ms", most=_KEY_PRESS_MS_MAX)
    )


def _figure(name: str, times: list[float]) -> Figure:
    return Figure(name, statistics.median(times) * 1000, "ms")


def _find(program: str) -> list[str] | None:
    """Prefer what stands beside our Python; another one may be a wrapper script."""
    folder = Path(sys.executable).parent
    found = shutil.which(program, path=str(folder)) or shutil.which(program)
    return None if found is None else [found]


def _environment(server: RunningServer) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if "AWS_" not in name}
    # Profiles of whoever runs this must not take part, nor their pager.
    nowhere = {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "MANPAGER": "cat",
    }
    return {**kept, **server.environment(), **nowhere}


def _run(
    line: list[str], environment: dict[str, str], command: _Command, runs: _Runs
) -> None:
    """Run a command once, and note what it took."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _WATCH, *line],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    *printed, noted = (done.stdout + done.stderr).splitlines()
    seconds, resident, code = noted.split()
    plain = re.sub(".\b", "", "\n".join(printed))  # bold letters of a manual page
    if int(code) != command.code or command.expected not in plain:
        raise LoadError(f"{line}: {plain}")
    runs.seconds.append(float(seconds))
    # Linux counts in KiB, macOS in bytes; only ratios are wanted.
    runs.resident.append(int(resident))
