"""
Staying in step: whatever changes, here or at the server, is synchronized at once.

A watch synchronizes when the server tells of a change (`live`), when the app writes, in
this process or another one over the same file, and again after a failure, at growing
pauses. It tells what came of it, and is never ended by a server that is away.

    for seen in sync.watch():          # or: async for
        print(seen.dataset_name, seen.report.pulled)

Each `next` does a part of the work on the caller's thread, so that changes wait for who
takes them. A watch that nobody refers to any more ends by itself.
"""

from __future__ import annotations

import random
import time
import weakref
from typing import TYPE_CHECKING, Final, NamedTuple

from millpond.client.errors import ClosedError, SyncError
from millpond.client.failures import CallError
from millpond.client.live import ASK_EVERY_S
from millpond.client.status import Report
from millpond.client.synchronizing import synchronize
from millpond.core.client_sync.quota import root_name

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from millpond.client.live import Told
    from millpond.client.ports import AnyEngine

_LOOK_S: Final = 1.0  # between two looks at what other processes stored
_PAUSE_S: Final = (1.0, 300.0)  # before a failed one is tried again


class Seen(NamedTuple):
    """
    What a watch tells.

    Args:
        dataset_name: of which dataset.
        report: what a synchronization did; `None`: the server has changes of a dataset
            that the app did not open, and which is left alone until it does.
        error: why it came to nothing, once for each kind; it is tried again.
    """

    dataset_name: str
    report: Report | None = None
    error: SyncError | None = None


class Watch:
    """
    Synchronizes datasets as they change; an iterator of what came of it (`Seen`).

    It tells of each dataset once when it is in step, then of what changed, and of
    failures when they begin and when they are over.

    Args:
        only: the dataset to watch; `None`: all that the app opens.
        ask_every_s: where the server has no live updates.
    """

    def __init__(
        self,
        engine: AnyEngine,
        only: str | None = None,
        *,
        ask_every_s: float = ASK_EVERY_S,
    ) -> None:
        self._engine = engine
        self._only = only
        self._listener = engine.listen(ask_every_s=ask_every_s)
        self._due_s: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._told: dict[str, tuple[str | None, frozenset[str]]] = {}
        self._unopened: set[str] = set()
        self._known_there: set[str] = set()
        self._written: set[str] = set()
        self._seen_elsewhere = -1
        self._end = weakref.finalize(self, self._listener.close)
        engine.watches.add(self)
        self._want(self._names())

    def __repr__(self) -> str:
        return f"<Watch of {self._only or 'all'}, {self._listener!r}>"

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Watch:
        return self

    def __next__(self) -> Seen:
        """Wait for the next thing to tell; it ends when this or the data is closed."""
        while True:
            name = self._next_due()
            if name is None:
                told = self._listener.wait(self._left_s())
                if told is None:
                    raise StopIteration
                self._take(told)
                continue
            try:
                seen = self._synchronize(name)
            except ClosedError:
                self.close()
                raise StopIteration from None
            if seen is not None:
                return seen

    @property
    def live(self) -> bool | None:
        """Whether changes are heard as they are made; `None` while nobody knows."""
        return self._listener.live

    def close(self) -> None:
        """End it, from any thread; who waits for the next thing goes on."""
        self._end()

    def touch(self, dataset_name: str) -> None:
        """Note that the app wrote something; called by the rest of the library."""
        if self._only in (None, dataset_name):
            self._written.add(dataset_name)
            self._listener.wake()

    def listen_anew(self) -> None:
        """Listen to whoever the user is now; called by the rest of the library."""
        self._listener.again()

    def _names(self) -> list[str]:
        opened = [*self._engine.datasets]
        return [each for each in opened if self._only in (None, each)]

    def _want(self, names: list[str]) -> None:
        for name in names:
            self._due_s[name] = 0.0

    def _next_due(self) -> str | None:
        now_s = time.monotonic()
        for name in self._names():
            if name not in self._told and name not in self._due_s:
                self._due_s[name] = 0.0  # it was opened meanwhile
        due = [name for name, due_s in self._due_s.items() if due_s <= now_s]
        if due:
            del self._due_s[due[0]]
            return due[0]
        if self._unopened:
            return self._unopened.pop()
        return None

    def _left_s(self) -> float:
        now_s = time.monotonic()
        return min([_LOOK_S, *(each - now_s for each in self._due_s.values())])

    def _take(self, told: Told) -> None:
        """Note what is to be synchronized now."""
        if told.anything:
            self._want(self._names())
            self._find_unopened()
        for name in told.names:
            base = root_name(name)
            if base in self._engine.datasets:
                self._want([base] if self._only in (None, base) else [])
            elif self._only is None:
                self._unopened.add(base)
        if told.names and self._failures:
            self._want([*self._failures])  # the server is back
        while self._written:
            self._want_unsent(self._written.pop())
        self._look()

    def _find_unopened(self) -> None:
        """Ask which datasets there are; each that nobody opened is told of once."""
        if self._only is not None:
            return
        try:
            there = {*self._engine.names_there()}
        except CallError:
            return  # the synchronizations say why
        unknown = there - {*self._engine.datasets} - self._known_there
        self._known_there |= there
        self._unopened |= unknown

    def _want_unsent(self, name: str) -> None:
        dataset = self._engine.datasets.get(name)
        if dataset is None or name in self._failures:
            return  # a failed one has its time
        try:
            status = dataset.status
        except SyncError:
            self._due_s[name] = 0.0  # and that says what is the matter
            return
        if status.deleting or {*status.unsent} - {*status.set_aside}:
            self._due_s[name] = 0.0

    def _look(self) -> None:
        """See to what other processes over the same file wrote."""
        try:
            seen = self._engine.store.changes_elsewhere()
        except SyncError:
            return  # the next synchronization says what is the matter
        if seen != self._seen_elsewhere:
            self._seen_elsewhere = seen
            for name in self._names():
                self._want_unsent(name)

    def _synchronize(self, name: str) -> Seen | None:
        """Synchronize a dataset; what is worth telling of it."""
        dataset = self._engine.datasets.get(name)
        if dataset is None:
            return Seen(name)
        try:
            report, error = synchronize(self._engine, dataset), None
        except ClosedError:
            raise
        except SyncError as failed:
            report, error = failed.report or Report(), failed
            self._again(name, failed)
        else:
            self._failures.pop(name, None)
        code = None if error is None else getattr(error, "code", type(error).__name__)
        now = code, frozenset(report.set_aside)
        news = report.pulled or report.pushed or report.merged
        if not news and self._told.get(name) == now:
            return None
        self._told[name] = now
        return Seen(name, report, error)

    def _again(self, name: str, error: SyncError) -> None:
        failures = self._failures[name] = self._failures.get(name, 0) + 1
        pause_s = min(_PAUSE_S[0] * 2 ** min(failures - 1, 20), _PAUSE_S[1])
        pause_s = max(pause_s, getattr(error, "retry_after_s", None) or 0.0)
        self._due_s[name] = time.monotonic() + pause_s * random.uniform(0.5, 1.0)


class AsyncWatch:
    """
    A watch for `async for`; its work is done on threads of its own.

    What a cancelled wait would have given, the next one gives.
    """

    def __init__(self, open_watch: Callable[[], Watch]) -> None:
        self._open_watch = open_watch
        self._watch: Watch | None = None
        self._pending: asyncio.Future[Seen | None] | None = None

    def __repr__(self) -> str:
        return f"<AsyncWatch {self._watch or 'not begun yet'}>"

    async def __aenter__(self) -> AsyncWatch:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __aiter__(self) -> AsyncWatch:
        return self

    async def __anext__(self) -> Seen:
        """Wait for the next thing to tell."""
        import asyncio

        if self._pending is None:
            from millpond.client.threads import on_thread

            self._pending = on_thread(self._step, "millpond.client.watch")
        try:
            seen = await asyncio.shield(self._pending)
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._pending = None
            raise
        self._pending = None
        if seen is None:
            raise StopAsyncIteration
        return seen

    async def aclose(self) -> None:
        """End it."""
        import asyncio

        if self._watch is not None:
            await asyncio.to_thread(self._watch.close)
        if self._pending is not None:
            pending, self._pending = self._pending, None
            await asyncio.gather(pending, return_exceptions=True)

    def _step(self) -> Seen | None:
        if self._watch is None:
            self._watch = self._open_watch()
        return next(self._watch, None)
