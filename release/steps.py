"""What every check of a release gets, and how it says that something is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


class ReleaseError(Exception):
    """A check failed; the message says what to do."""


@dataclass(frozen=True)
class Release:
    """
    What is released.

    Args:
        root: the checkout.
        version: as `src/millpond/__init__.py` has it.
        dist: where what is built ends up.
        export: the files of the commit and nothing else; what is built is built there.
        scratch: a folder that is gone afterwards.
        uv: the program.
    """

    root: Path
    version: str
    dist: Path
    export: Path
    scratch: Path
    uv: Path

    def built(self) -> list[Path]:
        """List the archives in `dist`, by name."""
        kinds = ("*.whl", "*.tar.gz", "*.tgz")
        return sorted(each for kind in kinds for each in self.dist.glob(kind))

    def wheel(self) -> Path:
        """Find the wheel that was built."""
        return self.dist / f"millpond-{self.version}-py3-none-any.whl"

    def epoch(self) -> str:
        """Give the time of the commit, in seconds: that of every file that is built."""
        return run("git", "log", "-1", "--format=%ct", cwd=self.root).strip()


def run(*words: str | Path, cwd: Path, **variables: str) -> str:
    """
    Run a program to its good end, and give what it printed.

    Raises:
        ReleaseError: it ended badly; with the end of what it printed.
    """
    try:
        done = subprocess.run(
            [str(each) for each in words],
            cwd=cwd,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise ReleaseError(f"{words[0]} is not installed") from error
    if done.returncode:
        told = "\n".join(done.stdout.strip().splitlines()[-25:])
        line = " ".join(str(each) for each in words)
        raise ReleaseError(f"`{line}` ended with {done.returncode}:\n{told}")
    return done.stdout


def make(release: Release, *targets: str, cwd: Path | None = None) -> None:
    """Run targets of the Makefile, with the environment that runs this."""
    venv = Path(sys.prefix)
    run("make", f"VENV={venv}", *targets, cwd=cwd or release.root)
