"""`@millpond/testing`: a server for the tests of apps in JavaScript."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from clients.node import require_node
from clients_js.runtimes import CLIENTS
from millpond.testing.deadlines import seconds

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "testing-js"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The example, with the packages as they are here."""
    require_node()
    target = tmp_path / "app"
    shutil.copytree(EXAMPLE, target)
    scope = target / "node_modules" / "@millpond"
    scope.mkdir(parents=True)
    for package in ("sync", "testing"):
        # Copies, so that each finds the other there and nowhere else.
        shutil.copytree(CLIENTS / package, scope / package)
    return target


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Node.js there, with a way to call Millpond, and settings of nobody."""
    return subprocess.run(
        ["node", *words],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "MILLPOND": f"{sys.executable} -m millpond",
            "MILLPOND_PORT": "none of its business",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds(60),
        check=False,
    )


def test_the_tests_of_the_example_pass(folder: Path) -> None:
    """With Node's own runner: a reset between two of them, and nothing left running."""
    done = run(folder, "--test", "--test-reporter=tap")

    assert done.returncode == 0, done.stdout
    assert "\n# pass 4\n" in done.stdout
    assert "\n# fail 0\n" in done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("{ command: ['no-such-program'] }", "pip install millpond"),
        ("{ command, settings: { readers: 2 } }", "leave out readers"),
    ],
)
def test_a_server_that_does_not_start_says_why(
    folder: Path, options: str, said: str
) -> None:
    """Whether it is not there, or not set up well."""
    done = run(
        folder,
        "--input-type=module",
        "--eval",
        "import { startMillpond } from '@millpond/testing';"
        "const command = process.env.MILLPOND.split(' ');"
        f"await startMillpond({options}).catch((error) => console.log(error.message));",
    )

    assert done.returncode == 0, done.stderr
    assert said in done.stdout
