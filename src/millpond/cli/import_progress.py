"""How `millpond import` shows what it does: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Final, TextIO

from millpond.cli.store_progress import Meter, make_meter

if TYPE_CHECKING:
    from millpond.stores.importing import ImportState

_TOLD_MAX: Final = 100


class ImportWatcher:
    """Tells a meter how a pass goes."""

    def __init__(self, meter: Meter, stream: TextIO) -> None:
        self._meter = meter
        self._stream = stream
        self._told = 0

    def __enter__(self) -> ImportWatcher:
        self._meter.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._meter.__exit__(kind, error, traceback)

    def step(self, text: str, *, total: int, done: int = 0) -> None:
        """A step begins, of about `total` identities."""
        self._meter.step(text, total=max(total, done), done=done)

    def at(self, done: int, state: ImportState) -> None:
        """So many are done."""
        self._meter.at(done)

    def count(self, done: int) -> None:
        """So many are done."""
        self._meter.at(done)

    def tell(self, line: str) -> None:
        """Say something that should be known; the result has all of it."""
        self._told += 1
        if self._told <= _TOLD_MAX:
            print(line, file=self._stream, flush=True)


def make_watcher() -> ImportWatcher:
    """Make what suits standard error."""
    stream = sys.stderr
    return ImportWatcher(make_meter(stream), stream)
