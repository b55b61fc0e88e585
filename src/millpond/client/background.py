"""
What goes on by itself: failed uploads go out again, and other processes are heard.

One thread, which there is only while it has something to do. One timer for all failed
uploads: its pause doubles from failure to failure, with a random part, and ends early
when something says that the server may answer again (`wake`). What another process
stored is looked for while somebody here listens.
"""

from __future__ import annotations

import threading
import time

from millpond.client.errors import ClosedError, SyncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from millpond.client.ports import AnyDataset, AnyEngine

LOOK_S: Final = 0.25  # between two looks at what other processes stored
_JOIN_S: Final = 1.0  # a call that is under way is not waited for


class Background:
    """
    The thread, and what waits for it; all of it from any thread.

    Args:
        first_s, most_s: the pause after the first failure, and the longest.
    """

    def __init__(self, engine: AnyEngine, first_s: float, most_s: float) -> None:
        self._engine = engine
        self._first_s = first_s
        self._most_s = most_s
        self._changed = threading.Condition()
        self._waiting: dict[str, AnyDataset] = {}
        self._listening: dict[str, AnyDataset] = {}
        self._due_s = 0.0  # monotonic
        self._failures = 0
        self._seen = 0
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def next_s(self) -> float | None:
        """In how many seconds something goes out again; `None`: nothing waits."""
        with self._changed:
            if not self._waiting:
                return None
            return max(0.0, self._due_s - time.monotonic())

    def failed(self, dataset: AnyDataset, error: Exception) -> None:
        """Let a dataset go out again if it has something to send."""
        if not _has_unsent(dataset):
            return
        with self._changed:
            self._waiting[dataset.name] = dataset
            self._failures += 1
            pause_s = max(self._pause_s(), getattr(error, "retry_after_s", None) or 0.0)
            self._due_s = time.monotonic() + pause_s
            self._start()

    def again(self, dataset: AnyDataset) -> None:
        """Let a dataset go out again that had failed in an earlier run."""
        with self._changed:
            if not self._waiting:
                self._due_s = time.monotonic() + self._first_s
            self._waiting[dataset.name] = dataset
            self._start()

    def succeeded(self, dataset: AnyDataset) -> None:
        """Note that the server answers: whatever waits may go out."""
        with self._changed:
            self._waiting.pop(dataset.name, None)
            self._failures = 0
        self.wake()

    def wake(self) -> None:
        """Let what failed go out now."""
        with self._changed:
            self._due_s = 0.0
            self._changed.notify_all()

    def calm(self) -> None:
        """Let nothing go out: it is not there any more."""
        with self._changed:
            self._waiting.clear()
            self._failures = 0

    def listen(self, dataset: AnyDataset) -> None:
        """Look for what other processes store in a dataset."""
        with self._changed:
            self._listening[dataset.name] = dataset
            self._start()

    def after_fork(self) -> None:
        """Begin anew in a child, which has no thread but the one that forked."""
        self._changed = threading.Condition()
        self._thread = None

    def close(self) -> None:
        """End it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_S)

    def _pause_s(self) -> float:
        import random

        most_s = min(self._most_s, self._first_s * 2 ** min(self._failures - 1, 30))
        return random.uniform(most_s / 2, most_s)  # not all devices at one moment

    def _start(self) -> None:
        """Have the thread running; a fork leaves it behind."""
        self._changed.notify_all()
        if self._closed or (self._thread is not None and self._thread.is_alive()):
            return
        self._thread = threading.Thread(
            target=self._run, name="millpond.client", daemon=True
        )
        self._thread.start()

    def _run(self) -> None:
        while (due := self._wait()) is not None:
            for dataset in due:
                self._upload(dataset)
            self._look()

    def _wait(self) -> list[AnyDataset] | None:
        """Wait for something to do; `None`: there is nothing more."""
        with self._changed:
            self._listening = {
                name: each
                for name, each in self._listening.items()
                if each.has_listeners
            }
            now_s = time.monotonic()
            pauses = [max(0.0, self._due_s - now_s)] if self._waiting else []
            pauses += [LOOK_S] if self._listening else []
            if self._closed or not pauses:
                self._thread = None
                return None
            if min(pauses) > 0:
                self._changed.wait(min(pauses))
            if self._closed:
                return None
            if self._waiting and self._due_s <= time.monotonic():
                return [*self._waiting.values()]
            return []

    def _upload(self, dataset: AnyDataset) -> None:
        from millpond.client.synchronizing import synchronize

        with self._changed:
            if self._closed or dataset.name not in self._waiting:
                return
            if not _has_unsent(dataset):
                del self._waiting[dataset.name]
                return
        try:
            synchronize(self._engine, dataset)
        except SyncError:
            return  # `failed` has it, and `status` says why
        except Exception as error:  # of the app's merge, codec or login
            self._engine.log("A synchronization failed", dataset.name, error)

    def _look(self) -> None:
        """Tell of what other processes stored."""
        with self._changed:
            listening = [*self._listening.values()]
        if not listening:
            return
        try:
            seen = self._engine.store.changes_elsewhere()
            if seen != self._seen:
                self._seen = seen
                for dataset in listening:
                    dataset.look()
        except ClosedError:
            return
        except SyncError as error:
            self._engine.log("Nothing can be read", "", error)


def _has_unsent(dataset: AnyDataset) -> bool:
    try:
        status = dataset.status
    except SyncError:
        return False
    return bool({*status.unsent} - {*status.set_aside}) or status.deleting
