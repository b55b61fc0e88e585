"""
The AWS SDKs for Go, both, in a program that a test talks to.

Their sources are those that Debian packages, not modules: a build downloads nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from clients.command_process import CommandProcess
from millpond.testing.deadlines import seconds

PROGRAM: Final = Path(__file__).parent / "scripts/aws_sdks.go"
SOURCES: Final = Path("/usr/share/gocode")
BUILD_TIMEOUT_S: Final = 300.0
_SDKS: Final = ("aws-sdk-go", "aws-sdk-go-v2")


def build_program(folder: Path) -> Path:
    """Build the program in a folder, or skip the test when there is no way."""
    if shutil.which("go") is None:
        pytest.skip("there is no go: on Debian and Ubuntu, apt-get install golang-go")
    for sdk in _SDKS:
        if not (SOURCES / f"src/github.com/aws/{sdk}/service/cognitosync").is_dir():
            pytest.skip(
                f"there is no {sdk} in {SOURCES}: on Debian and Ubuntu, "
                f"apt-get install golang-github-aws-{sdk}-dev"
            )
    built = folder / "aws_sdks"
    # What is compiled is kept in Go's own cache: the next one links.
    done = subprocess.run(
        ["go", "build", "-o", str(built), str(PROGRAM)],
        env={**os.environ, "GO111MODULE": "off", "GOPATH": str(SOURCES), "GOFLAGS": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds(BUILD_TIMEOUT_S),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return built


class GoProcess(CommandProcess):
    """The program, of which one SDK is used."""

    def __init__(
        self, program: Path, sdk: str, environment: Mapping[str, str] = {}
    ) -> None:
        """
        Start the program.

        Args:
            program: what `build_program` built.
            sdk: v1 or v2.
            environment: variables that are added to those of this process.
        """
        super().__init__([str(program)], environment)
        self._sdk = sdk

    def call(self, command: dict[str, Any]) -> Any:
        """Give a command to the SDK and wait for its answer."""
        return super().call({"sdk": self._sdk, **command})
