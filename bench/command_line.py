"""The wall time of one command, beside the AWS CLI."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import seed
from load import LoadError
from machine import Cores
from millpond.testing.server import RunningServer
from results import Comparison, Figure, Results, median_ratio

COMMAND: Final = (
    *("cognito-sync", "get-bulk-publish-details"),
    *("--identity-pool-id", seed.POOL),
)


def measure(
    results: Results, server: RunningServer, cores: Cores, *, pairs: int
) -> None:
    """Run both in turn against one server, on the core of the load."""
    ours, theirs = _find("millpond"), _find("aws")
    if ours is None:
        ours = [sys.executable, "-m", "millpond"]
    if theirs is None:
        results.notes.append("no CLI comparison: aws is not installed")
    environment = _environment(server)
    took: list[float] = []
    took_aws: list[float] = []
    for number in range(pairs + 1):
        for program, times in ((ours, took), (theirs, took_aws)):
            if program is None:
                continue
            seconds = _time([*cores.pin_load(), *program, *COMMAND], environment)
            if number:  # the first one fills the caches
                times.append(seconds)
    results.figures.append(_figure("millpond, one command", took))
    if took_aws:
        results.figures.append(_figure("aws, the same command", took_aws))
        results.comparisons.append(
            Comparison("CLI wall time / aws", median_ratio(took, took_aws), most=0.5)
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
    # Profiles of whoever runs this must not take part.
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return {**kept, **server.environment(), **nowhere}


def _time(command: list[str], environment: dict[str, str]) -> float:
    started = time.perf_counter()
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if ended.returncode != 0 or "NOT_STARTED" not in ended.stdout:
        raise LoadError(f"{command}: {ended.stderr or ended.stdout}")
    return seconds
