"""`millpond configure` shows what `aws configure` shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from millpond.testing.deadlines import seconds

AWS = Path(sys.executable).with_name("aws")
CONFIG = """\
[default]
region = eu-central-1
output = yaml
s3 =
    max_queue_size = 5
[profile dev]
region = us-west-2
[profile plugins]
also = here
[preview]
a = b
"""
KEYS = """\
[default]
aws_access_key_id = AKIDFILE
aws_secret_access_key = a-secret-of-a-file
"""


@pytest.fixture
def files(home, monkeypatch):
    """A config file and a credentials file, and no variables beside them."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    (home / ".aws/config").write_text(CONFIG)
    (home / ".aws/credentials").write_text(KEYS)
    return home


@pytest.mark.skipif(
    not AWS.is_file(), reason="the AWS CLI is not installed: pip install awscli"
)
@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (("list",), {}),
        (("list", "--profile", "dev"), {}),
        (("list", "--profile", "nope"), {}),
        (("list",), {"AWS_DEFAULT_REGION": "from-variable"}),
        (
            ("list",),
            {"AWS_ACCESS_KEY_ID": "AKIDX", "AWS_SECRET_ACCESS_KEY": "12"},
        ),
        (("list",), {"AWS_ACCESS_KEY_ID": "AKIDX"}),
        (("get", "region"), {}),
        (("get", "region", "--profile", "dev"), {}),
        (("get", "region", "--profile", "nope"), {}),
        (("get", "region"), {"AWS_DEFAULT_REGION": "is-not-looked-at"}),
        (("get", "region"), {"AWS_PROFILE": "dev"}),
        (("get", "dev.region"), {}),
        (("get", "profile.dev.region"), {}),
        (("get", "default.region"), {}),
        (("get", "default.s3.max_queue_size"), {}),
        (("get", "s3.max_queue_size"), {}),
        (("get", "s3.nope"), {}),
        (("get", "region.nope"), {}),
        (("get", "nope"), {}),
        (("get", "aws_access_key_id"), {}),
        (("get", "preview.a"), {}),
        (("get", "plugins.also"), {}),
    ],
)
def test_it_shows_what_the_aws_cli_shows(files, run, monkeypatch, words, variables):
    """The same lines and the same exit status, from the same files and variables."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    theirs = subprocess.run(
        [AWS, "configure", *words],
        capture_output=True,
        text=True,
        timeout=seconds(60),
        check=False,
    )

    ours = run("configure", *words)

    if theirs.returncode == 2:  # whoever cannot parse the line says so in its own way
        assert ours.code == 2
    else:
        assert (ours.code, ours.out) == (theirs.returncode, theirs.stdout)
        assert ours.err.split() == theirs.stderr.split()


def test_the_variable_that_counts_is_named(files, run, monkeypatch):
    """Of two variables, the one that wins is shown with its value."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "second")
    monkeypatch.setenv("AWS_REGION", "first")

    line = run("configure", "list").out.splitlines()[-1].split()

    assert line == ["region", "first", "env", "AWS_REGION"]


@pytest.mark.parametrize(
    ("ways", "profile"), [("--v1", "of-default"), ("--v2", "of-plain")]
)
def test_which_variable_names_the_profile(files, run, monkeypatch, ways, profile):
    """Version 1 looks at AWS_DEFAULT_PROFILE first, version 2 at AWS_PROFILE."""
    monkeypatch.setenv("AWS_DEFAULT_PROFILE", "of-default")
    monkeypatch.setenv("AWS_PROFILE", "of-plain")

    assert run("configure", "list", ways).out.splitlines()[2].split()[1] == profile


def test_a_section_is_no_value(files, run):
    """What has settings of its own cannot be printed as one."""
    result = run("configure", "get", "s3")

    assert (result.code, result.out) == (1, "")
    assert "must reference a value" in result.err


@pytest.mark.parametrize("name", ["set", "import", "sso", "list-profiles"])
def test_what_is_not_there_is_told(run, name):
    """The other commands of the AWS CLI are named, with what to use in their place."""
    result = run("configure", name, "x")

    assert (result.code, result.out) == (2, "")
    assert f"aws configure {name}" in result.err


def test_a_profile_alone_is_no_setting(files, run):
    """A name that stops at a profile is refused with a sentence."""
    assert "names a profile" in run("configure", "get", "profile.dev").err
