"""
The last hour's figures, in memory: what the charts of the overview show.

They are taken whether anybody looks or not, for who looks wants to see what was. What
the process knows by itself is read every ten seconds, what the store must be asked
every minute. All together is a few kilobytes.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import structlog

from millpond.errors import StoreError
from millpond.service.context import Context
from millpond.service.patience import within

_log = structlog.get_logger()

STEP_S: Final = 10
POINTS: Final = 360  # an hour
STORE_STEPS: Final = 6  # a look at the store with every sixth point
STORE_S_MAX: Final = 5.0
OUTBOX_COUNT_MAX: Final = 1000  # counted no further: the lag is what matters


class Series(NamedTuple):
    """What is measured, for people."""

    name: str
    title: str
    unit: str  # "a second", "bytes", "seconds" or ""


SERIES: Final = (
    Series("requests", "Requests", "a second"),
    Series("errors", "Errors", "a second"),
    Series("listeners", "Listeners to live updates", ""),
    Series("outbox_lag", "The oldest in the outbox", "seconds"),
    Series("store_bytes", "Size of the store", "bytes"),
)


class History:
    """The figures of one server's last hour."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._points = {each.name: array("d") for each in SERIES}
        self.last_ms = 0
        """When the newest was taken; 0: there is none."""
        self._before = (0, 0)
        self._steps = 0
        self._of_store = (float("nan"), float("nan"))

    async def run(self) -> None:
        """Take figures until cancelled."""
        self._before = self._context.metrics.requests.totals()
        while True:
            await asyncio.sleep(STEP_S)
            try:
                await self.take()
            except Exception as error:  # the next point is worth as much
                _log.warning("console.history_failed", error=str(error))

    async def take(self) -> None:
        """Take one of each."""
        if self._steps % STORE_STEPS == 0:
            self._of_store = await self._ask_store()
        self._steps += 1
        now = requests, errors = self._context.metrics.requests.totals()
        figures = (
            (requests - self._before[0]) / STEP_S,
            (errors - self._before[1]) / STEP_S,
            self._context.changes.count,
            *self._of_store,
        )
        self._before = now
        self.last_ms = self._context.now_ms()
        for points, figure in zip(self._points.values(), figures, strict=True):
            points.append(figure)
            if len(points) > POINTS:
                del points[0]

    async def _ask_store(self) -> tuple[float, float]:
        store = self._context.store
        try:
            outbox = await within(
                STORE_S_MAX, store.measure_outbox(None, count_max=OUTBOX_COUNT_MAX)
            )
            size = await within(STORE_S_MAX, store.measure_bytes())
        except (StoreError, TimeoutError):
            return float("nan"), float("nan")
        now_ms = self._context.now_ms()
        lag_ms = max(now_ms - (outbox.oldest_ms or now_ms), 0)
        return lag_ms / 1000, float(size)

    def charts(self) -> list[Mapping[str, Any]]:
        """Give the figures, the oldest first; None where there was none to be had."""
        return [
            {
                "name": each.name,
                "title": each.title,
                "unit": each.unit,
                "step_seconds": STEP_S,
                "points": [p if p == p else None for p in self._points[each.name]],
            }
            for each in SERIES
        ]
