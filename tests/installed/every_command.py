"""
One call of every command of an installed Millpond, with what is installed there alone.

Run by the Python of that environment; prints a JSON object: the status and the output
of each call, by its words, and the commands that there are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from millpond.cli.commands import COMMANDS
from millpond.testing.server import RunningServer

POOL = "us-east-1:11111111-2222-4333-8444-555555555555"
GUESTS = "--allow-unauthenticated-identities"


def calls(server: RunningServer) -> list[list[str]]:
    """List the calls, in order."""
    data = ["--data", str(server.data)]
    pool = ["--identity-pool-id", POOL]
    file = f"{server.data}/device.sqlite3"
    return [
        ["settings", "check", *data],
        ["key", "list", *data],
        ["token-key", "list", *data],
        ["hook-secret", *data],
        ["console", *data],
        ["completion", "bash"],
        ["configure", "list"],
        ["pool", "adopt", POOL, "--name", "wheel", GUESTS, *data],
        ["cognito-identity", "get-id", *pool],
        ["cognito-sync", "describe-identity-pool-usage", *pool],
        ["sts", "get-caller-identity"],
        ["kinesis", "list-streams"],
        ["doctor", *pool],
        ["audit", "list", *data],
        ["stream", "create", "pond", *data],
        ["outbox", "list", *data],
        ["bulk-publish", *pool],
        ["get-bulk-publish-details", *pool],
        ["identity", "find", *pool, *data],
        ["dataset", "list", "us-east-1:none", *data],
        ["live", *pool, "--identity-id", "us-east-1:none"],
        ["data", "set", "prefs", "theme", "dark", "--file", file, *pool],
        ["dump", *pool],
        ["apply", "-", "--check"],
        ["import", "status", *data],
        ["store", "verify", *data],
        ["migrate", *data],
        ["install-model", "--folder", f"{server.data}/models"],
        ["serve", "--port", "none"],
    ]


def main() -> None:
    """Call everything, beside a server."""
    done: dict[str, Any] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningServer(Path(folder, "data")) as server,
    ):
        environment = {"PATH": os.environ["PATH"], "HOME": folder}
        environment |= server.environment()
        for words in calls(server):
            ended = subprocess.run(
                [Path(sys.executable).with_name("millpond"), *words],
                env=environment,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                check=False,
            )
            told = ended.stdout + ended.stderr
            done[" ".join(words[:2])] = (ended.returncode, told)
    print(json.dumps({"commands": list(COMMANDS), "done": done}))


main()
