"""What `make` says when it cannot do what was asked."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from millpond.testing.deadlines import seconds

ROOT = Path(__file__).parents[1]
NEEDED = ("pyproject.toml", "requirements/runtime.txt", "requirements/pip.txt")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder whose environment is set up, as far as `make demo` can tell."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed: apt-get install make")
    for name in ("Makefile", *NEEDED):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    write(programs / "python", f'exec "{sys.executable}" "$@"')
    write(programs / "millpond", 'echo "the $1, and PIP_USER=$PIP_USER"')
    (tmp_path / ".venv" / ".runs").touch()
    return tmp_path


def write(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    program.chmod(0o755)


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "demo", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=seconds(30),
        check=False,
    )


def test_another_python_than_the_environment_has_is_told(checkout: Path) -> None:
    """Who names one is not given another, and learns what to do."""
    other = checkout / "python3.99"
    write(other, "echo 3.99")
    done = make(checkout, f"PYTHON={other}")

    assert done.returncode != 0
    assert "the demo" not in done.stdout
    has = "{}.{}".format(*sys.version_info)
    assert f".venv has Python {has}, and {other} is 3.99" in done.stderr
    assert "rm -r .venv" in done.stderr


@pytest.mark.parametrize("words", [(), (f"PYTHON={sys.executable}",)])
def test_the_same_python_goes_on(checkout: Path, words: tuple[str, ...]) -> None:
    """Nothing is made anew, and pip puts nothing into a home, whatever it is told."""
    done = make(checkout, *words)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "the demo, and PIP_USER=0\n"
