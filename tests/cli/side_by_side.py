"""What two programs did with one command line, in a form that can be compared."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import millpond
from cli.stub import Stub
from millpond.testing.deadlines import seconds

SOURCE = str(Path(millpond.__file__).parent.parent)
_USAGE = re.compile(r"usage:.*?<command> <subcommand> help\n", re.DOTALL)


@dataclass
class Done:
    """What one program did: its result, its messages, and what it sent."""

    code: int
    out: str
    err: str
    sent: list[tuple[str, str, str, str]]


def run(program: list[str], words: tuple[str, ...], stub: Stub, **variables) -> Done:
    """Run a program against a stub that begins anew."""
    stub.received.clear()
    done = subprocess.run(
        [*program, *(each.replace("{stub}", stub.url) for each in words)],
        env={
            **os.environ,
            "PYTHONPATH": SOURCE,
            **{k: v.replace("{stub}", stub.url) for k, v in variables.items()},
        },
        capture_output=True,
        text=True,
        timeout=seconds(60),
        check=False,
    )
    message = _USAGE.sub("", done.stderr).replace("aws: error:", "millpond: error:")
    sent = [
        (each.method, each.target, each.body.decode(), _scope(each.headers))
        for each in stub.received
    ]
    return Done(done.returncode, done.stdout, " ".join(message.split()), sent)


def _scope(headers: dict[str, str]) -> str:
    """The region and the service of a signature."""
    found = re.search(
        r"Credential=[^/]+/\d+/([^,]+),", headers.get("authorization", "")
    )
    return found[1] if found else ""
