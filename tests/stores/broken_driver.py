"""A driver that fails when it is told to, and what a store makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from millpond.errors import LeaseLostError, StoreError, StoreUnavailableError
from millpond.testing.store_contract.bench import PREFS, put, values_of


class Breaker:
    """Makes statements of a driver fail, from the n-th one on."""

    def __init__(self) -> None:
        self._error: type[BaseException] | None = None
        self._left = self._times = 0
        self.struck = False

    def arm(self, error: type[BaseException], *, after: int, times: int = 1000) -> None:
        """Let statements pass, and so many behind them fail."""
        self._error, self._left, self.struck = error, after, False
        self._times = times

    def disarm(self) -> None:
        """Let all pass."""
        self._error = None

    def strike(self, *, spared: bool) -> None:
        """
        Count a statement, and fail when it is its turn.

        Args:
            spared: it never fails, and does not count.
        """
        if self._error is None or spared:
            return
        self._left -= 1
        if self._left < 0 and self._times > 0:
            self.struck = True
            self._times -= 1
            raise self._error("broken on purpose")


async def break_each_statement(
    store: Any,
    call: Callable[[Any], Awaitable[Any]],
    breaker: Breaker,
    plan: Iterable[tuple[int, type[BaseException]]],
    worth_a_repeat: tuple[type[BaseException], ...],
) -> None:
    """
    Call a method of a store, again and again, while its statements fail one by one.

    Each error must come out as a StoreError that says whether a repeat is worth it; the
    store must be whole after it.

    Args:
        plan: how many statements pass, and the error of the next ones; in rising order.
            It ends early when a method has no more statements.
    """
    await put(store, PREFS, {"k": "v"}, event=b"x")
    await store.create_stream("changes", shard_count=1, now_ms=1)
    for after, error in plan:
        breaker.arm(error, after=after)
        caught = await error_of(call(store))
        breaker.disarm()
        if isinstance(caught, StoreError):
            unavailable = isinstance(caught, StoreUnavailableError)
            assert unavailable is issubclass(error, worth_a_repeat), error
            assert caught.retryable is unavailable
            assert isinstance(caught.__cause__, error)
            assert caught.op
        elif isinstance(caught, LeaseLostError):
            pass  # the method's own word; it would say it again
        else:
            assert caught is None
            assert not breaker.struck, f"{error} after {after} was swallowed"
        await store.ping()
        assert await values_of(store, PREFS) == {"k": "v"}
        if after > 0 and not breaker.struck:
            return


async def error_of(call: Awaitable[Any]) -> BaseException | None:
    """Await a call, and give its error if it has one."""
    try:
        await call
    except (Exception, asyncio.CancelledError) as error:
        return error
    return None
