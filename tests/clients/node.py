"""
Node.js, the archived clients that run on it, and scripts that a test talks to.

Packages are installed as the `package-lock.json` of a folder has them, once: whoever
comes first does it, and the others wait.
"""

from __future__ import annotations

import fcntl
import json
import os
import queue
import re
import shutil
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

import pytest

from millpond.testing.deadlines import seconds

FOLDER: Final = Path(__file__).parent
SCRIPTS: Final = FOLDER / "scripts"
PACKAGES: Final = FOLDER / "node_modules"
NODE_LEAST: Final = 20  # of the packages of the third AWS SDK for JavaScript
INSTALL_TIMEOUT_S: Final = 100.0
ANSWER_TIMEOUT_S: Final = 30.0

_NO_REGISTRY: Final = re.compile(
    r"code (ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|"
    r"EHOSTUNREACH|ERR_SOCKET_TIMEOUT|ENOTCACHED|E403|E407|E5\d\d)"
)


def require_node() -> None:
    """Skip the test unless there is a Node.js that the clients run on."""
    if shutil.which("node") is None:
        pytest.skip(f"there is no node: install Node.js {NODE_LEAST} or newer")
    done = subprocess.run(["node", "--version"], capture_output=True, check=True)
    version = done.stdout.decode().strip()
    if int(version.removeprefix("v").partition(".")[0]) < NODE_LEAST:
        pytest.skip(f"node is {version}: install Node.js {NODE_LEAST} or newer")


def install_packages(folder: Path = FOLDER) -> None:
    """
    Install the packages that a folder locks, or skip the test when there is no way.

    Raises:
        RuntimeError: npm failed for another reason; the message holds what it printed.
    """
    lock = folder / "package-lock.json"
    installed = folder / "node_modules/.package-lock.json"  # npm writes it in the end
    with lock.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # given up when the file is closed
        if installed.exists() and installed.stat().st_mtime > lock.stat().st_mtime:
            return
        if shutil.which("npm") is None:
            pytest.skip("there is no npm: install it with Node.js")
        try:
            subprocess.run(
                ["npm", "ci"],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds(INSTALL_TIMEOUT_S),
                check=True,
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm had no packages after {INSTALL_TIMEOUT_S:.0f} s")
        except subprocess.CalledProcessError as error:
            unreachable = _NO_REGISTRY.search(error.stderr)
            if unreachable:
                pytest.skip(f"npm does not reach its registry: {unreachable[0]}")
            raise RuntimeError(f"npm ci failed:\n{error.stderr}") from error


class NodeProcess:
    """A script in Node.js that takes a command a line and gives an answer a line."""

    def __init__(self, script: str | Path, environment: Mapping[str, str] = {}) -> None:
        """
        Start a script.

        Args:
            script: its path; without a folder it is one of `SCRIPTS`.
            environment: variables that are added to those of this process.
        """
        self._process = subprocess.Popen(
            ["node", str(SCRIPTS / script)],
            env={
                **os.environ,
                "AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE": "1",
                "NODE_NO_WARNINGS": "1",
                **environment,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._commands: IO[str] = self._process.stdin
        self._lines: IO[str] = self._process.stdout
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def call(self, command: dict[str, Any]) -> Any:
        """Give a command and wait for its answer."""
        self._commands.write(json.dumps(command) + "\n")
        self._commands.flush()
        answer = self._answers.get(timeout=seconds(ANSWER_TIMEOUT_S))
        if not answer:
            raise RuntimeError("The script ended; standard error says why.")
        return json.loads(answer)

    def close(self) -> None:
        """End the script."""
        self._commands.close()
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._lines.close()

    def _read(self) -> None:
        for line in self._lines:
            self._answers.put(line)
        self._answers.put("")
