"""Transfers hold no more than a budget has, and those that do not move give way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from millpond.server import budgets
from millpond.server.budgets import Budget, OverBudgetError
from millpond.testing.deadlines import seconds

told: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at transfers often, so that nobody has to wait for it."""
    monkeypatch.setattr(budgets, "TICK_S", 0.01)
    told.clear()


def make(bytes_max: int, peer_bytes_max: int, pause_s_max: float = 3600) -> Budget:
    return Budget(
        bytes_max=bytes_max,
        peer_bytes_max=peer_bytes_max,
        pause_s_max=pause_s_max,
        gave_way=lambda: told.update(["gave way"]),
        no_room=lambda: told.update(["no room"]),
    )


def run(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(seconds(20)):
            await scene()

    asyncio.run(bounded())


async def hold(budget: Budget, peer: str, *sizes: int, move: int = 0) -> str:
    """Take bytes piece by piece, and hold them for ever; say how that ended."""
    try:
        async with asyncio.timeout(None) as limit:
            with budget.open(peer, limit) as transfer:
                for size in sizes:
                    await transfer.take(size)
                    await asyncio.sleep(0)  # the others take theirs
                while True:
                    await asyncio.sleep(0.005)
                    transfer.move(move)
    except TimeoutError:
        return "gave way"
    except OverBudgetError as error:
        return "peer" if error.of_peer else "all"


def test_who_does_not_move_gives_way():
    """A newcomer of the same peer, and of another one, gets its room."""

    async def scene() -> None:
        budget = make(1_000_000, 800_000)
        stuck = [asyncio.create_task(hold(budget, "a", 400_000)) for _ in range(2)]
        await asyncio.sleep(0)
        newcomer = asyncio.create_task(hold(budget, "a", 100_000, move=100_000))

        done, _ = await asyncio.wait(stuck, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0.1)

        assert {each.result() for each in done} == {"gave way"}
        assert not newcomer.done()
        assert budget.held <= 800_000
        for each in (*stuck, newcomer):
            each.cancel()
        await asyncio.wait([*stuck, newcomer])
        assert budget.held == 0

    run(scene)
    assert told == {"gave way": 1}


def test_who_moves_stays(monkeypatch):
    """A newcomer waits for those who move, and is refused when they go on."""
    monkeypatch.setattr(budgets, "WAIT_S_MAX", 0.3)

    async def scene() -> None:
        budget = make(1000, 600)
        moving = [
            asyncio.create_task(hold(budget, peer, 500, move=100_000))
            for peer in ("a", "b")
        ]
        await asyncio.sleep(0)

        assert await hold(budget, "a", 200) == "peer"
        assert await hold(budget, "c", 200) == "all"
        assert not any(each.done() for each in moving)
        for each in moving:
            each.cancel()
        await asyncio.wait(moving)

    run(scene)
    assert told == {"no room": 2}


def test_all_wait_for_each_other():
    """Some are refused, those who hold most, so that the others go on."""

    async def scene() -> None:
        budget = make(1000, 1000)
        tasks = [asyncio.create_task(hold(budget, "a", 100 + n, 800)) for n in range(4)]

        await asyncio.wait(tasks[1:])

        assert [each.result() for each in tasks[1:]] == ["peer"] * 3
        while budget.held < 900:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        tasks[0].cancel()
        await asyncio.wait(tasks)

    run(scene)


def test_one_that_is_alone():
    """It may hold more than the budget has: nobody else is in need of it."""

    async def scene() -> None:
        budget = make(100, 100)
        async with asyncio.timeout(None) as limit:
            with budget.open("a", limit) as transfer:
                await transfer.take(1000)
                await transfer.take_now(1000)
                with budget.open("b", limit) as other, pytest.raises(OverBudgetError):
                    await other.take_now(1)

    run(scene)


def test_a_pause_that_is_too_long():
    """Who does not move at all ends, though there is room for all."""

    async def scene() -> None:
        budget = make(1000, 1000, pause_s_max=0.05)

        assert await hold(budget, "a", 1) == "gave way"

    run(scene)


def test_what_is_there_already_cannot_wait():
    """It has room at once, when those who are slow give way, or it is refused."""

    async def scene() -> None:
        budget = make(1000, 1000)
        slow = asyncio.create_task(hold(budget, "a", 900))
        async with asyncio.timeout(None) as limit:
            with budget.open("b", limit) as transfer:
                await asyncio.sleep(0)
                with pytest.raises(OverBudgetError):  # it cannot be told yet
                    await transfer.take_now(500)
                await asyncio.sleep(0.2)
                await transfer.take_now(500)

        assert await slow == "gave way"

    run(scene)


def test_what_never_begins():
    """It ends by itself; who cancels it himself is not told that it was late."""

    async def scene() -> None:
        budget = make(100, 100, pause_s_max=0.05)
        task = asyncio.current_task()
        assert task is not None
        for _ in range(2):  # the timer sleeps in between
            assert await budget.begin(asyncio.sleep(0, "soon")) == "soon"
            with pytest.raises(TimeoutError):
                await budget.begin(asyncio.Event().wait())
            assert task.cancelling() == 0

        others = make(100, 100)
        waits = asyncio.ensure_future(others.begin(asyncio.Event().wait()))
        await asyncio.sleep(0)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits

    run(scene)
