"""Memory that all processes of one server have: mapped before they are forked."""

from __future__ import annotations

from collections.abc import MutableSequence

from millpond.core import rates


def make_cells(names: list[str]) -> dict[str, MutableSequence[float]]:
    """
    Make the tables of limits of rates (`core.rates`), by name.

    All processes count in the same ones. Nothing is locked: two calls of one caller at
    the same instant, in two processes, may count as one.
    """
    return {name: rates.make_cells() for name in names}
