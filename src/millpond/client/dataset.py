"""
A dataset as a mapping: what an app reads and writes, and is told of.

Reads and writes are of the device alone, and a write is on disk before it returns.
Whatever changes a dataset, here or in another process over the same file, passes
`_tell`, which compares with what was told before; so each subscriber hears of each
change once, and in the order in which they were stored.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import MutableMapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        ItemsView,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
        ValuesView,
    )
    from typing import Any

    from millpond.client.address import Address
    from millpond.client.codecs import Place
    from millpond.client.merging import AppMerge
    from millpond.client.ports import AnyEngine
    from millpond.client.status import DatasetStatus, Report
    from millpond.client.storage import Stored
    from millpond.client.watching import AsyncWatch, Watch
    from millpond.core.client_sync.copies import Copy, Merge

    Listener = Callable[[dict[str, Any]], None]
    """Of the keys that changed and their values now; `None`: it is removed."""


class LocalDataset(MutableMapping[str, "Any"]):
    """What both faces have: all that needs no server."""

    def __init__(
        self, engine: AnyEngine, name: str, merge: Merge | AppMerge, codec: Any
    ) -> None:
        from millpond.client.merging import of_app

        self.name = name
        self.merge = merge
        self.codec = codec
        self.rule = of_app(
            merge, self._encode_like, None if codec is None else self.decode
        )
        self.running = threading.Lock()  # one synchronization of it at a time
        self._engine = engine
        self._is_known = False  # as one of the identity's datasets, of which it has few
        self._listeners: dict[object, tuple[frozenset[str] | None, Listener]] = {}
        self._told: dict[str, str] | None = None  # None: nobody listens
        self._changes: deque[dict[str, str | None]] = deque()
        self._delivering = threading.Lock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    # What an app reads

    def __getitem__(self, key: str) -> Any:
        text = self._engine.store.value(self.address, key)
        if text is None:
            raise KeyError(key)
        return self.decode(key, text)

    def __contains__(self, key: object) -> bool:
        return (
            isinstance(key, str)
            and self._engine.store.value(self.address, key) is not None
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored.copy.values)

    def __len__(self) -> int:
        return len(self._stored.copy.values)

    def items(self) -> ItemsView[str, Any]:
        """Give all keys and values, as of one moment."""
        return self._as_dict().items()

    def values(self) -> ValuesView[Any]:
        """Give all values, as of one moment."""
        return self._as_dict().values()

    @property
    def status(self) -> DatasetStatus:
        """How it stands: what is unsent, set aside, and how the last attempt went."""
        from millpond.client.status import dataset_status

        return dataset_status(self._stored, syncing=self.running.locked())

    # What an app writes

    def __setitem__(self, key: str, value: Any) -> None:
        self._write({key: value})

    def __delitem__(self, key: str) -> None:
        self.pop(key)

    def set(self, key: str, value: Any, *, overwrite: bool = False) -> None:
        """
        Set a record, as `dataset[key] = value` does.

        Args:
            value: a string, or what the dataset's codec takes.
            overwrite: also where the value that is there cannot be read.
        Raises:
            CodecError: it cannot, or the new one cannot be written.
            QuotaError: the server could not take it.
        """
        self._write({key: value}, overwrite=overwrite)

    def remove(self, key: str, *, overwrite: bool = False) -> None:
        """Remove a record, where there is one; `overwrite` as for `set`."""
        self._remove([key], overwrite=overwrite)

    def update(self, *given: Any, **more: Any) -> None:
        """Set many records at once: all of them, or none."""
        self._write(dict(*given, **more))

    def pop(self, key: str, *default: Any) -> Any:
        """Remove a record, and give the value that it had."""
        found = self._remove([key])
        if found:
            return self.decode(key, found[key])
        if default:
            return default[0]
        raise KeyError(key)

    def clear(self) -> None:
        """Remove all records at once; the dataset itself stays (`delete`)."""
        self._remove()

    def delete(self) -> None:
        """Delete the dataset: here now, at the server with the next synchronization."""
        from msgspec.structs import replace

        from millpond.core.client_sync import copies

        def decide(stored: Stored) -> Stored:
            deleted = copies.delete(stored.copy)
            return replace(stored, copy=deleted, step=stored.step + 1)

        self.change(decide)

    def subscribe(
        self, keys: Iterable[str] | None, listener: Listener
    ) -> Callable[[], None]:
        """
        Be told of changes, whoever made them: the app, the server, another process.

        Args:
            keys: which; `None`: all.
            listener: called once for each change with the values that are new by key,
                after it was stored; on the thread that made the change, or another.
        Returns:
            What ends it.
        """
        token = object()
        wanted = None if keys is None else frozenset(keys)
        self._listeners[token] = (wanted, listener)
        if self._told is None:
            self._told = self._stored.copy.values
        self.look()  # what was stored between the two lines above
        self._engine.background.listen(self)

        def end() -> None:
            self._listeners.pop(token, None)

        return end

    # For the rest of the library

    @property
    def address(self) -> Address:
        """Where it is kept, for whoever the app's user is now."""
        return self._engine.address(self.name)

    @property
    def has_listeners(self) -> bool:
        """Whether somebody wants to be told."""
        return bool(self._listeners)

    def encode(self, key: str, value: Any) -> str:
        """Make the text of a value."""
        if self.codec is not None:
            return str(self.codec.encode(value, self._place(key)))
        if not isinstance(value, str):
            raise TypeError(
                f"Dataset {self.name!r}, key {key!r}: a value is a str, not a "
                f"{type(value).__name__}; a codec makes texts of others."
            )
        return value

    def decode(self, key: str, text: str) -> Any:
        """Make the value of a text."""
        if self.codec is None:
            return text
        return self.codec.decode(text, self._place(key))

    def change(self, decide: Callable[[Stored], Stored]) -> Stored:
        """Change what is stored, durably, and tell whoever listens."""
        after = self._engine.change(self, decide).after
        self._engine.wrote(self)
        return after

    def after_fork(self) -> None:
        """Let go of what threads of the parent may hold."""
        self.running = threading.Lock()
        self._delivering = threading.Lock()

    def queue(self, stored: Stored) -> None:
        """Note what is stored now. Called in the order in which it was."""
        if self._told is None:
            return
        before, now = self._told, stored.copy.values
        if before == now:
            return
        changed: dict[str, str | None] = {
            key: text for key, text in now.items() if before.get(key) != text
        }
        changed |= {key: None for key in before if key not in now}
        self._told = now
        self._changes.append(changed)

    def look(self) -> None:
        """Tell of what others stored."""
        self._engine.look(self)

    def deliver(self) -> None:
        """Tell what was noted; holding nothing that a listener could want."""
        while self._changes and self._delivering.acquire(blocking=False):
            try:
                while self._changes:
                    self._tell(self._changes.popleft())
            finally:
                self._delivering.release()

    def _place(self, key: str) -> Place:
        from millpond.client.codecs import Place

        return Place(self._engine.pool, self.name, key)

    @property
    def _stored(self) -> Stored:
        return self._engine.store.load(self.address)

    def _as_dict(self) -> dict[str, Any]:
        values = self._stored.copy.values
        return {key: self.decode(key, text) for key, text in values.items()}

    def _write(self, values: Mapping[str, Any], *, overwrite: bool = False) -> None:
        texts = {key: self._text(key, value) for key, value in values.items()}
        others = None if self._is_known else self._engine.filled(self.name)

        def decide(copy: Copy) -> Copy:
            from millpond.client.admission import check_quota
            from millpond.core.client_sync import copies

            self._check_seen(copy, texts, overwrite)
            check_quota(copy, self.name, texts, others, self._engine.limits)
            now_ms = _now_ms()
            for key, text in texts.items():
                copy = copies.write(copy, key, text, now_ms=now_ms)
            return copy

        self._change(decide)
        self._is_known = True

    def _remove(
        self, keys: Sequence[str] | None = None, *, overwrite: bool = False
    ) -> dict[str, str]:
        """Remove records, all where none is named; give the texts that they had."""
        found: dict[str, str] = {}

        def decide(copy: Copy) -> Copy:
            from millpond.core.client_sync import copies

            texts = copy.values
            found.clear()
            found.update(
                texts if keys is None else {k: texts[k] for k in keys if k in texts}
            )
            self._check_seen(copy, found, overwrite)
            now_ms = _now_ms()
            for key in found:
                copy = copies.write(copy, key, None, now_ms=now_ms)
            return copy

        self._change(decide)
        return found

    def _check_seen(self, copy: Copy, keys: Iterable[str], overwrite: bool) -> None:
        from millpond.client.admission import check_seen

        if self.codec is not None and not overwrite:
            check_seen(copy, [*keys], self.decode)

    def _text(self, key: object, value: Any) -> str:
        if not isinstance(key, str):
            raise TypeError(
                f"Dataset {self.name!r}: a key is a str, not a {type(key).__name__}."
            )
        if not hasattr(self.codec, "encode_like"):
            return self.encode(key, value)
        known = self._engine.store.value(self.address, key)
        return self._encode_like(key, value, [] if known is None else [known])

    def _encode_like(self, key: str, value: Any, texts: Sequence[str]) -> str:
        """Make the text of a value; one of those where it says the same already."""
        encode_like = getattr(self.codec, "encode_like", None)
        if encode_like is None:
            return self.encode(key, value)
        return str(encode_like(value, self._place(key), texts))

    def _change(self, decide: Callable[[Copy], Copy]) -> None:
        def decide_stored(stored: Stored) -> Stored:
            from msgspec.structs import replace

            return replace(stored, copy=decide(stored.copy))

        self.change(decide_stored)

    def _tell(self, texts: Mapping[str, str | None]) -> None:
        for wanted, listener in [*self._listeners.values()]:
            mine: dict[str, Any] = {}
            for key, text in texts.items():
                if wanted is None or key in wanted:
                    try:
                        mine[key] = None if text is None else self.decode(key, text)
                    except Exception as error:
                        self._engine.log("A value cannot be read", self.name, error)
            if mine:
                self._call(listener, mine)

    def _call(self, listener: Listener, values: dict[str, Any]) -> None:
        try:
            listener(values)
        except Exception as error:
            # What was stored is stored; and the text of the error may have values in.
            self._engine.log("A listener failed", self.name, error)


class Dataset(LocalDataset):
    """
    A dataset that waits while it is synchronized.

    It is a mapping of keys to values: strings, or what its codec makes of them. Reads
    and writes are of this device alone; a write is on disk when it returns, raises as
    `set` does, and goes out with the next synchronization.
    """

    def sync(self) -> Report:
        """
        Synchronize it: pull, merge, push, until the server has what is here.

        Raises:
            SyncError: it could not be finished; `report` has what was done. What is
                unsent goes out again by itself, as long as the app runs.
        """
        from millpond.client.synchronizing import synchronize

        return synchronize(self._engine, self)

    def watch(self, *, ask_every_s: float = 30.0) -> Watch:
        """Stay in step with the server, as `Sync.watch` does for all datasets."""
        from millpond.client.watching import Watch

        return Watch(self._engine, self.name, ask_every_s=ask_every_s)


class AsyncDataset(LocalDataset):
    """A dataset whose synchronization is awaited; a mapping as `Dataset` is."""

    async def sync(self) -> Report:
        """
        Synchronize it on a thread, as `Dataset.sync` does.

        Where this is cancelled the thread goes on, and does no harm.
        """
        from millpond.client.synchronizing import synchronize
        from millpond.client.threads import on_thread

        return await on_thread(
            lambda: synchronize(self._engine, self), "millpond.client.sync"
        )

    def watch(self, *, ask_every_s: float = 30.0) -> AsyncWatch:
        """Stay in step with the server, for `async for`."""
        from millpond.client.watching import AsyncWatch, Watch

        return AsyncWatch(
            lambda: Watch(self._engine, self.name, ask_every_s=ask_every_s)
        )

    def subscribe(
        self, keys: Iterable[str] | None, listener: Listener
    ) -> Callable[[], None]:
        """Be told of changes, on the thread of the event loop that runs now."""
        import asyncio

        loop = asyncio.get_running_loop()

        def call(values: dict[str, Any]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._call, listener, values)

        return super().subscribe(keys, call)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
