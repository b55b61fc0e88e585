"""
Live updates: what a listener of an identity is sent, and from where on.

The order matters. The listener is subscribed first and the datasets are read after
that, so that a change is in the one or in the other, or in both; the weights tell which
of them is news. What the last event id does not cover goes first, then what comes.

An identity may have left thousands of deleted datasets behind. They are read, and told
of, a page at a time; in between the event loop is everybody's. The pages need not be of
one moment, for the same reason: the listener was subscribed before the first.

An event carries the mark (`core.live_marks`) of a listener that has got it and
everything before it. While events of the past are sent, the ids stay where the listener
was, and only the last of them says that it is up to date: a listener that is cut off in
between is told of all of them again.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from millpond import limits
from millpond.contract.live import GetLiveUpdatesRequest, LiveUpdate
from millpond.core import live_marks
from millpond.core.live_marks import Known, Mark
from millpond.core.sync import DatasetId, DatasetState
from millpond.service.changes import Changes, Listener
from millpond.service.context import Caller, Context
from millpond.service.refusals import pool_not_found
from millpond.stores.base import NamedDataset

PAGE_DATASETS: Final = 256  # that are read at once; about a millisecond
EVENTS_AT_ONCE: Final = 64  # that are made at once; each spells a mark


class LiveEvent(NamedTuple):
    """One event, and the id from which its reader may go on later."""

    event_id: str
    update: LiveUpdate


class LiveUpdates:
    """The events of one listener, until it ends. `close` it in any case."""

    def __init__(
        self,
        changes: Changes,
        identity_pool_id: str,
        identity_id: str,
        *,
        expires_ms: int,
        now_ms: Callable[[], int],
    ) -> None:
        """
        Begin to listen.

        Raises:
            TooManyRequestsException: there are too many listeners.
        """
        self._changes = changes
        self.identity = (identity_pool_id, identity_id)
        """Whom it listens to: the ids of the pool and of the identity."""
        self._expires_ms = expires_ms
        self._now_ms = now_ms
        self._known = Known({})
        self._listener: Listener = changes.subscribe(*self.identity)
        self.event_id = self._known.spell()
        """From where on the reader is told."""
        self._missed: Iterator[LiveEvent] = iter(())
        self._heard: dict[str, DatasetState] = {}  # and not told yet

    def expect_identity(self) -> None:
        """Say that there is an identity: should it be deleted, the listener ends."""
        self._listener.has_something = True

    def know(self, datasets: Iterable[NamedDataset]) -> None:
        """Say which datasets there are now, deleted ones too; some at a time."""
        for each in datasets:
            self._known.note(each.dataset_name, each.state)
            self._listener.has_something = True

    def start(self, mark: Mark | None) -> None:
        """
        Say what the reader knows, once all datasets are known.

        Args:
            mark: of the last event that the reader got; None: it wants no past ones.
        """
        self.event_id = self._known.spell()
        if mark is not None:
            self._missed = self._list_missed(mark, self.event_id)
            first = next(self._missed, None)
            if first is not None:
                self.event_id = live_marks.spell(mark)
                self._missed = itertools.chain((first,), self._missed)

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to come."""
        return self._listener.ended or self._now_ms() >= self._expires_ms

    def take_missed(self, most: int | None = None) -> list[LiveEvent]:
        """Take what happened before, which goes first: the next `most`, or all."""
        return [*itertools.islice(self._missed, most)]

    async def wait(self, timeout_s: float) -> list[LiveEvent]:
        """Wait for events; there are none after the timeout, and when it ended."""
        if not self._heard:
            left_s = (self._expires_ms - self._now_ms()) / 1000
            self._heard = await self._listener.wait(max(0.0, min(timeout_s, left_s)))
        names = [*itertools.islice(self._heard, EVENTS_AT_ONCE)]
        heard = [(name, self._heard.pop(name)) for name in names]
        return [
            self._event(name, state.sync_count, self._known.spell())
            for name, state in heard
            if self._known.note(name, state)
        ]

    def end(self) -> None:
        """End it: the reader is gone."""
        self._listener.end()

    def close(self) -> None:
        """Forget the listener."""
        self._changes.unsubscribe(*self.identity, self._listener)

    def _list_missed(self, mark: Mark, up_to_date: str) -> Iterator[LiveEvent]:
        """Make the events of the past; the last of them says that there are no more."""
        before = live_marks.spell(mark)
        names = self._known.changed_since(mark)
        name = next(names, None)
        while name is not None:
            following = next(names, None)
            event_id = up_to_date if following is None else before
            yield self._event(name, self._known.count_of(name), event_id)
            name = following

    def _event(self, name: str, sync_count: int, event_id: str) -> LiveEvent:
        dataset_id = DatasetId(*self.identity, name)
        return LiveEvent(event_id, _update(dataset_id, sync_count))


def _update(dataset_id: DatasetId, sync_count: int) -> LiveUpdate:
    return LiveUpdate(
        source="cognito-sync",
        identity_pool_id=dataset_id.identity_pool_id,
        identity_id=dataset_id.identity_id,
        dataset_name=dataset_id.dataset_name,
        sync_count=sync_count,
    )


async def get_live_updates(
    context: Context, caller: Caller, request: GetLiveUpdatesRequest
) -> LiveUpdates:
    """Listen to an identity; whoever gets the answer has to close it."""
    # A browser that connects again repeats the URL, so the header is the newer one.
    last = request.reconnect_event_id or request.last_event_id
    updates = LiveUpdates(
        context.changes,
        request.identity_pool_id,
        request.identity_id,
        expires_ms=_expires_ms(context, caller),
        now_ms=context.now_ms,
    )
    try:
        # A developer may keep data under an id of his own, without an identity.
        if caller.session or await context.store.find_identity(request.identity_id):
            updates.expect_identity()
        await _read_datasets(context, updates)
        updates.start(None if last is None else live_marks.read(last))
    except BaseException:
        updates.close()
        raise
    return updates


async def _read_datasets(context: Context, updates: LiveUpdates) -> None:
    """Read what there is, in pages, and let others go on in between."""
    after = None
    while True:
        found = await context.store.list_datasets(
            *updates.identity, after=after, limit=PAGE_DATASETS, deleted=True
        )
        if found is None:
            raise pool_not_found(updates.identity[0])
        updates.know(found)
        if len(found) < PAGE_DATASETS:
            return
        after = found[-1].dataset_name
        await context.changes.give_way()


async def end_deleted(context: Context) -> None:
    """
    End the listeners of identities that are not there, as when another process has
    deleted them. Data without an identity, as developers may keep, counts as one.
    """
    for pool_id, identity_id in context.changes.listened_to():
        identity = await context.store.find_identity(identity_id)
        is_there = identity is not None and identity.identity_pool_id == pool_id
        if not is_there and not await context.store.list_datasets(
            pool_id, identity_id, after=None, limit=1, deleted=True
        ):
            context.changes.end(identity_id)
        await asyncio.sleep(0)  # there may be thousands; requests go in between


def _expires_ms(context: Context, caller: Caller) -> int:
    """Say until when these credentials may listen."""
    if caller.session is not None:
        return caller.session.expires_ms
    # A developer's key can be deleted; so it is looked at again.
    again_ms = context.now_ms() + limits.LIVE_DEVELOPER_LIFETIME_S * 1000
    end_ms = caller.scope.expires_ms
    return again_ms if end_ms is None else min(again_ms, end_ms)
