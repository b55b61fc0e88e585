"""
What this server remembers of the sync triggers that it called, for their developers.

A user whose update fails is told little, and the log is with the operators. The one who
set the trigger asks for it: GetIdentityPoolDetails and `millpond doctor`.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec

POOLS_MAX: Final = 1000  # remembered at a time; each has a few hundred bytes
REASON_CHARS_MAX: Final = 1000


class TriggerNote(msgspec.Struct, frozen=True, kw_only=True):
    """How a trigger did since the server was started, or since it was set."""

    target: str
    calls: int = 0
    failures: int = 0  # in a row, up to now
    answered_ms: int | None = None  # the last time that it did its work
    failed_ms: int | None = None
    failure: str = ""  # the last one, in words
    hint: str = ""  # what to do about that


class TriggerNotes:
    """The notes, by pool; the one unused for longest makes room."""

    def __init__(self, *, pools_max: int = POOLS_MAX) -> None:
        self._pools_max = pools_max
        self._notes: OrderedDict[str, TriggerNote] = OrderedDict()

    def find(self, identity_pool_id: str, target: str) -> TriggerNote:
        """Give the note of a trigger; one of another target tells nothing of it."""
        note = self._notes.get(identity_pool_id)
        if note is None or note.target != target:
            return TriggerNote(target=target)
        return note

    def failing(self) -> list[tuple[str, TriggerNote]]:
        """List the triggers whose last call failed, and their pools."""
        return [each for each in self._notes.items() if each[1].failures]

    def answered(self, identity_pool_id: str, target: str, *, now_ms: int) -> None:
        """Note that a trigger did its work."""
        note = self.find(identity_pool_id, target)
        self._keep(
            identity_pool_id,
            msgspec.structs.replace(
                note, calls=note.calls + 1, failures=0, answered_ms=now_ms
            ),
        )

    def failed(
        self, identity_pool_id: str, target: str, reason: str, hint: str, *, now_ms: int
    ) -> None:
        """Note that a trigger did not, and why."""
        note = self.find(identity_pool_id, target)
        self._keep(
            identity_pool_id,
            msgspec.structs.replace(
                note,
                calls=note.calls + 1,
                failures=note.failures + 1,
                failed_ms=now_ms,
                failure=reason[:REASON_CHARS_MAX],
                hint=hint,
            ),
        )

    def _keep(self, identity_pool_id: str, note: TriggerNote) -> None:
        self._notes[identity_pool_id] = note
        self._notes.move_to_end(identity_pool_id)
        if len(self._notes) > self._pools_max:
            self._notes.popitem(last=False)
