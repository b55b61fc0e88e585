"""What the tests of the command line share: a clean environment and a stub server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from certificates import make_certificate
from cli import world
from cli.stub import Stub
from cli.world import Place
from millpond.cli.main import main
from millpond.testing.server import RunningServer

POOL = "us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f"


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A stub server."""
    server = Stub()
    yield server
    server.close()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A clean environment with dummy keys; gives back the empty home directory."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDTEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".aws").mkdir()
    return tmp_path


@dataclass
class Result:
    """What one command line did."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(home, capsys) -> Iterator[Callable[..., Result]]:
    """Run a command line inside this process."""

    def run_words(*words: str) -> Result:
        capsys.readouterr()
        code = main(list(words))
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    yield run_words
    structlog.reset_defaults()  # `serve` has it write to what was captured here


@pytest.fixture
def sync(run, stub) -> Callable[..., Result]:
    """Run an operation of cognito-sync against the stub."""

    def run_operation(operation: str, *words: str) -> Result:
        result: Result = run(
            "cognito-sync", operation, *words, "--endpoint-url", stub.url
        )
        return result

    return run_operation


@pytest.fixture
def details(sync) -> Callable[..., Result]:
    """Run get-bulk-publish-details for a pool against the stub."""

    def run_details(*words: str) -> Result:
        option = ("--identity-pool-id", POOL)
        result: Result = sync("get-bulk-publish-details", *option, *words)
        return result

    return run_details


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[RunningServer]:
    """A real server, one for each process of the test run."""
    with RunningServer(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def tls_server(tmp_path_factory) -> Iterator[tuple[RunningServer, Path]]:
    """A real server that speaks TLS, with the file of its own certificate."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = make_certificate(folder)
    settings = {"tls_certificate": str(certificate), "tls_key": str(key)}
    with RunningServer(folder / "data", settings=settings) as running:
        yield running, certificate


@pytest.fixture
def pool() -> str:
    """The id of an identity pool."""
    return POOL


@pytest.fixture(params=["data", "store"])
def place(request, tmp_path) -> Place:
    """A store of either kind with the small world in it."""
    if request.param == "data":
        found = Place("--data", str(tmp_path / "data"))
    else:
        found = Place("--store", request.getfixturevalue("new_database")())
    found.run(world.fill)
    return found
