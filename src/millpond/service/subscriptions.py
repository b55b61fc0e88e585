"""
Who reads which shard at the moment, and who is woken when records come.

A consumer has one subscription to a shard at a time. For some seconds after it began,
another one is refused; later the other one takes over, and this one is told so. That
holds between servers on one store as well: each tells the others of what begins
(`server.neighbours`), and of two that began at once, the later stays.

Theory of operation. Records wait in the store, not here: a subscription reads a piece
of them when its reader has taken the last one. So a reader that is slow costs nothing
but its place. Whoever appends records to a stream wakes its subscriptions; those of
other servers look by themselves now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, NamedTuple

from millpond import limits
from millpond.errors import LimitExceededException, ResourceInUseException

HOLD_MS: Final = limits.SUBSCRIPTION_HOLD_S * 1000


class Place(NamedTuple):
    """A consumer at a shard."""

    stream_id: int
    consumer_name: str
    consumer_creation_ms: int
    shard: int


class Begun(NamedTuple):
    """When a subscription began, and where; the later counts."""

    time_ms: int
    node: str


class Seat:
    """A place that is taken. `leave` it in any case."""

    def __init__(
        self, subscriptions: Subscriptions, place: Place, begun: Begun
    ) -> None:
        self.place = place
        self.begun = begun
        self.taken_over = False
        self._ended = asyncio.Event()
        self._subscriptions = subscriptions
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Say that there may be something to see."""
        self._woken.set()

    def expect(self) -> None:
        """Forget what was said until now; what comes from now on is not missed."""
        self._woken.clear()

    async def wait_for_end(self) -> None:
        """Wait until it has ended."""
        await self._ended.wait()

    @property
    def ended(self) -> bool:
        """Whether nothing comes any more."""
        return self._ended.is_set()

    async def wait(self, timeout_s: float) -> None:
        """Wait until it is woken, or for as long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._woken.wait()

    def end(self) -> None:
        """End it: the reader is gone, or the server goes."""
        self._ended.set()
        self.wake()

    def give_up(self) -> None:
        """Let another subscription have the place."""
        self.taken_over = True
        self.end()

    def leave(self) -> None:
        """Give the place free. Idempotent."""
        self._subscriptions.forget(self)


class Subscriptions:
    """The subscriptions of this server, and when others began elsewhere."""

    def __init__(self, *, subscriptions_max: int = limits.SUBSCRIPTIONS_MAX) -> None:
        self.node = ""
        """What this server is called among those of its store."""
        self.forward: Callable[[Place, Begun], None] | None = None
        """Tells other servers; None when there are none."""
        self.count = 0
        """Subscriptions at the moment."""
        self._max = subscriptions_max
        self._seats: dict[Place, Seat] = {}
        self._of_stream: dict[int, set[Seat]] = {}
        self._begun: dict[Place, Begun] = {}  # of late, the oldest first
        self._closed = False

    def take(self, place: Place, *, now_ms: int) -> Seat:
        """
        Take a place, and take it over from who has it.

        Raises:
            ResourceInUseException: somebody took it a moment ago.
            LimitExceededException: there are too many subscriptions.
        """
        self._forget_old(now_ms)
        last = self._begun.get(place)
        if last is not None and _holds(last, now_ms):
            raise ResourceInUseException(
                f"Another active subscription of consumer {place.consumer_name} exists "
                f"for this shard; it can be taken over {limits.SUBSCRIPTION_HOLD_S} "
                "seconds after it began."
            )
        if self.count >= self._max:
            raise LimitExceededException(
                f"The server has {self.count} subscriptions; the limit is {self._max}."
            )
        begun = Begun(now_ms, self.node)
        self._give_up(place)
        seat = Seat(self, place, begun)
        self._seats[place] = seat
        self._of_stream.setdefault(place.stream_id, set()).add(seat)
        self.count += 1
        self._note(place, begun)
        if self.forward is not None:
            self.forward(place, begun)
        if self._closed:
            seat.end()
        return seat

    def hear(self, place: Place, begun: Begun) -> None:
        """Note that a subscription began at another server."""
        self._forget_old(begun.time_ms)
        seat = self._seats.get(place)
        if seat is None or seat.begun < begun:
            self._note(place, begun)
            self._give_up(place)

    def wake(self, stream_id: int) -> None:
        """Wake the subscriptions of a stream: there are records."""
        for seat in self._of_stream.get(stream_id, ()):
            seat.wake()

    def forget(self, seat: Seat) -> None:
        """Give the place of a subscription free; that it began is still known."""
        of_stream = self._of_stream.get(seat.place.stream_id, set())
        if seat not in of_stream:
            return
        of_stream.remove(seat)
        if not of_stream:
            del self._of_stream[seat.place.stream_id]
        if self._seats.get(seat.place) is seat:
            del self._seats[seat.place]
        self.count -= 1

    def close(self) -> None:
        """End all, also those to come: the server is going."""
        self._closed = True
        for seats in self._of_stream.values():
            for seat in seats:
                seat.end()

    def _give_up(self, place: Place) -> None:
        seat = self._seats.pop(place, None)
        if seat is not None:
            seat.give_up()

    def _note(self, place: Place, begun: Begun) -> None:
        self._begun.pop(place, None)  # so that it comes to stand at the end
        self._begun[place] = begun

    def _forget_old(self, now_ms: int) -> None:
        """Forget what began so long ago that it can be taken over."""
        while self._begun:
            place, begun = next(iter(self._begun.items()))
            if now_ms - begun.time_ms < HOLD_MS:
                break
            del self._begun[place]


def _holds(begun: Begun, now_ms: int) -> bool:
    """Say whether it is too early to take a place over."""
    # The clock of another server may be ahead a little. One that was set back by more
    # must not hold a place for longer.
    return abs(now_ms - begun.time_ms) < HOLD_MS
