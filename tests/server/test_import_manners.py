"""How an import gets on with a server on the same file."""

from __future__ import annotations

from pathlib import Path

import pytest

from millpond.server.importing import (
    BATCH_BYTES,
    POLITE_BYTES,
    POLITE_BYTES_MIN,
    POLITE_PAUSE,
    Manners,
)
from millpond.settings import Settings


class World:
    """A server that comes and goes, and clocks that are set."""

    def __init__(self, store: str = "") -> None:
        self.served = True
        self.now_s = 0.0
        self.computed_s = 0.0
        self.manners = Manners(
            Settings(data=Path("data"), store=store),
            is_held=lambda _: self.served,
            clock=lambda: self.now_s,
            cpu_clock=lambda: self.computed_s,
        )

    def write(self, took_s: float, computed_s: float = 0.0) -> float:
        """Write something; give how long nothing is done then."""
        self.now_s += took_s
        self.computed_s += computed_s
        return self.manners.pause_s(took_s)


def test_a_server_has_most_of_the_time() -> None:
    """Of the lock on the file, and of a core, whichever is used more."""
    world = World()

    assert world.write(0.01) == pytest.approx(0.01 * POLITE_PAUSE)
    assert world.write(0.01, computed_s=0.05) == pytest.approx(0.05 * POLITE_PAUSE)
    assert world.write(0.0) > 0


def test_what_takes_long_is_made_smaller() -> None:
    """A slow disk holds the server up for no longer than a quick one."""
    world = World()
    assert world.manners.batch_bytes == POLITE_BYTES

    for _ in range(10):
        world.write(0.1)
    assert world.manners.batch_bytes == POLITE_BYTES_MIN
    for _ in range(20):
        world.write(0.001)
    assert world.manners.batch_bytes == POLITE_BYTES


def test_nobody_waits_where_nobody_is_served() -> None:
    """And when the server goes, it is noticed; PostgreSQL needs none of this."""
    world = World()
    world.write(0.1)
    world.served = False
    world.now_s += 10

    assert world.write(0.1) == 0
    assert world.manners.batch_bytes == BATCH_BYTES
    spread = World(store="postgres://somewhere/db")
    assert spread.write(0.1, computed_s=1.0) == 0
    assert spread.manners.batch_bytes == BATCH_BYTES
