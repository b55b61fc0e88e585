"""
The hub of changes: whoever changed a dataset tells it, listeners of its identity hear.

Theory of operation. A service function publishes after its commit. Without a listener
that is one look into a dictionary. A listener keeps the newest state of each dataset
that it has not been sent yet: a reader that is slow gets fewer messages and not older
ones, and what waits for it is bounded by the number of datasets.

A change may be published twice, late, or in another order than it was committed; a
listener goes by the weight of the state (`core.live_marks`) and drops what it is past.

Several nodes. Each node has a hub of its own. What is published here is forwarded to
the others, with the state that was committed, and what they have forwarded comes to
`hear`, in any order, more than once if need be (`server.neighbours`). A node that may
have lost messages calls `end_all`: its listeners come back with their last event id and
are told what they missed. Nothing else is needed, since event ids mean the same on
every node.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from millpond.core.dataset_moves import DatasetMove
from millpond.core.live_marks import weight
from millpond.core.sync import DatasetId, DatasetState
from millpond.errors import TooManyRequestsException

PENDING_MAX: Final = 1024  # datasets; a stuck reader's identity may make and drop many

_Identity = tuple[str, str]  # ids of the pool and of the identity


class Listener:
    """Hears the changes of one identity. It is used on the event loop's thread."""

    __slots__ = ("_pending", "_woken", "ended", "has_something")

    def __init__(self) -> None:
        self.ended = False  # nothing comes any more
        self.has_something = False
        """Whether there is, or was, an identity or data of one to listen to."""
        self._pending: dict[str, DatasetState] = {}
        self._woken = asyncio.Event()

    def hear(self, dataset_name: str, state: DatasetState) -> None:
        """Note what has become of a dataset."""
        self.has_something = True
        waiting = self._pending.get(dataset_name)
        if waiting is None or weight(waiting) < weight(state):
            self._pending[dataset_name] = state
            self._woken.set()
        if len(self._pending) > PENDING_MAX:
            self.end()

    def end(self) -> None:
        """Let it hear no more, and wake whoever waits."""
        self.ended = True
        self._pending.clear()
        self._woken.set()

    async def wait(self, timeout_s: float) -> dict[str, DatasetState]:
        """
        Wait for changes and take them: the newest state by dataset name, in the order
        in which the datasets changed first. Empty after the timeout, and when it ended.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._woken.wait()
        except TimeoutError:
            return {}
        if self.ended:
            return {}
        self._woken.clear()
        taken, self._pending = self._pending, {}
        return taken


class Changes:
    """Takes changes from those who made them to those who listen."""

    def __init__(
        self, *, listeners_max: int = 1, listeners_per_identity_max: int = 1
    ) -> None:
        self._listeners_max = listeners_max
        self._per_identity_max = listeners_per_identity_max
        self._listeners: dict[_Identity, set[Listener]] = {}
        self._closed = False
        self._turn = asyncio.Lock()
        self.count = 0
        """Listeners at the moment."""
        self.forward: Callable[[DatasetId, DatasetState], None] | None = None
        """Tells other nodes of a change; None when there are none."""
        self.forward_end: Callable[[str], None] | None = None
        """Tells other nodes of an identity that was deleted."""

    def publish(self, dataset_id: DatasetId, state: DatasetState | None) -> None:
        """
        Tell that a change is committed.

        Args:
            state: the dataset after it; None: it turned out that nothing changed.
        """
        if state is None:
            return
        self.hear(dataset_id, state)
        if self.forward is not None:
            self.forward(dataset_id, state)

    def hear(self, dataset_id: DatasetId, state: DatasetState) -> None:
        """Tell the listeners of this node of a change."""
        identity = (dataset_id.identity_pool_id, dataset_id.identity_id)
        listeners = self._listeners.get(identity)
        if listeners is not None:
            for each in listeners:
                each.hear(dataset_id.dataset_name, state)

    def publish_moves(self, moves: Iterable[DatasetMove]) -> None:
        """Tell that a merge has moved datasets: of either identity, what it has now."""
        for move in moves:
            self.publish(move.old, move.left)
            self.publish(move.new, move.moved)

    def subscribe(self, identity_pool_id: str, identity_id: str) -> Listener:
        """
        Begin to listen; it takes an `unsubscribe` in the end.

        Raises:
            TooManyRequestsException: there are too many listeners.
        """
        identity = (identity_pool_id, identity_id)
        of_identity = len(self._listeners.get(identity, ()))
        if of_identity >= self._per_identity_max:
            raise TooManyRequestsException(
                f"Identity '{identity_id}' has {of_identity} listeners; the limit is "
                f"{self._per_identity_max}."
            )
        if self.count >= self._listeners_max:
            raise TooManyRequestsException(
                f"The server has {self.count} listeners; the limit is "
                f"{self._listeners_max}."
            )
        listener = Listener()
        if self._closed:
            listener.end()
        self._listeners.setdefault(identity, set()).add(listener)
        self.count += 1
        return listener

    def unsubscribe(
        self, identity_pool_id: str, identity_id: str, listener: Listener
    ) -> None:
        """Forget a listener."""
        identity = (identity_pool_id, identity_id)
        listeners = self._listeners[identity]
        listeners.remove(listener)
        if not listeners:
            del self._listeners[identity]
        self.count -= 1

    async def give_way(self) -> None:
        """
        Let everybody else go on, between two steps of a listener that catches up.

        One of them passes at each turn of the event loop, so that however many catch up
        at a time, others wait for one step and no more.
        """
        async with self._turn:
            await asyncio.sleep(0)

    def end(self, identity_id: str) -> None:
        """End the listeners of an identity: it was deleted, and its counts with it."""
        self.hear_end(identity_id)
        if self.forward_end is not None:
            self.forward_end(identity_id)

    def hear_end(self, identity_id: str) -> None:
        """End the listeners of an identity on this node."""
        for (_, each), listeners in self._listeners.items():
            if each == identity_id:
                for listener in listeners:
                    listener.end()

    def listened_to(self) -> list[tuple[str, str]]:
        """
        List whom anybody listens to: the ids of the pool and of the identity.

        An id that nobody has, and that has no data, is left out: it cannot be deleted.
        """
        return [
            identity
            for identity, listeners in self._listeners.items()
            if any(each.has_something for each in listeners)
        ]

    def end_all(self) -> None:
        """End every listener, so that it comes back and is told what it missed."""
        for listeners in self._listeners.values():
            for each in listeners:
                each.end()

    def close(self) -> None:
        """End every listener, also those to come: the server is going."""
        self._closed = True
        self.end_all()
