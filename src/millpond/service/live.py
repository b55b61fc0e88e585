"""
Live updates: what a listener of an identity is sent, and from where on.

The order matters. The listener is subscribed first and the datasets are read after
that, so that a change is in the one or in the other, or in both; the weights tell which
of them is news. What the last event id does not cover goes first, then what comes.

An event carries the mark (`core.live_marks`) of a listener that has got it and
everything before it. While events of the past are sent, the ids stay where the listener
was, and only the last of them says that it is up to date: a listener that is cut off in
between is told of all of them again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from millpond import limits
from millpond.contract.live import GetLiveUpdatesRequest, LiveUpdate
from millpond.core import live_marks
from millpond.core.live_marks import Known, Mark
from millpond.core.sync import DatasetId, DatasetState
from millpond.service.changes import Changes, Listener
from millpond.service.context import Caller, Context
from millpond.service.refusals import pool_not_found


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
        self._identity = (identity_pool_id, identity_id)
        self._expires_ms = expires_ms
        self._now_ms = now_ms
        self._known = Known({})
        self._listener: Listener = changes.subscribe(*self._identity)
        self.event_id = self._known.spell()
        """From where on the reader is told."""
        self._missed: list[LiveEvent] = []

    def start(self, datasets: dict[str, DatasetState], mark: Mark | None) -> None:
        """
        Say what the reader knows.

        Args:
            datasets: as they are now, deleted ones too, by name.
            mark: of the last event that the reader got; None: it wants no past ones.
        """
        weights = {name: live_marks.weight(each) for name, each in datasets.items()}
        self._known = Known(weights)
        up_to_date = self._known.spell()
        missed = () if mark is None else live_marks.changed_since(mark, weights)
        before = up_to_date if mark is None or not missed else live_marks.spell(mark)
        self.event_id = before
        events = [self._event(name, datasets[name], before) for name in missed]
        if events:
            events[-1] = events[-1]._replace(event_id=up_to_date)
        self._missed = events

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to come."""
        return self._listener.ended or self._now_ms() >= self._expires_ms

    def take_missed(self) -> list[LiveEvent]:
        """Take what happened before, which goes first."""
        missed, self._missed = self._missed, []
        return missed

    async def wait(self, timeout_s: float) -> list[LiveEvent]:
        """Wait for events; there are none after the timeout, and when it ended."""
        left_s = (self._expires_ms - self._now_ms()) / 1000
        heard = await self._listener.wait(max(0.0, min(timeout_s, left_s)))
        return [
            self._event(name, state, self._known.spell())
            for name, state in heard.items()
            if self._known.note(name, state)
        ]

    def end(self) -> None:
        """End it: the reader is gone."""
        self._listener.end()

    def close(self) -> None:
        """Forget the listener."""
        self._changes.unsubscribe(*self._identity, self._listener)

    def _event(self, name: str, state: DatasetState, event_id: str) -> LiveEvent:
        dataset_id = DatasetId(*self._identity, name)
        return LiveEvent(event_id, _update(dataset_id, state.sync_count))


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
        found = await context.store.list_datasets(
            request.identity_pool_id,
            request.identity_id,
            after=None,
            limit=None,
            deleted=True,
        )
        if found is None:
            raise pool_not_found(request.identity_pool_id)
        datasets = {each.dataset_name: each.state for each in found}
        updates.start(datasets, None if last is None else live_marks.read(last))
    except BaseException:
        updates.close()
        raise
    return updates


async def end_deleted(context: Context) -> None:
    """
    End the listeners of identities that are not there, as when another process has
    deleted them. Whoever listened to data without an identity comes back.
    """
    for pool_id, identity_id in context.changes.listened_to():
        identity = await context.store.find_identity(identity_id)
        if identity is None or identity.identity_pool_id != pool_id:
            context.changes.end(identity_id)
        await asyncio.sleep(0)  # there may be thousands; requests go in between


def _expires_ms(context: Context, caller: Caller) -> int:
    """Say until when these credentials may listen."""
    if caller.session is not None:
        return caller.session.expires_ms
    # A developer's key has no end, but it can be deleted; so it is looked at again.
    return context.now_ms() + limits.LIVE_DEVELOPER_LIFETIME_S * 1000
