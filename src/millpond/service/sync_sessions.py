"""
Counting sync sessions without writing on the path of a read.

A listing that begins a session adds one in memory. The counts are saved about once a
second, before they are read, and at shutdown; a crash loses those of the last second.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from millpond.stores.base import IdentityPoolStore


class SyncSessionCounter:
    """Sync sessions begun, by pool."""

    def __init__(self, store: IdentityPoolStore) -> None:
        self._store = store
        self._unsaved: Counter[str] = Counter()
        self._saving = asyncio.Lock()
        self.gather: Callable[[], Awaitable[None]] | None = None
        """Adds what other processes of this server have counted."""

    def add(self, identity_pool_id: str, count: int = 1) -> None:
        """Count sessions."""
        self._unsaved[identity_pool_id] += count

    def take(self) -> dict[str, int]:
        """Give what is not saved to somebody else, who is going to."""
        counts, self._unsaved = self._unsaved, Counter()
        return dict(counts)

    async def save(self) -> None:
        """Save all that were counted before this call."""
        if self.gather is not None:
            await self.gather()
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
