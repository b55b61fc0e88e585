"""
One synchronization, driven: the rules say what is next (`core.client_sync.session`).

Each step is stored before its effect is carried out, and nothing is held while a call
is under way. A step counts only if nobody else took one since the last: a thread or
process that was slower begins anew with what is stored by now. So it does not matter
how many synchronize one dataset at the same moment, or where one of them is killed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from millpond.client.errors import ClosedError, ConflictError, SyncError
from millpond.client.failures import CallError
from millpond.client.remote import IDENTITY_CHANGED
from millpond.client.status import Report
from millpond.client.storage import Decide, Stored
from millpond.core.client_sync.session import (
    CONFLICT,
    Done,
    Event,
    List,
    Session,
    advance,
    start,
)

if TYPE_CHECKING:
    from millpond.client.ports import AnyDataset, AnyEngine
    from millpond.client.remote import Remote

replace = msgspec.structs.replace


def synchronize(engine: AnyEngine, dataset: AnyDataset) -> Report:
    """
    Synchronize a dataset; another thread that is at it is waited for.

    Raises:
        SyncError: it could not be finished. What is unsent goes out again by itself.
    """
    with dataset.running:
        run = _Run(engine, dataset)
        try:
            report = run.go()
        except SyncError as error:
            error.dataset_name = dataset.name
            error.report = run.report
            if not isinstance(error, ClosedError):
                run.note_failure(error)
            raise
        except Exception as error:  # of the app: its merge, its codec, its login
            run.note_failure(error)
            raise
    engine.background.succeeded(dataset)
    return report


class _Gone(Exception):
    """The copy is not there any more: the user signed out, or it followed."""


class _Run:
    """A synchronization, from its first call to its report."""

    def __init__(self, engine: AnyEngine, dataset: AnyDataset) -> None:
        self._engine = engine
        self._dataset = dataset
        self._rounds = 0
        self._done = Done()
        self._address = dataset.address

    @property
    def report(self) -> Report:
        done = self._done
        return Report(
            done.pulled,
            done.pushed,
            done.merged,
            done.set_aside,
            max(1, self._rounds),
        )

    def go(self) -> Report:
        while True:
            remote = self._engine.settle()
            self._engine.take_in(self._dataset)
            self._address = self._dataset.address._replace(
                identity_id=remote.identity_id
            )
            try:
                error = self._session(remote)
            except _Gone:
                if self._engine.identity_id in (None, remote.identity_id):
                    raise ClosedError("The user signed out meanwhile.") from None
                continue  # into an account, on another thread
            if self._done.failed is None:
                return self.report
            if self._done.failed != IDENTITY_CHANGED:
                raise error

    def note_failure(self, error: Exception) -> None:
        """Keep why it came to nothing, and let it go out again."""
        code = getattr(error, "code", type(error).__name__)

        def decide(stored: Stored) -> Stored:
            return replace(stored, last_error=code) if stored.row else stored

        try:
            self._engine.change_at(self._dataset, self._address, decide)
        except SyncError:
            return  # the storage itself is the matter, and `error` says so
        self._engine.background.failed(self._dataset, error)

    def _session(self, remote: Remote) -> SyncError:
        """Go through the session; what it failed of counts if it did."""
        session, stored = self._start(self._engine.store.ensure(self._address))
        error: SyncError | None = None
        while not isinstance(session.effect, Done):
            if isinstance(session.effect, List) and (
                session.effect.dataset_name == self._dataset.name
            ):
                self._rounds += 1
            event = remote.perform(self._dataset.name, session.effect)
            error = getattr(event, "error", error)
            session, stored = self._advance(session, stored, event)
        self._done = session.effect
        if self._done.failed == CONFLICT:
            return _conflict(self._dataset.name, stored)
        return error or CallError("No answer.", code=self._done.failed or "")

    def _start(self, stored: Stored) -> tuple[Session, Stored]:
        """Begin with what is stored, going on with the report."""
        session = start(self._dataset.name, stored.copy)
        if session.copy is not stored.copy:  # it begins with an update, kept until told

            def decide(now: Stored) -> Stored:
                nonlocal session
                session = start(self._dataset.name, now.copy)
                if session.copy is now.copy or not now.row:
                    return now
                return replace(now, copy=session.copy, step=now.step + 1)

            stored = self._change(decide)
        if not stored.row:
            raise _Gone
        return replace(session, report=replace(self._done, failed=None)), stored

    def _advance(
        self, session: Session, stored: Stored, event: Event
    ) -> tuple[Session, Stored]:
        """Take a step, unless somebody else took one."""
        after = session
        is_late = False

        def decide(now: Stored) -> Stored:
            nonlocal after, is_late
            is_late = (now.row, now.step) != (stored.row, stored.step)
            if is_late:
                return now
            here = replace(session, copy=now.copy)
            after = advance(here, event, self._dataset.rule)
            if isinstance(after.effect, Done) and after.effect.failed is None:
                now = replace(now, last_sync_ms=_now_ms(), last_error=None)
            if after.copy == now.copy:
                return now
            return replace(now, copy=after.copy, step=now.step + 1)

        now = self._change(decide)
        if not is_late:
            return after, now
        self._done = session.report
        return self._start(now)

    def _change(self, decide: Decide) -> Stored:
        return self._engine.change_at(
            self._dataset,
            self._address,
            decide,
        ).after


def _conflict(name: str, stored: Stored) -> ConflictError:
    records = stored.copy.records
    return ConflictError(
        name, {key: records[key].base_count for key in stored.copy.unsent}
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
