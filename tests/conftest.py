"""What tests of several folders share: databases, programs, an SNS, time limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, settings

import surroundings
from millpond.testing.citus import CitusMissingError, TestCitus
from millpond.testing.deadlines import seconds
from millpond.testing.postgres import PostgresMissingError, TestPostgres
from processes import Programs

if TYPE_CHECKING:
    from hooks.hook_server import HookServer
    from push.sns import Sns

# How long an example takes is the machine's business.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


# What a test prepares there goes through three servers of one machine, statement by
# statement: thousands of datasets take three times as long. What it waits for in the
# product has the limits that it has on every store.
CLUSTER_FACTOR: Final = 3.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make test-all` ask for what shows something new but seldom."""
    parser.addoption(
        "--all-stores",
        action="store_true",
        help="run tests on every store, also where one shows all that there is to see",
    )


@pytest.hookimpl(trylast=True)  # what pytest prints is coloured as somebody wants it
def pytest_configure(config: pytest.Config) -> None:
    """Let nothing of the caller's environment lead tests elsewhere."""
    # With -n, those that are started run the tests, with all that this one was given.
    if config.getoption("dist", "no") == "no":
        surroundings.leave()


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave out what another test shows as well, unless all stores are asked for."""
    if config.getoption("all_stores"):
        return
    left_out = [item for item in items if item.get_closest_marker("shown_elsewhere")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [
        item for item in items if not item.get_closest_marker("shown_elsewhere")
    ]


def is_on_cluster(item: pytest.Item) -> bool:
    """Say whether a test needs a Citus cluster."""
    call = getattr(item, "callspec", None)
    kind = call.params.get("store_kind") if call else None
    return kind == "citus" or "citus" in getattr(item, "fixturenames", ())


@pytest.hookimpl(wrapper=True, tryfirst=True)  # wrappers come first, and one sets it
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Stretch the time limit of a test by how slow the machine is when it starts."""
    marker = item.get_closest_marker("timeout")
    quiet_s = float(marker.args[0] if marker else item.config.getini("timeout"))
    if is_on_cluster(item):
        quiet_s *= CLUSTER_FACTOR
    if item.config.getoption("timeout") is None:  # somebody's own word stands
        limit = pytest.mark.timeout(seconds(quiet_s))
        item.add_marker(limit, append=False)
    return (yield)


@pytest.fixture
def programs() -> Iterator[Programs]:
    """Start programs; what still runs in the end is killed."""
    started = Programs()
    yield started
    started.close()


@pytest.fixture
def hook() -> Iterator[HookServer]:
    """A sync trigger that agrees with everything, until a test says otherwise."""
    from hooks.hook_server import HookServer

    with HookServer() as running:
        yield running


@pytest.fixture(scope="module")
def sns() -> Iterator[Sns]:
    """An SNS with nothing in it yet, as moto plays it."""
    from push.sns import Sns  # moto is large, and few tests want it

    running = Sns()
    yield running
    running.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[TestPostgres]:
    """A PostgreSQL server, one for each process of the test run."""
    try:
        with TestPostgres.start() as running:
            yield running
    except PostgresMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def migrated_template(postgres: TestPostgres) -> str:
    """The name of a database with our schema, to copy."""
    from millpond.stores.postgres import PostgresStore

    async def migrate(url: str) -> None:
        store = PostgresStore(url)
        await store.open()
        await store.aclose()

    url = postgres.create_database()
    asyncio.run(migrate(url))
    return url.rpartition("/")[2]


@pytest.fixture
def new_database(
    postgres: TestPostgres, migrated_template: str
) -> Iterator[Callable[[], str]]:
    """Create databases with our schema and give their URLs; they go with the test."""
    created: list[str] = []

    def create() -> str:
        created.append(postgres.create_database(migrated_template))
        return created[-1]

    yield create
    for url in created:
        postgres.drop_database(url)


@pytest.fixture(scope="session")
def citus() -> Iterator[TestCitus]:
    """A Citus cluster, of which each process of the test run has its own databases."""
    try:
        with TestCitus.start() as running:
            yield running
    except CitusMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def spread_template(citus: TestCitus) -> str:
    """The name of a database with our schema that is spread, to copy."""
    from millpond.stores.postgres import PostgresStore, distribution

    async def migrate(url: str) -> None:
        store = PostgresStore(url)
        await store.open()
        connection = await store.database.connect("distribute")
        # Some on each worker are enough, and what makes a database slow to copy.
        await connection.execute("SET citus.shard_count = 8")
        await distribution.distribute(connection)
        await connection.close()
        await store.aclose()

    url = citus.create_database()
    asyncio.run(migrate(url))
    return url.rpartition("/")[2]


@pytest.fixture
def new_spread_database(
    citus: TestCitus, spread_template: str
) -> Iterator[Callable[[], str]]:
    """Create databases that are spread over a cluster; they go with the test."""
    created: list[str] = []

    def create() -> str:
        created.append(citus.create_database(spread_template))
        return created[-1]

    yield create
    for url in created:
        citus.drop_database(url)
