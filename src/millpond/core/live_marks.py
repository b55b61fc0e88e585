"""
Live marks: what a listener knows of an identity's datasets, as the id of an event.

A listener that comes back names the last event it got, and must then be told of every
change since. There is no log of changes to look that up in, and a time would not do:
two changes can share a millisecond, and clocks step back. So the id itself says how far
the listener is with each dataset.

Theory of operation. A dataset has a *weight* that grows with whatever happens to it:
twice its sync count, and one more while it exists. Its name puts it into one of 256
*cells*, and a mark holds the sum of the weights in each cell. Weights never fall, and a
deleted dataset keeps its row and so its weight (until its identity is deleted, which
ends the listeners); hence a cell has the same sum as before
exactly when nothing in it has changed. Where the sums differ, every dataset of the cell
is told of again: now and then one too many, which costs its reader one empty listing,
and never one too few.

A mark has at most 256 sums, however many datasets come and go. It needs no clock, holds
across restarts, and means the same to every node.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from zlib import crc32

from millpond.core.sync import DatasetState

CELLS: Final = 256
_VERSION: Final = "1"  # an id is never empty: browsers do not send an empty one back
_MARK: Final = re.compile(
    rf"{_VERSION}(?:-[0-9a-f]{{2}}\.[0-9a-f]{{1,24}}){{0,{CELLS}}}", re.ASCII
)

Mark = Mapping[int, int]
"""The sums by cell; cells without any dataset are left out."""
NOTHING: Final[Mark] = {}
"""The mark of a listener that knows of no dataset."""


class Known:
    """The datasets that a listener knows of, with their weights, by name."""

    __slots__ = ("_sums", "_weights")

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._weights = dict(weights)
        self._sums = dict(mark_of(weights))

    def note(self, dataset_name: str, state: DatasetState) -> bool:
        """Take note of a dataset; False when that is nothing new."""
        before, now = self._weights.get(dataset_name, 0), weight(state)
        if now <= before:
            return False
        cell = _cell(dataset_name)
        self._weights[dataset_name] = now
        self._sums[cell] = self._sums.get(cell, 0) + now - before
        return True

    def changed_since(self, mark: Mark) -> Iterator[str]:
        """
        List the datasets that may have changed since a mark, a name at a time.

        Nothing may be noted before all were taken.
        """
        sums = self._sums
        cells = {each for each, total in sums.items() if mark.get(each, 0) != total}
        return (name for name in self._weights if _cell(name) in cells)

    def count_of(self, dataset_name: str) -> int:
        """Give the sync count at which a dataset is known."""
        return self._weights[dataset_name] // 2

    def spell(self) -> str:
        """Spell the mark of this listener."""
        return spell(self._sums)


def weight(state: DatasetState) -> int:
    """Say how far a dataset is; any change of it makes that more."""
    return 2 * state.sync_count + state.exists


def mark_of(weights: Mapping[str, int]) -> Mark:
    """Make the mark of a listener that knows datasets at these weights, by name."""
    sums: dict[int, int] = {}
    for name, each in weights.items():
        cell = _cell(name)
        sums[cell] = sums.get(cell, 0) + each
    return sums


def changed_since(mark: Mark, weights: Mapping[str, int]) -> Sequence[str]:
    """
    List the datasets that may have changed since a mark.

    Args:
        weights: of all datasets as they are now, deleted ones too, by name.
    """
    return [*Known(weights).changed_since(mark)]


def spell(mark: Mark) -> str:
    """Spell a mark as an event id; its characters need no escaping in a URL."""
    cells = (f"-{cell:02x}.{mark[cell]:x}" for cell in sorted(mark))
    return _VERSION + "".join(cells)


def read(event_id: str) -> Mark:
    """
    Read a mark back. An id that is none of ours stands for a listener that knows
    nothing: it is told of everything, and has missed nothing for certain.
    """
    if _MARK.fullmatch(event_id) is None:
        return NOTHING
    cells = (each.split(".") for each in event_id.split("-")[1:])
    return {int(cell, 16): int(total, 16) for cell, total in cells}


def _cell(dataset_name: str) -> int:
    return crc32(dataset_name.encode()) % CELLS
