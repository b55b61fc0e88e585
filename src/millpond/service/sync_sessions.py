"""
Counting sync sessions without writing on the path of a read.

A listing that begins a session adds one in memory. The counts are saved about once a
second, before they are read, and at shutdown; a crash loses those of the last second.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from millpond.stores.base import IdentityPoolStore


class SyncSessionCounter:
    """Sync sessions begun, by pool."""

    def __init__(self, store: IdentityPoolStore) -> None:
        self._store = store
        self._unsaved: Counter[str] = Counter()
        self._saving = asyncio.Lock()

    def add(self, identity_pool_id: str) -> None:
        """Count one session."""
        self._unsaved[identity_pool_id] += 1

    async def save(self) -> None:
        """Save all that were counted before this call."""
        async with self._saving:
            if not self._unsaved:
                return
            counts, self._unsaved = self._unsaved, Counter()
            try:
                # Shielded: the store finishes a write whose waiter is cancelled.
                await asyncio.shield(self._store.add_sync_sessions(counts))
            except Exception:
                self._unsaved.update(counts)
                raise
