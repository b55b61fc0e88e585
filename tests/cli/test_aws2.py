"""What version 2 of the AWS CLI alone has and does, as it was recorded."""

from __future__ import annotations

import re
import time

import pytest

from cli.aws2_cases import CASES
from cli.aws2_run import (
    PROGRAM,
    environment,
    load,
    outcome,
    prepare,
    run_program,
    version_of,
)
from millpond.cli.api.faults import PROGRAM as OURS

RECORDED = load()
RELEASE = "2.9.19"
SAMPLED = 12  # every so manieth case is repeated where the program itself is there

# What that release does, and ours does not, with the reason.
ACCIDENTS = {
    "binary/default-é": "a message of its language in place of its own",
    "binary/base64-é": "a message of its language in place of its own",
    "status/file-that-is-none": "it does not say what is wrong in which line",
    "pages/limit-in-input-and-cut": "it names a member that nobody gave",
}
# Members that the APIs have got since.
_NEWER = re.compile(
    r"(?m)^(?:DryRun|MinimumSessionTokenSize): .*\n|,\n {4}\"DryRun\": true"
)


@pytest.fixture
def in_utc(monkeypatch):
    """The local zone is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_every_case_is_recorded():
    """What is recorded is what there is; there are many."""
    assert list(RECORDED) == list(CASES)
    assert len(CASES) >= 100


@pytest.mark.parametrize("name", CASES)
def test_ours_does_what_was_recorded(home, run, stub, monkeypatch, in_utc, name):
    """Status, output, messages and requests are those of version 2."""
    if name in ACCIDENTS:
        pytest.skip(f"an accident of {RELEASE}: {ACCIDENTS[name]}")
    case = CASES[name]
    for variable in ("AWS_MAX_ATTEMPTS", "AWS_DEFAULT_REGION", *environment(case)):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment(case).items():
        monkeypatch.setenv(variable, value)
    for variable, given in case.env.items():
        if given is None:
            monkeypatch.delenv(variable, raising=False)

    done = run("--v2", *prepare(case, home, stub))

    err = done.err.replace(OURS, "aws")
    ours = outcome(case, home, stub, done.code, _NEWER.sub("", done.out), err)
    assert ours == RECORDED[name]


@pytest.mark.skipif(
    version_of(PROGRAM) != RELEASE,
    reason=f"{PROGRAM} is not AWS CLI {RELEASE}: apt-get install awscli on Debian 12",
)
@pytest.mark.parametrize("name", list(CASES)[::SAMPLED])
def test_what_was_recorded_is_what_it_does(tmp_path, stub, name):
    """The program itself, where it is installed, does what was recorded of it."""
    theirs = run_program(PROGRAM, CASES[name], tmp_path / "home", stub)

    assert theirs == RECORDED[name]
