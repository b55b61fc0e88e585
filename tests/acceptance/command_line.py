"""Running command lines against a server: the AWS CLI and our own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer

AWS: Final = Path(sys.executable).with_name("aws")
TIMEOUT_S: Final = 60.0
# Nothing else of the caller's environment may reach a command.
_KEPT: Final = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "VIRTUAL_ENV")


@dataclass
class Printed:
    """What a command line printed, and how it ended."""

    code: int
    out: bytes
    err: bytes


class CommandLine:
    """One program, pointed at one server."""

    def __init__(self, program: list[str], server: RunningServer, home: Path) -> None:
        self._program = program
        self._home = home
        self._environment: dict[str, str] = {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            **server.environment(),
            "HOME": str(home),
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_PAGER": "",
        }

    def run(self, *words: str) -> Printed:
        """Run a command and keep what it printed."""
        done = subprocess.run(
            [*self._program, *words],
            env=self._environment,
            cwd=self._home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds(TIMEOUT_S),
            check=False,
        )
        return Printed(done.returncode, done.stdout, done.stderr)

    def json(self, *words: str) -> Any:
        """Run a command that succeeds, and parse what it printed."""
        printed = self.run(*words)
        assert printed.code == 0, printed
        assert printed.err == b"", printed
        return json.loads(printed.out) if printed.out.strip() else None
