"""
Node.js, the archived clients that run on it, and scripts that a test talks to.

Packages are installed as the `package-lock.json` of a folder has them, once: whoever
comes first does it, and the others wait.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from clients.command_process import CommandProcess
from millpond.testing.deadlines import seconds
from surroundings import with_packages

FOLDER: Final = Path(__file__).parent
SCRIPTS: Final = FOLDER / "scripts"
PACKAGES: Final = FOLDER / "node_modules"
NODE_LEAST: Final = 20  # of the packages of the third AWS SDK for JavaScript
INSTALL_TIMEOUT_S: Final = 100.0

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
                env=with_packages(),
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


class NodeProcess(CommandProcess):
    """A script in Node.js that takes a command a line and gives an answer a line."""

    def __init__(self, script: str | Path, environment: Mapping[str, str] = {}) -> None:
        """
        Start a script.

        Args:
            script: its path; without a folder it is one of `SCRIPTS`.
            environment: variables that are added to those of this process.
        """
        super().__init__(
            ["node", str(SCRIPTS / script)],
            {
                "AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE": "1",
                "NODE_NO_WARNINGS": "1",
                **environment,
            },
        )
