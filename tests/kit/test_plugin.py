"""The plugin for pytest: it is there without being asked, and otherwise not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from millpond.testing.deadlines import seconds

EXAMPLE = Path(__file__).parents[2] / "examples" / "testing"


def run_pytest(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run pytest as somebody else does, in a folder of his."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "MILLPOND_", "PYTEST_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds(100),
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the example, and a setting of its own."""
    shutil.copytree(EXAMPLE, tmp_path / "app")
    (tmp_path / "app" / "pytest.ini").write_text(
        "[pytest]\nmillpond_settings =\n  region = eu-west-1\n", "utf-8"
    )
    return tmp_path / "app"


@pytest.mark.parametrize("words", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_the_tests_of_the_example_pass(folder: Path, words: list[str]) -> None:
    """With one server, or with one for each worker; their pools are where it is."""
    (folder / "test_region.py").write_text(
        "def test_region(millpond_pool):\n"
        "    assert millpond_pool.id.startswith('eu-west-1:')\n"
    )
    done = run_pytest(folder, "--strict-markers", "-W", "error", *words)

    assert done.returncode == 0, done.stdout
    assert "7 passed" in done.stdout


def test_who_does_not_use_it_does_not_notice(tmp_path: Path) -> None:
    """Loading it imports no more of us than its own file, and starts nothing."""
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_other():\n"
        "    ours = {each for each in sys.modules if each.startswith('millpond')}\n"
        "    assert ours == {'millpond', 'millpond.testing',\n"
        "        'millpond.testing.pytest_plugin'}\n"
        "    assert not {'botocore', 'boto3', 'msgspec'} & {*sys.modules}\n"
    )
    done = run_pytest(tmp_path, "-p", "no:xdist")
    without = run_pytest(tmp_path, "-p", "no:millpond", "--fixtures")

    assert done.returncode == 0, done.stdout
    assert "millpond" not in without.stdout
