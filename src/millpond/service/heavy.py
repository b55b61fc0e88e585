"""
Work that is too long for the event loop: on threads, a few at a time.

Everybody waits while the loop works, and a large listing or update takes tens of
milliseconds of it. What is large goes to a thread, where Python shares the processor
with the loop every few milliseconds. There are two threads, so that no more than two
large things are in the making at a time, however many are asked for.

A hop costs some 0.1 ms, so what is small stays: up to `ITEMS_MAX` items and
`BYTES_MAX` bytes, of which each step takes a millisecond or two.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

ITEMS_MAX: Final = 200
BYTES_MAX: Final = 131_072
THREADS: Final = 2

_threads: Final = ThreadPoolExecutor(THREADS, "millpond-heavy")


async def run(function: Callable[P, T], /, *args: P.args, **keywords: P.kwargs) -> T:
    """Call a function that shares nothing with others, on a thread."""
    call = functools.partial(function, *args, **keywords)
    return await asyncio.get_running_loop().run_in_executor(_threads, call)


def _look_for_records(shape: Any) -> bool:
    return hasattr(shape, "records")


_has_records: Final[Callable[[Any], bool]] = functools.cache(_look_for_records)


def is_heavy(response: Any) -> bool:
    """Say whether an answer is too large to be encoded on the event loop."""
    records = response.records if _has_records(type(response)) else None
    if not records or not isinstance(records, list):
        return False
    if len(records) > ITEMS_MAX:
        return True
    first = records[0]  # all are of one shape, which has one of the two, if any
    if hasattr(first, "value"):
        held = [record.value for record in records]
    elif hasattr(first, "data"):
        held = [record.data for record in records]
    else:
        return False
    return sum(map(len, filter(None, held))) > BYTES_MAX
