"""
What a device keeps, as rules see it: a copy of each dataset of each identity.

Rule: a change is a pure function of what is stored, carried out while nobody else may
write, in this process or another. So an acknowledged write is neither lost nor
overwritten unseen, whoever else synchronizes or writes at the same moment.

A synchronization goes over the network, and holds nothing meanwhile. Each of its steps
says which step it follows (`Stored.step`); where somebody else was faster it begins
anew with what is there by now.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from millpond.core.client_sync.copies import Copy


class Stored(msgspec.Struct, frozen=True):
    """
    A copy, and what is known beside it.

    Args:
        row: which one it is in the storage; 0: there is none yet.
        step: counts what a synchronization must not miss: its own steps, deletions and
            what followed; not the writes of the app.
        last_sync_ms: by the clock of the device; 0: never.
    """

    copy: Copy = Copy()
    row: int = 0
    step: int = 0
    last_sync_ms: int = 0
    last_error: str | None = None


Decide = Callable[[Stored], Stored]
"""Of what is stored: what shall be. Pure; called while nobody else may write."""


class Changed(NamedTuple):
    """A change that is on disk."""

    before: Stored
    after: Stored
