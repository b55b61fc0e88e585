"""The examples run, and do what the pages say of them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore import UNSIGNED
from botocore.config import Config

from acceptance.sync_client import Dataset, create_pool, refused, replace
from acceptance.users import client_of, get_credentials
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer

EXAMPLES = Path(__file__).parents[2] / "examples"
SECRET = "a secret of the examples"


@contextlib.contextmanager
def running(example: str, secret: str) -> Iterator[str]:
    """Run an example that is a server; give its URL."""
    process = subprocess.Popen(
        [sys.executable, EXAMPLES / example, "0"],
        env={**os.environ, "HOOK_SECRET": secret},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A server that may call hooks on this machine."""
    settings = {"hook_private_networks": "true", "hook_secret": SECRET}
    with RunningServer(tmp_path / "data", settings=settings) as started:
        yield started


@contextlib.contextmanager
def user_of(server: RunningServer, hook_url: str) -> Iterator[Dataset]:
    """Sign a guest in to a pool with a sync trigger."""
    pool = create_pool(server)
    with contextlib.ExitStack() as stack:
        developer = stack.enter_context(
            contextlib.closing(server.client("cognito-sync"))
        )
        developer.set_cognito_events(
            IdentityPoolId=pool, Events={"SyncTrigger": hook_url}
        )
        config = Config(signature_version=UNSIGNED)
        device = stack.enter_context(
            contextlib.closing(server.client("cognito-identity", config=config))
        )
        credentials = get_credentials(device, pool)
        client = stack.enter_context(contextlib.closing(client_of(server, credentials)))
        yield Dataset(client, pool, credentials.identity_id)


def test_the_sync_trigger(server: RunningServer) -> None:
    """It refuses a score that is no number, and gives a badge for a high one."""
    with running("sync_trigger.py", SECRET) as url, user_of(server, url) as user:
        user.update(replace("score", "7"), replace("colour", "blue"))
        user.update(replace("score", "a lot", 1))
        assert user.values() == {"score": "7", "colour": "blue"}

        answer = user.update(replace("score", "123", 1))

    records = {each["Key"]: each["Value"] for each in answer["Records"]}
    assert records == {"score": "123", "badge": "gold"}


def test_the_sync_trigger_wants_its_secret(server: RunningServer) -> None:
    """It answers nobody who does not know it."""
    with running("sync_trigger.py", "another one") as url, user_of(server, url) as user:
        with refused(400, "InvalidLambdaFunctionOutputException"):
            user.update(replace("score", "7"))

        assert user.values() == {}


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (None, ["0"]),
        ("", ["0"]),
        (SECRET, []),
        (SECRET, ["no-port"]),
        (SECRET, ["-1"]),
        (SECRET, ["99999"]),
        (SECRET, ["0", "1"]),
    ],
)
def test_the_sync_trigger_says_what_it_needs(
    secret: str | None, words: list[str]
) -> None:
    """Without its secret or a port it explains itself, and shows no traceback."""
    environment = {k: v for k, v in os.environ.items() if k != "HOOK_SECRET"}
    if secret is not None:
        environment["HOOK_SECRET"] = secret

    ended = subprocess.run(
        [sys.executable, EXAMPLES / "sync_trigger.py", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds(60),
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (1, "")
    assert "Traceback" not in ended.stderr
    for needed in ("HOOK_SECRET", "millpond hook-secret", "PORT"):
        assert needed in ended.stderr
