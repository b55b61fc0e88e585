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
from millpond.testing.deadlines import seconds

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

# What version 2 added is taken in the ways of version 1, too.
TAKEN = frozenset(
    (
        "skeleton/bad-value-0",  # it is yaml-input
        "cli-input-json/yaml-option",
        "globals/region-only-AWS_REGION",
        "globals/region-both-envs",
        "globals/no-cli-pager",
        "globals/cli-auto-prompt",
        "globals/no-cli-auto-prompt",
        "globals/cli-binary-format",
    )
)

# What version 2.9.19 alone does, or what is an accident of it.
OF_ONE_RELEASE = {
    # Read since 2.13.
    "config/env-endpoint": "AWS_ENDPOINT_URL",
    "config/env-service-endpoint": "AWS_ENDPOINT_URL_COGNITO_SYNC",
    "config/config-endpoint": "endpoint_url",
    "config/config-services": "services",
    # Known since 2.20.
    "shorthand/value-file": "Value@=file://",
    "shorthand/value-file-missing": "Value@=file://",
    # Later releases cut the namespace, as version 1 does.
    "service-error/header-namespaced": "com.amazonaws#Foo",
    # A URL that cannot be called is passed over, and AWS is called.
    "globals/endpoint-ftp": "ftp://",
    "globals/endpoint-bad-port": ":99999",
    # Half an answer is taken for a whole one.
    "connection/truncated": "Content-Length",
    # It draws its prompt where nobody can see it.
    "globals/cli-auto-prompt": "--cli-auto-prompt",
    # The texts of our page are ours.
    "skeleton/bad-value-0": "yaml-input",
}
WAYS = {
    "v1": ("golden.jsonl", HELP | TAKEN),
    "v2": ("golden-v2.jsonl", HELP | set(OF_ONE_RELEASE)),
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


def sample(judge, golden, left_out):
    """Every fourth or so of the cases that show no accident of the reference."""
    cases = judge.load(CORPUS / "cases.jsonl")
    fit = [
        name
        for name, case in cases.items()
        # those that wait or count attempts take seconds each
        if case["category"] not in ("retry", "connection")
        and name not in left_out
        and not case.get("quirk")
        and not judge.ACCIDENT.search(judge.err_text(golden[name]))
    ]
    return {name: cases[name] for name in fit[:: max(1, len(fit) // SAMPLE_MAX)]}


@pytest.mark.parametrize("ways", WAYS)
def test_our_program_does_what_the_aws_cli_did(judge, tmp_path, ways):
    """Exit status, output, messages, requests and signatures agree in every case."""
    file, left_out = WAYS[ways]
    if not (CORPUS / file).is_file():
        pytest.skip(f"no recorded runs of this version: {file} is not there")
    golden = judge.load(CORPUS / file)
    cases = sample(judge, golden, left_out)
    results = tmp_path / "ours.jsonl"
    source = Path(millpond.__file__).parent.parent
    program = tmp_path / "program.py"
    program.write_text(
        f"import sys\nsys.path.insert(0, {str(source)!r})\n"
        "from millpond.cli.main import main\n"
        f"sys.exit(main(['--{ways}', *sys.argv[1:]]))\n"
    )
    runner = [sys.executable, str(CORPUS / "run.py"), "--ids", *cases]
    subprocess.run(
        [
            *(*runner, "--out", str(results)),
            *("--cli", shlex.join([sys.executable, str(program)])),
        ],
        check=True,
        capture_output=True,
        timeout=seconds(TIMEOUT_S),
    )

    ours = judge.load(results)
    differing = {
        name: why
        for name, case in cases.items()
        if (why := judge.judge(case, golden[name], ours[name], "millpond", False)[1])
    }

    assert differing == {}
