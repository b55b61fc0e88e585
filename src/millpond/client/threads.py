"""Work for code that awaits, on threads that nobody waits for at the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def on_thread(work: Callable[[], T], name: str) -> asyncio.Future[T]:
    """
    Do something that may take long on a thread of its own.

    The threads of `asyncio.to_thread` are waited for when the loop ends, and so an app
    that is interrupted would wait for a server that does not answer.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(act: Callable[[], None]) -> None:
        if not future.done():
            act()

    def run() -> None:
        act: Callable[[], None]
        try:
            result = work()
        except BaseException as error:
            failed = error

            def act() -> None:
                future.set_exception(failed)
        else:

            def act() -> None:
                future.set_result(result)

        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, act)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
