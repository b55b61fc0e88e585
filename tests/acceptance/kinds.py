"""Marks that say on which stores a test runs; without one, it runs on all."""

from __future__ import annotations

import os

import pytest

from millpond.testing.citus import VARIABLE as CITUS

# On a cluster only where there is one: as many skips as tests would tell nothing.
KINDS = ("embedded", "postgres", *(["citus"] if os.environ.get(CITUS) else []))

embedded_only = pytest.mark.parametrize(
    "store_kind", ["embedded"], indirect=True, scope="session"
)
"""The test looks into the files of the embedded store."""
postgres_only = pytest.mark.parametrize(
    "store_kind", ["postgres"], indirect=True, scope="session"
)
"""The test needs a store that several servers share."""


def embedded_does(why: str) -> pytest.MarkDecorator:
    """
    Mark what shows nothing more on another store than on the embedded one.

    `make test` runs it there, `make test-all` on all.

    Args:
        why: the other store cannot make a difference, or where that is tested.
    """
    return pytest.mark.one_store("embedded", why=why)


def postgres_does(why: str) -> pytest.MarkDecorator:
    """Mark what shows nothing more on another store than on PostgreSQL; as above."""
    return pytest.mark.one_store("postgres", why=why)


def kinds_of(test: pytest.Item) -> tuple[str, ...]:
    """Give the stores on which a test runs, when nobody asks for all of them."""
    marker = test.get_closest_marker("one_store")
    if marker is None:
        return KINDS
    (kind,) = marker.args
    assert kind in KINDS, f"{test.nodeid}: no store is called {kind!r}"
    assert marker.kwargs["why"], f"{test.nodeid}: say why one store does"
    return (kind,)
