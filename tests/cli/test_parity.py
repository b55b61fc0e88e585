"""A sample of recorded runs of the AWS CLI, repeated with our program."""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import millpond

PLACE = "MILLPOND_CLI_PARITY"
_REPOSITORY = Path(__file__).parents[2]
CORPUS = Path(os.environ.get(PLACE) or _REPOSITORY.parent / "shared" / "cli-parity")
SAMPLE_MAX = 180
TIMEOUT_S = 100
# Where ours shows help, and the AWS CLI says how one may ask for it.
HELP = {
    "usage/nothing",
    "usage/service-only",
    "help/dash-h",
    "help/service-dash-dash-help",
    "help/top-dash-dash-help",
}

pytestmark = pytest.mark.skipif(
    not (CORPUS / "cases.jsonl").is_file(),
    reason=f"no recorded runs: set {PLACE} to the directory that has cases.jsonl",
)


@pytest.fixture(scope="module")
def judge():
    """The corpus's own program for comparing two runs."""
    spec = importlib.util.spec_from_file_location("parity_diff", CORPUS / "diff.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sample(judge):
    """Every fourth or so of the cases that show no accident of the reference."""
    cases, golden = (judge.load(CORPUS / f"{n}.jsonl") for n in ("cases", "golden"))
    fit = [
        name
        for name, case in cases.items()
        # those that wait or count attempts take seconds each
        if case["category"] not in ("retry", "connection")
        and name not in HELP
        and not case.get("quirk")
        and not judge.ACCIDENT.search(judge.err_text(golden[name]))
    ]
    return {
        name: cases[name] for name in fit[:: max(1, len(fit) // SAMPLE_MAX)]
    }, golden


def test_our_program_does_what_the_aws_cli_did(sample, judge, tmp_path):
    """Exit status, output, messages, requests and signatures agree in every case."""
    cases, golden = sample
    results = tmp_path / "ours.jsonl"
    source = Path(millpond.__file__).parent.parent
    program = tmp_path / "program.py"
    program.write_text(
        f"import sys\nsys.path.insert(0, {str(source)!r})\n"
        "from millpond.cli.main import main\nsys.exit(main())\n"
    )
    runner = [sys.executable, str(CORPUS / "run.py"), "--ids", *cases]
    subprocess.run(
        [
            *(*runner, "--out", str(results)),
            *("--cli", shlex.join([sys.executable, str(program)])),
        ],
        check=True,
        capture_output=True,
        timeout=TIMEOUT_S,
    )

    ours = judge.load(results)
    differing = {
        name: why
        for name, case in cases.items()
        if (why := judge.judge(case, golden[name], ours[name], "millpond", False)[1])
    }

    assert differing == {}
