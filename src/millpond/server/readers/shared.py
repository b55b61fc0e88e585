"""Memory that all processes of one server have: mapped before they are forked."""

from __future__ import annotations

import mmap
from collections.abc import MutableSequence
from typing import Final, cast

from millpond.core.rates import CELLS

_BYTES: Final = 2 * CELLS * 8


def make_cells(names: list[str]) -> dict[str, MutableSequence[float]]:
    """
    Make the tables of limits of rates (`core.rates`), by name.

    All processes count in the same ones. Nothing is locked: two calls of one caller at
    the same instant, in two processes, may count as one.
    """
    return {
        name: cast(
            "MutableSequence[float]", memoryview(mmap.mmap(-1, _BYTES)).cast("d")
        )
        for name in names
    }
