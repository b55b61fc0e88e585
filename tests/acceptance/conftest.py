"""What the acceptance tests share: real servers, their clients, fresh pools."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from botocore import UNSIGNED
from botocore.config import Config

from acceptance.command_line import AWS, CommandLine
from acceptance.kinds import KINDS, kinds_of
from acceptance.raw_http import RawClient
from acceptance.sync_client import Dataset, create_pool, new_identity
from acceptance.users import UserCredentials, get_credentials
from millpond.testing.postgres import TestPostgres
from millpond.testing.server import RunningServer


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on the stores that show something new, or on all that there are."""
    of_its_own = (
        mark.args[0] == "store_kind"
        for mark in metafunc.definition.iter_markers("parametrize")
    )
    if "store_kind" in metafunc.fixturenames and not any(of_its_own):
        everywhere = metafunc.config.getoption("all_stores")
        kinds = KINDS if everywhere else kinds_of(metafunc.definition)
        metafunc.parametrize("store_kind", kinds, indirect=True, scope="session")


@pytest.fixture(scope="session")
def store_kind(request: pytest.FixtureRequest) -> str:
    """Which store the servers have; see `kinds.py`."""
    kind: str = request.param
    return kind


class StoreSettings:
    """The settings of servers' stores: the same ones for the same data folder."""

    def __init__(
        self, postgres: TestPostgres | None = None, template: str = ""
    ) -> None:
        """
        Args:
            postgres: where the databases are; None: each store is in the data folder.
            template: what they are copies of.
        """
        self._postgres = postgres
        self._template = template
        self._urls: dict[Path, str] = {}

    def __call__(self, data: Path) -> dict[str, str]:
        """Give the settings of the server that has a data folder."""
        if self._postgres is None:
            return {}
        if data not in self._urls:
            self._urls[data] = self._postgres.create_database(self._template)
        return {"store": self._urls[data]}

    def drop(self, folder: Path) -> None:
        """Drop what data folders in a folder have: on a cluster it costs processes."""
        for data in [each for each in self._urls if each.is_relative_to(folder)]:
            assert self._postgres is not None
            self._postgres.drop_database(self._urls.pop(data))


@pytest.fixture(scope="session")
def store_settings(
    store_kind: str, request: pytest.FixtureRequest
) -> Iterator[StoreSettings]:
    """Give the settings of a server's store."""
    if store_kind == "embedded":
        yield StoreSettings()
        return
    spread = store_kind == "citus"
    postgres: TestPostgres = request.getfixturevalue("citus" if spread else "postgres")
    template: str = request.getfixturevalue(
        "spread_template" if spread else "migrated_template"
    )
    settings = StoreSettings(postgres, template)
    yield settings
    settings.drop(Path("/"))


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory,
    store_settings: StoreSettings,
) -> Iterator[RunningServer]:
    """A server with the default settings, one for each process of the test run."""
    data = tmp_path_factory.mktemp("server") / "data"
    with RunningServer(data, settings=store_settings(data)) as running:
        yield running


@pytest.fixture
def start_server(
    tmp_path: Path,
    store_settings: StoreSettings,
) -> Iterator[Callable[..., RunningServer]]:
    """Start servers of one's own; whatever still runs in the end is stopped."""
    started: list[RunningServer] = []

    def start(
        folder: str = "data",
        *,
        settings: Mapping[str, str] | None = None,
        **options: Any,
    ) -> RunningServer:
        data = tmp_path / folder
        both = {**store_settings(data), **(settings or {})}
        running = RunningServer(data, settings=both, **options)
        running.start()
        started.append(running)
        return running

    yield start
    for each in started:
        each.__exit__(None, None, None)  # does nothing to one that was stopped
    store_settings.drop(tmp_path)


@pytest.fixture(scope="session")
def sync(server: RunningServer) -> Iterator[Any]:
    """The boto3 client of Cognito Sync."""
    client = server.client("cognito-sync")
    yield client
    client.close()


@pytest.fixture(scope="session")
def identity_pools(server: RunningServer) -> Iterator[Any]:
    """The boto3 client of Cognito Identity."""
    client = server.client("cognito-identity")
    yield client
    client.close()


@pytest.fixture(scope="session")
def device(server: RunningServer) -> Iterator[Any]:
    """The boto3 client of Cognito Identity as a device has it: it signs nothing."""
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    client = server.client("cognito-identity", config=config)
    yield client
    client.close()


@pytest.fixture(scope="session")
def kinesis(server: RunningServer) -> Iterator[Any]:
    """The boto3 client of Kinesis."""
    client = server.client("kinesis")
    yield client
    client.close()


@pytest.fixture(scope="session")
def raw(server: RunningServer) -> RawClient:
    """A client that sends bytes as they are."""
    return RawClient(server)


@pytest.fixture
def pool(identity_pools: Any) -> str:
    """A fresh identity pool."""
    found: str = identity_pools.create_identity_pool(
        IdentityPoolName="test", AllowUnauthenticatedIdentities=True
    )["IdentityPoolId"]
    return found


@pytest.fixture
def guest(device: Any, pool: str) -> UserCredentials:
    """The credentials of a guest of `pool`."""
    return get_credentials(device, pool)


@pytest.fixture
def identity() -> str:
    """A fresh identity id."""
    return new_identity()


@pytest.fixture
def dataset(sync: Any, pool: str, identity: str) -> Dataset:
    """A dataset that does not exist yet."""
    return Dataset(sync, pool, identity)


@pytest.fixture
def stream(kinesis: Any) -> str:
    """A fresh stream with two shards."""
    name = f"stream-{uuid.uuid4()}"
    kinesis.create_stream(StreamName=name, ShardCount=2)
    return name


@pytest.fixture
def streaming_pool(sync: Any, pool: str, stream: str) -> str:
    """A fresh identity pool whose changes go to `stream`."""
    sync.set_identity_pool_configuration(
        IdentityPoolId=pool,
        CognitoStreams={"StreamName": stream, "StreamingStatus": "ENABLED"},
    )
    return pool


@pytest.fixture(scope="module")
def unharmed_server(server: RunningServer, sync: Any) -> Iterator[None]:
    """After all tests of a module the server answers, and has what it had before."""
    dataset = Dataset(sync, create_pool(server), new_identity())
    dataset.put(a="1")
    before = dataset.list()["Records"], dataset.describe()
    lines = len(server.log)
    yield
    with urlopen(f"{server.endpoint}/readyz") as response:
        assert response.status == 200
    assert before == (dataset.list()["Records"], dataset.describe())
    # A request or a worker that ran into a fault of ours says so in the log.
    faults = ('"request.failed"', '"worker.failed"')
    failures = [
        line for line in server.log[lines:] if any(each in line for each in faults)
    ]
    assert failures == []


@pytest.fixture(scope="session")
def aws(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """The real AWS CLI, pointed at the server."""
    if not AWS.exists():
        pytest.skip(f"there is no AWS CLI beside {sys.executable}: install awscli")
    return CommandLine([str(AWS)], server, tmp_path_factory.mktemp("aws"))


@pytest.fixture(scope="session")
def millpond(
    server: RunningServer, tmp_path_factory: pytest.TempPathFactory
) -> CommandLine:
    """Our own command line, pointed at the server."""
    program = [sys.executable, "-m", "millpond"]
    return CommandLine(program, server, tmp_path_factory.mktemp("millpond"))
