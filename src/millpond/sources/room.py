"""Room for what is fetched and not given yet."""

from __future__ import annotations

import asyncio
import collections


class Room:
    """
    A number of bytes; who wants some waits for those who came before.

    What is larger than all of it gets all of it, alone.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._free = size
        self._waiting: collections.deque[tuple[int, asyncio.Future[None]]]
        self._waiting = collections.deque()

    def has(self, size: int) -> bool:
        """Say whether one would not have to wait."""
        return not self._waiting and min(size, self._size) <= self._free

    async def acquire(self, size: int) -> int:
        """Take room, and give how much is to be released."""
        size = min(size, self._size)
        if self.has(size):
            self._free -= size
            return size
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (size, future)
        self._waiting.append(entry)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.release(size)  # it was given just now
            else:
                self._waiting.remove(entry)
                self._hand_out()
            raise
        return size

    def release(self, size: int) -> None:
        """Give room back."""
        self._free += size
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            size, future = self._waiting.popleft()
            if not future.done():
                self._free -= size
                future.set_result(None)
