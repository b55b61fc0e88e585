"""Starter code: run as it stands on the page, by whoever would run it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from clients.node import PACKAGES, install_packages, require_node
from console.visitor import Visitor
from millpond.console.starting import STARTERS
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer

TRIED = [each.id for each in STARTERS if each.is_tried]
CLI_FOLDER = Path(sys.executable).parent  # where the AWS CLI of the tests is


@pytest.fixture(scope="module")
def pool(console_server: RunningServer) -> str:
    """A pool that lets guests in."""
    made: str = console_server.client("cognito-identity").create_identity_pool(
        IdentityPoolName="Our apps", AllowUnauthenticatedIdentities=True
    )["IdentityPoolId"]
    return made


def starters(visitor: Visitor, pool: str) -> dict[str, dict[str, Any]]:
    """Read what the page of a pool shows, by the client."""
    data = visitor.get(f"/console/pools/{pool}/connect.json").data
    return {each["id"]: each for each in data["starters"]}


def written(console_server: RunningServer, pool: str) -> int:
    """Count the records of all guests of a pool; each run makes a guest of its own."""
    identities = console_server.client("cognito-identity")
    sync = console_server.client("cognito-sync")
    listed = identities.list_identities(IdentityPoolId=pool, MaxResults=60)
    count = 0
    for each in listed["Identities"]:
        records = sync.list_records(
            IdentityPoolId=pool, IdentityId=each["IdentityId"], DatasetName="prefs"
        )["Records"]
        assert [(r["Key"], r["Value"]) for r in records] in ([], [("colour", "teal")])
        count += len(records)
    return count


def in_bash(folder: Path, code: str) -> Sequence[str]:
    """Put code where bash runs it."""
    (folder / "starter.sh").write_text("set -euo pipefail\n" + code)
    return ["bash", "starter.sh"]


def in_python(folder: Path, code: str) -> Sequence[str]:
    """Put code where Python runs it."""
    (folder / "starter.py").write_text(code)
    return [sys.executable, "starter.py"]


def in_node(name: str) -> Callable[[Path, str], Sequence[str]]:
    """Make what puts code where Node.js runs it, beside its packages."""

    def put(folder: Path, code: str) -> Sequence[str]:
        require_node()
        install_packages()
        (folder / "node_modules").symlink_to(PACKAGES)
        (folder / name).write_text(code)
        return ["node", name]

    return put


PLACES: dict[str, Callable[[Path, str], Sequence[str]]] = {
    "aws-cli": in_bash,
    "boto3": in_python,
    "javascript-v3": in_node("starter.mjs"),
    "amazon-cognito-js": in_node("starter.js"),
}


@pytest.mark.parametrize("client", TRIED)
def test_the_code_puts_a_record_into_the_pool(
    client: str,
    console_server: RunningServer,
    visitor: Visitor,
    pool: str,
    tmp_path: Path,
) -> None:
    before = written(console_server, pool)
    command = PLACES[client](tmp_path, starters(visitor, pool)[client]["code"])

    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={
            "PATH": f"{CLI_FOLDER}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE": "1",
            "NODE_NO_WARNINGS": "1",
        },
        capture_output=True,
        text=True,
        timeout=seconds(60),
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert written(console_server, pool) == before + 1


@pytest.mark.parametrize("client", [each.id for each in STARTERS if not each.is_tried])
def test_what_is_not_run_names_pool_and_endpoint_and_says_so(
    client: str, console_server: RunningServer, visitor: Visitor, pool: str
) -> None:
    starter = starters(visitor, pool)[client]

    assert pool in starter["code"]
    assert console_server.endpoint in starter["code"]
    assert "$" not in starter["code"]
    page = visitor.get(f"/console/pools/{pool}/connect").text
    assert page.count("not among what our tests run") == len(STARTERS) - len(TRIED)


def test_a_pool_without_guests_says_what_is_needed(
    console_server: RunningServer, visitor: Visitor
) -> None:
    closed = console_server.client("cognito-identity").create_identity_pool(
        IdentityPoolName="closed",
        AllowUnauthenticatedIdentities=False,
        DeveloperProviderName="login.closed",
    )["IdentityPoolId"]

    page = visitor.get(f"/console/pools/{closed}/connect").text

    assert "lets no guests in" in page
    assert "login.closed" in page


def test_pools_to_choose_from(visitor: Visitor, pool: str) -> None:
    answer = visitor.get("/console/connect")

    assert f"/console/pools/{pool}/connect" in answer.text
    assert "Our apps" in answer.text
