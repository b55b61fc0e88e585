"""The GitHub Action: its file, and its step, run here as a runner would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from ruamel.yaml import YAML

from installed import wheels
from millpond.testing.deadlines import seconds

ROOT = Path(__file__).parents[2]
ACTION = YAML(typ="safe").load(ROOT / "action.yml")
START = ROOT / ".github" / "start-millpond"


def run_step(
    folder: Path, settings: str, index: Path
) -> tuple[subprocess.CompletedProcess[str], dict[str, str], str]:
    """Run the step; give what it hands on: the environment, and its outputs."""
    handed, outputs = folder / "env", folder / "outputs"
    step = ACTION["runs"]["steps"][1]
    assert step["run"] == 'bash "$GITHUB_ACTION_PATH/.github/start-millpond"'
    with (folder / "told").open("w") as told:
        done = subprocess.run(
            ["bash", START],
            env={
                "PATH": os.environ["PATH"],
                "RUNNER_TEMP": str(folder),
                "GITHUB_ENV": str(handed),
                "GITHUB_OUTPUT": str(outputs),
                "PIP_NO_INDEX": "1",
                "PIP_FIND_LINKS": str(index),
                "MILLPOND_ACTION_PYTHON": sys.executable,
                "MILLPOND_ACTION_PACKAGE": "millpond",
                "MILLPOND_ACTION_SETTINGS": settings,
            },
            stdout=told,
            stderr=subprocess.STDOUT,
            timeout=seconds(120),
            text=True,
            check=False,
        )
    lines = handed.read_text().splitlines() if handed.exists() else []
    variables = dict(line.split("=", 1) for line in lines)
    return done, variables, outputs.read_text() if outputs.exists() else ""


def stop_servers(folder: Path) -> None:
    """End what the step started, as the end of the runner's machine does."""
    for each in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = str(folder) in (each / "cmdline").read_text()
        except OSError:
            continue
        if is_ours:
            os.kill(int(each.name), signal.SIGTERM)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc to clean up")
def test_the_step_starts_a_server_for_those_that_follow(tmp_path: Path) -> None:
    """It hands on what SDKs read; a setting that is none ends it, and says which."""
    index = tmp_path / "index"
    index.mkdir()
    wheels.fill_index(index, wheels.requirements(wheels.build(index)))
    refused, _, _ = run_step(tmp_path, "region", index)
    assert refused.returncode == 1
    assert "::error::settings: 'region'" in (tmp_path / "told").read_text()
    try:
        done, handed, outputs = run_step(tmp_path, "region=eu-west-1\n\n", index)
        told = (tmp_path / "told").read_text()

        assert done.returncode == 0, told
        assert {"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"} <= {*handed}
        assert outputs == f"endpoint={handed['AWS_ENDPOINT_URL']}\n"
        assert f"::add-mask::{handed['AWS_SECRET_ACCESS_KEY']}" in told
        client = boto3.session.Session().client(
            "cognito-identity",
            region_name=handed["AWS_REGION"],
            endpoint_url=handed["AWS_ENDPOINT_URL"],
            aws_access_key_id=handed["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=handed["AWS_SECRET_ACCESS_KEY"],
        )
        made = client.create_identity_pool(
            IdentityPoolName="x", AllowUnauthenticatedIdentities=True
        )
        client.close()
        assert made["IdentityPoolId"].startswith("eu-west-1:")
    finally:
        stop_servers(tmp_path)


def test_the_action_names_what_its_step_reads() -> None:
    """Each input is handed to the step, and the output is one that it writes."""
    start, step = START.read_text(), ACTION["runs"]["steps"][1]

    assert {"version", "python-version", "settings"} == {*ACTION["inputs"]}
    assert all(name in start for name in step["env"])
    (output,) = ACTION["outputs"].values()
    assert output["value"] == f"${{{{ steps.{step['id']}.outputs.endpoint }}}}"
