"""The pace of calls: as fast as a source allows, on a clock that nobody waits for."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import defaultdict
from typing import Any

import pytest

from millpond.sources import api_calls
from millpond.sources.api_calls import Answer, ApiCalls, Keys

AT_ONCE = 16  # identities
HERE = {"cognito-identity": "http://a.example", "cognito-sync": "http://a.example"}


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock goes to the next thing to do as soon as all waits."""

    def __init__(self) -> None:
        self._now_s = 1000.0
        super().__init__()

    def time(self) -> float:
        return self._now_s

    def _run_once(self) -> None:
        waiting: Any = self
        if not waiting._ready and waiting._scheduled:
            self._now_s = max(self._now_s, waiting._scheduled[0]._when)
        super()._run_once()  # type: ignore[misc]


class Bucket:
    """Lets so many calls a second through, and a second's worth at once."""

    def __init__(self, loop: JumpingLoop, rate: float) -> None:
        self._loop = loop
        self.rate = rate
        self._tokens = rate
        self._filled_s = loop.time()

    def take(self) -> bool:
        now_s = self._loop.time()
        self._tokens += (now_s - self._filled_s) * self.rate
        self._tokens = min(self._tokens, max(self.rate, 1.0))
        self._filled_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Throttled(ApiCalls):
    """Calls of a source that throttles, all operations together or each by itself."""

    def __init__(self, loop: JumpingLoop, rate: float, *, together: bool) -> None:
        super().__init__(HERE, "us-east-1", _NoKeys(), clock=loop.time)
        self.allowed = rate
        self._buckets: dict[str, Bucket] = defaultdict(
            lambda: Bucket(loop, self.allowed)
        )
        self._together = together
        self._random = random.Random(2)
        self.answered: dict[str, int] = defaultdict(int)

    def allow(self, rate: float) -> None:
        self.allowed = rate
        for each in self._buckets.values():
            each.rate = rate

    async def _try(self, service: str, action: str, *_: Any) -> Any:
        await asyncio.sleep(self._random.uniform(0.01, 0.03))
        if self._buckets["all" if self._together else action].take():
            self.answered[action] += 1
            return Answer(b"", 0.0)
        return api_calls._Failed("429", put_off=True, wait_s=0.0)


class _NoKeys:
    def find(self) -> Keys:
        raise AssertionError("nothing is signed here")


async def copy(calls: Throttled) -> None:
    """Ask as a copy does, identity by identity."""

    async def ask() -> None:
        while True:
            await calls.sync("ListDatasets")
            for _ in range(2):
                await calls.sync("ListRecords")

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(ask())


async def used(calls: Throttled, for_s: float) -> float:
    """Say which share of what is allowed is used for a while."""
    busiest = "cognito-sync:ListRecords"

    def count() -> int:
        done = calls.answered
        return sum(done.values()) if calls._together else done[busiest]

    before = count()
    await asyncio.sleep(for_s)
    return (count() - before) / (calls.allowed * for_s)


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> JumpingLoop:
    monkeypatch.setattr(random, "uniform", random.Random(1).uniform)
    return JumpingLoop()


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("rate", [5.0, 20.0, 100.0])
def test_nine_tenths_of_what_is_allowed_are_used(
    loop: JumpingLoop, rate: float, together: bool
) -> None:
    """At AWS's 5 a second of ListIdentities as well as at rates of a quick source."""

    async def run() -> tuple[float, float]:
        calls = Throttled(loop, rate, together=together)
        copying = asyncio.create_task(copy(calls))
        await asyncio.sleep(30)
        share = await used(calls, 120)
        copying.cancel()
        await asyncio.gather(copying, return_exceptions=True)
        return share, calls.throttled / calls.requests

    with contextlib.closing(loop):
        share, wasted = loop.run_until_complete(run())
    assert share >= 0.9
    assert wasted <= 0.25


@pytest.mark.parametrize(("before", "after"), [(20.0, 100.0), (100.0, 20.0)])
def test_a_limit_that_changes_is_found_again(
    loop: JumpingLoop, before: float, after: float
) -> None:
    """Within half a minute, up or down."""

    async def run() -> float:
        calls = Throttled(loop, before, together=True)
        copying = asyncio.create_task(copy(calls))
        await asyncio.sleep(60)
        calls.allow(after)
        await asyncio.sleep(30)
        share = await used(calls, 60)
        copying.cancel()
        await asyncio.gather(copying, return_exceptions=True)
        return share

    with contextlib.closing(loop):
        assert loop.run_until_complete(run()) >= 0.9
