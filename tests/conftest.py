"""What tests of several folders share: a PostgreSQL server, started when it is used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from millpond.testing.postgres import PostgresMissingError, TestPostgres


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
