"""Waiting for something no longer than whoever asks would wait."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def within(seconds: float, doing: Coroutine[Any, Any, T]) -> T:
    """
    Wait for something, and leave it to itself after a time.

    `asyncio.timeout` would wait for its cancellation, and a driver whose server is
    frozen may take as long for that as for an answer.

    Raises:
        TimeoutError: it took longer.
    """
    task = asyncio.ensure_future(doing)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except BaseException:
        leave(task)
        raise
    if not done:
        leave(task)
        raise TimeoutError
    return task.result()


def leave(task: asyncio.Future[Any]) -> None:
    """Cancel a task, and hear of its error in place of whoever waited for it."""
    task.add_done_callback(lambda each: each.cancelled() or each.exception())
    task.cancel()
