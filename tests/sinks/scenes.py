"""Scenes that sinks of several engines play, each on a server of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from millpond.core.streaming import StreamRecord
from millpond.errors import SinkUnavailableError
from millpond.sinks.base import Sink


@contextlib.asynccontextmanager
async def opened(sink: Sink) -> AsyncIterator[Sink]:
    """Open a sink, and close it in the end."""
    await sink.open()
    try:
        yield sink
    finally:
        await sink.aclose()


def numbered(count: int, *, keys: int = 7, size: int = 0) -> list[StreamRecord]:
    """Make records with message ids, in which a few keys take turns."""
    return [
        StreamRecord(f"key-{n % keys}", str(n).encode().ljust(size), f"id-{n}")
        for n in range(count)
    ]


async def close_under_a_put(
    sink: Sink, cut_off: Callable[[], object], complaint: str
) -> None:
    """Close a sink whose put hangs: the put ends with an error that says so."""
    async with opened(sink):
        cut_off()
        putting = asyncio.create_task(sink.put(numbered(3)))
        await asyncio.sleep(0)
        await sink.aclose()
        with pytest.raises(SinkUnavailableError, match=complaint):
            await putting
