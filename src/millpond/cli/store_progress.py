"""How `millpond store` shows what it does: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final, Protocol, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
)

LINE_S: Final = 5.0  # between two lines of one step


class Meter(Protocol):
    """Shows steps, one after the other, and how far each one is."""

    def __enter__(self) -> Meter: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def step(self, text: str, *, total: int, done: int = 0) -> None:
        """Begin a step of about `total` parts; the one before is over."""
        ...

    def at(self, done: int) -> None:
        """Say how many parts are done."""
        ...


def make_meter(stream: TextIO) -> Meter:
    """Make what suits a stream."""
    return BarMeter(stream) if stream.isatty() else LineMeter(stream)


class BarMeter:
    """One bar for each step."""

    def __init__(self, stream: TextIO) -> None:
        self._progress = Progress(
            TextColumn("{task.description:32}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=Console(file=stream),
        )
        self._task: TaskID | None = None
        self._total = 0

    def __enter__(self) -> BarMeter:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._finish()
        self._progress.stop()

    def step(self, text: str, *, total: int, done: int = 0) -> None:
        self._finish()
        self._task = self._progress.add_task(text, total=total, completed=done)
        self._total = total

    def at(self, done: int) -> None:
        assert self._task is not None
        self._progress.update(self._task, completed=min(done, self._total))

    def _finish(self) -> None:
        if self._task is not None:  # totals are estimates
            self._progress.update(self._task, completed=self._total)


class LineMeter:
    """A line for each step, and one every few seconds in a long one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text = ""
        self._total = 0
        self._next_s = 0.0

    def __enter__(self) -> LineMeter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def step(self, text: str, *, total: int, done: int = 0) -> None:
        self._text, self._total = text, total
        self._next_s = time.monotonic() + LINE_S
        after = f", after {done}" if done else ""
        if total:
            self._say(f"{text}: {total}{after}")

    def at(self, done: int) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + LINE_S
            total = f" of {self._total}" if self._total else ""  # 0: it is not known
            self._say(f"{self._text}: {done}{total}")

    def _say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)
