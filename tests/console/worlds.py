"""Servers on a store that holds the small world of `cli.world` from the beginning."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from cli import world
from millpond.stores.base import Store
from millpond.testing.server import RunningServer


@contextlib.contextmanager
def serving(
    place: Path,
    *,
    database: str = "",
    fill: Callable[[Store], Awaitable[object]] = world.fill,
    settings: Mapping[str, str] | None = None,
) -> Iterator[RunningServer]:
    """
    Fill a store, and run a server on it.

    Args:
        database: the URL of an empty one with the schema; without it the store is
            embedded.
    """
    data = place / "data"
    if database:
        world.Place("--store", database).run(fill)
    else:
        world.Place("--data", str(data)).run(fill)
    named = {**(settings or {}), **({"store": database} if database else {})}
    with RunningServer(data, settings=named) as running:
        yield running


@contextlib.contextmanager
def serving_on(
    request: pytest.FixtureRequest,
    place: Path,
    fill: Callable[[Store], Awaitable[object]],
) -> Iterator[RunningServer]:
    """The same, on the kind of store that a fixture's parameter names."""
    if request.param == "sqlite":
        with serving(place, fill=fill) as running:
            yield running
        return
    postgres = request.getfixturevalue("postgres")
    database = postgres.create_database(request.getfixturevalue("migrated_template"))
    with serving(place, database=database, fill=fill) as running:
        yield running
    postgres.drop_database(database)
