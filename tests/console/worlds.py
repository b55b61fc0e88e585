"""Servers on a store that holds the small world of `cli.world` from the beginning."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

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
