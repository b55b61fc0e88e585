"""
What the tests with foreign clients share: a server, and devices that use it.

A browser or a Node.js process is started when the first test needs it, and serves all
the tests of its process.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config

from acceptance.users import Backend
from clients.browser import Chromium, Page, find_chromium
from clients.command_process import CommandProcess
from clients.devices import Device, Runtime
from clients.go import GoProcess, build_program
from clients.node import NodeProcess, install_packages, require_node
from clients.sdks import StartSdk
from millpond.testing.server import RunningServer

TOMBSTONES_MAX = 1050  # of a dataset; one of the tests removes 1,000 records


@pytest.fixture(scope="session")
def pages() -> Iterator[list[Page]]:
    """Three pages, each of another origin; the server does not know the third."""
    pages = [Page(), Page(), Page()]
    yield pages
    for page in pages:
        page.close()


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, pages: list[Page]
) -> Iterator[RunningServer]:
    """A server that two of the pages may call, and where tombstones expire soon."""
    origins = [page.origin for page in pages[:2]]
    with RunningServer(
        tmp_path_factory.mktemp("server") / "data",
        settings={
            "cors_origins": json.dumps(origins),
            "tombstones_per_dataset_max": str(TOMBSTONES_MAX),
        },
    ) as running:
        yield running


@pytest.fixture(scope="session")
def identities(server: RunningServer) -> Iterator[Any]:
    """The boto3 client of Cognito Identity, with developer credentials."""
    client = server.client("cognito-identity")
    yield client
    client.close()


@pytest.fixture(scope="session")
def anonymous(server: RunningServer) -> Iterator[Any]:
    """The boto3 client of Cognito Identity as a device has it: it signs nothing."""
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    client = server.client("cognito-identity", config=config)
    yield client
    client.close()


@pytest.fixture(scope="session")
def sync(server: RunningServer) -> Iterator[Any]:
    """The boto3 client of Cognito Sync, with developer credentials."""
    client = server.client("cognito-sync")
    yield client
    client.close()


@pytest.fixture
def backend(identities: Any) -> Backend:
    """The backend of an app, with a fresh pool."""
    return Backend(identities)


@pytest.fixture
def pool(backend: Backend) -> str:
    """The pool of the app."""
    return backend.pool


@pytest.fixture(scope="session")
def packages() -> None:
    """The archived clients for JavaScript, installed."""
    require_node()
    install_packages()


@pytest.fixture(scope="session")
def go_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program with the SDKs for Go, built."""
    return build_program(tmp_path_factory.mktemp("go"))


@pytest.fixture(scope="session")
def start_sdk(request: pytest.FixtureRequest) -> StartSdk:
    """Start one of the SDKs; who starts it closes it."""

    def start(name: str, environment: Mapping[str, str] = {}) -> CommandProcess:
        language, _, release = name.partition(" ")
        if language == "go":
            program = request.getfixturevalue("go_program")
            return GoProcess(program, release, environment)
        request.getfixturevalue("packages")
        return NodeProcess("aws_sdk_v3.js", environment)

    return start


@pytest.fixture(scope="session")
def in_node(packages: None) -> Iterator[list[NodeProcess]]:
    """Two devices in Node.js."""
    processes = [NodeProcess("device_in_node.js") for _ in range(2)]
    yield processes
    for process in processes:
        process.close()


@pytest.fixture(scope="session")
def in_chromium(
    packages: None, pages: list[Page], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Page]]:
    """The three pages in a browser: two devices and a stranger."""
    profile = tmp_path_factory.mktemp("chromium") / "profile"
    browser = Chromium(find_chromium(), pages, profile)
    yield pages
    browser.close()


@pytest.fixture(params=["node", "chromium"])
def devices(
    request: pytest.FixtureRequest, server: RunningServer
) -> tuple[Device, Device]:
    """Two devices with amazon-cognito-js, not started yet."""
    runtimes: list[Runtime] = request.getfixturevalue(f"in_{request.param}")
    return Device(runtimes[0], server), Device(runtimes[1], server)


@pytest.fixture
def pair(devices: tuple[Device, Device], backend: Backend) -> tuple[Device, Device]:
    """Two devices of one user."""
    user = backend.sign_in()
    for device in devices:
        device.start(backend.pool, user)
    return devices
