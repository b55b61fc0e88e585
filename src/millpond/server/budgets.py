"""
What senders and readers may have us hold: so much all together, and so much each.

A transfer holds memory: a body of which a part is still to come, or an answer of which
a part is still to be taken. When a budget is used up, whoever wants more waits a
little, and transfers that hardly move give way: a stranger who holds on to everything
loses it to the next one who is in a hurry. One that does not move at all ends anyway.

A transfer has to move faster the more it holds, or it is the first to give way. Of
those who wait, the peer that holds least comes first, with what holds least.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, Self, TypeVar

T = TypeVar("T")

TICK_S: Final = 0.5  # how often transfers are looked at, while there are any
WAIT_S_MAX: Final = 8.0  # for room, before a transfer is refused
HELD_S_MAX: Final = 60.0  # in how long a transfer should have moved what it holds
BYTES_PER_S_MIN: Final = 1024
_YOUNG_TICKS: Final = 3  # until it can be said how fast a transfer is
_TURNS: Final = 4  # of the event loop, until a transfer that has to give way is gone


class OverBudgetError(Exception):
    """There is no room."""

    def __init__(self, *, of_peer: bool) -> None:
        """
        Args:
            of_peer: the peer itself holds all that it may; else all of them together.
        """
        super().__init__()
        self.of_peer = of_peer


class Budget:
    """Bytes that transfers may hold."""

    def __init__(
        self,
        *,
        bytes_max: int,
        peer_bytes_max: int,
        pause_s_max: float,
        gave_way: Callable[[], None],
        no_room: Callable[[], None],
    ) -> None:
        """
        Args:
            pause_s_max: how long a transfer may not move at all.
            gave_way: told of each transfer that is ended.
            no_room: told of each that is refused.
        """
        self._bytes_max = bytes_max
        self._peer_bytes_max = peer_bytes_max
        self._pause_s_max = pause_s_max
        self._gave_way = gave_way
        self._no_room = no_room
        self.held = 0
        self._held_by: Counter[str] = Counter()
        self._transfers: set[Transfer] = set()
        self._beginning_s: dict[asyncio.Task[object], float] = {}
        self._late: set[asyncio.Task[object]] = set()
        self._waiting: list[tuple[Transfer, int, asyncio.Future[None]]] = []
        self._tick: asyncio.TimerHandle | None = None

    def open(self, peer: str, limit: asyncio.Timeout) -> Transfer:
        """
        Begin a transfer, which holds nothing yet.

        Args:
            limit: around whatever moves it; it is made to pass when it must give way.
        """
        transfer = Transfer(self, peer, limit)
        self._transfers.add(transfer)
        if self._tick is None:
            loop = asyncio.get_running_loop()
            self._tick = loop.call_later(TICK_S, self._look)
        return transfer

    async def begin(self, first: Awaitable[T]) -> T:
        """
        Wait for the first part of a transfer, of which nothing is held yet.

        Mostly it is all there is, and there already; setting a timer for each, and
        taking it back, would cost more than the wait.

        Raises:
            TimeoutError: it did not come for as long as a transfer may not move.
        """
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        self._beginning_s[task] = loop.time()
        if self._tick is None:
            self._tick = loop.call_later(TICK_S, self._look)
        try:
            return await first
        except asyncio.CancelledError:
            # Unless somebody else has cancelled it as well.
            if task in self._late and task.uncancel() == 0:
                raise TimeoutError from None
            raise
        finally:
            del self._beginning_s[task]
            self._late.discard(task)

    def fits(self, transfer: Transfer, size: int) -> bool:
        """Say whether a transfer may hold more: whatever it likes when it is alone."""
        total = self.held + size
        alone = self.held == transfer.held
        return alone or (total <= self._bytes_max and not self._is_over(transfer, size))

    def _is_over(self, transfer: Transfer, size: int) -> bool:
        """Say whether it would be too much for the peer."""
        held = self._held_by[transfer.peer]
        return held != transfer.held and held + size > self._peer_bytes_max

    def add(self, transfer: Transfer, size: int) -> None:
        """Hold more, or less."""
        transfer.held += size
        self.held += size
        self._held_by[transfer.peer] += size
        if self._held_by[transfer.peer] <= 0:
            del self._held_by[transfer.peer]

    def settle(self, transfer: Transfer) -> None:
        """Look at a transfer no more; what it holds is held on."""
        self._transfers.discard(transfer)

    def close(self, transfer: Transfer) -> None:
        """End a transfer, and give back what it holds."""
        self.settle(transfer)
        self.add(transfer, -transfer.held)

    async def wait_for_room(self, transfer: Transfer, size: int) -> None:
        """
        Wait until others have given way.

        Raises:
            OverBudgetError: nobody does.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((transfer, size, future))
        transfer.waits = True
        try:
            async with asyncio.timeout(WAIT_S_MAX):
                await future
        except TimeoutError:
            self._no_room()
            of_peer = self._is_over(transfer, size)
            raise OverBudgetError(of_peer=of_peer) from None
        except OverBudgetError:
            self._no_room()
            raise
        finally:
            transfer.waits = False
            self._waiting = [each for each in self._waiting if each[2] is not future]

    async def make_room_now(self, transfer: Transfer, size: int) -> None:
        """Hold more, or raise OverBudgetError; others give way if that helps."""
        of_peer = self._is_over(transfer, size)
        if not self.fits(transfer, size):
            self._make_room(Counter({transfer.peer if of_peer else "": size}))
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        if not self.fits(transfer, size):
            self._no_room()
            raise OverBudgetError(of_peer=of_peer)
        self.add(transfer, size)

    def _look(self) -> None:
        """Look at all transfers: who is stuck, who waits, who must give way."""
        loop = asyncio.get_running_loop()
        any_left = self._transfers or self._beginning_s
        self._tick = loop.call_later(TICK_S, self._look) if any_left else None
        now_s = loop.time()
        for task, began_s in self._beginning_s.items():
            if now_s - began_s > self._pause_s_max and task not in self._late:
                self._late.add(task)
                task.cancel()
        for each in self._transfers:
            if each.look(now_s) > self._pause_s_max:
                self._end(each)
        self._waiting.sort(key=lambda one: (self._held_by[one[0].peer], one[0].held))
        wanted: Counter[str] = Counter()
        for transfer, size, future in self._waiting:
            if future.done():
                continue
            if self.fits(transfer, size):
                self.add(transfer, size)
                future.set_result(None)
            else:
                of_peer = self._is_over(transfer, size)
                wanted[transfer.peer if of_peer else ""] += size
        if wanted and not self._make_room(wanted):
            self._refuse_some()

    def _make_room(self, wanted: Counter[str]) -> bool:
        """
        End transfers that hardly move, those of whoever holds most first.

        Args:
            wanted: bytes, by the peer that must give them up; an empty one is anybody.
        Returns:
            Whether there is anybody left who moves, or room will be.
        """
        slow = [each for each in self._transfers if each.held and each.is_slow]
        slow.sort(key=lambda each: (-self._held_by[each.peer], each.bytes_per_s))
        for each in slow:
            for peer in (each.peer, ""):
                if wanted[peer] > 0:
                    wanted[peer] -= each.held
                    self._end(each)
                    break
        return any(each.held and not each.waits for each in self._transfers)

    def _refuse_some(self) -> None:
        """Have some go on: all wait for each other, and who holds most must go."""
        first, *others = [one for one in self._waiting if not one[2].done()]
        wanted = max(first[1], self._peer_bytes_max // 8)
        for transfer, size, future in reversed(others):
            if wanted > 0 and transfer.held:
                wanted -= transfer.held
                of_peer = self._is_over(transfer, size)
                future.set_exception(OverBudgetError(of_peer=of_peer))

    def _end(self, transfer: Transfer) -> None:
        if not transfer.ended:
            transfer.end()
            self._gave_way()


class Transfer:
    """Something that is on its way, in one direction or the other."""

    __slots__ = (
        "_budget",
        "_limit",
        "_looked",
        "_moved",
        "_moved_s",
        "bytes_per_s",
        "ended",
        "held",
        "peer",
        "waits",
    )

    def __init__(self, budget: Budget, peer: str, limit: asyncio.Timeout) -> None:
        self._budget = budget
        self._limit = limit
        self._looked = 0
        self._moved = 0
        self._moved_s = asyncio.get_running_loop().time()
        self.peer = peer
        self.held = 0
        self.bytes_per_s = 0.0
        self.waits = False
        """Whether it waits for room, and could not move if it wanted."""
        self.ended = False
        """Whether it had to give way."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    async def take(self, size: int) -> None:
        """Hold so many bytes more; raises as `Budget.wait_for_room`."""
        if self._budget.fits(self, size):
            self._budget.add(self, size)
        else:
            await self._budget.wait_for_room(self, size)
        self.move(size)

    async def take_now(self, size: int) -> None:
        """
        Hold bytes that are there already, and so cannot wait.

        Raises:
            OverBudgetError: there is no room, though all who hardly move gave way.
        """
        await self._budget.make_room_now(self, size)
        self.move(size)

    def move(self, size: int) -> None:
        """Note that bytes have come, or gone."""
        self._moved += size

    def settle(self) -> None:
        """Be whole: it holds on until it is closed, and gives way no more."""
        self._budget.settle(self)

    def close(self) -> None:
        """Give back whatever it holds."""
        self._budget.close(self)

    def look(self, now_s: float) -> float:
        """Find out how fast it is; say for how many seconds it has not moved."""
        self._looked += 1
        self.bytes_per_s = 0.25 * self.bytes_per_s + 0.75 * self._moved / TICK_S
        if self._moved or self.waits:
            self._moved = 0
            self._moved_s = now_s
        return now_s - self._moved_s

    @property
    def is_slow(self) -> bool:
        """Whether it moves slowly for what it holds."""
        if self.ended or self.waits or self._looked < _YOUNG_TICKS:
            return False
        return self.bytes_per_s < max(BYTES_PER_S_MIN, self.held / HELD_S_MAX)

    def end(self) -> None:
        """Make it give way: the time limit around it passes now."""
        self.ended = True
        self._limit.reschedule(asyncio.get_running_loop().time())
