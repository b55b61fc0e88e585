"""
The outbox relay: live changes, from the store to their streams.

Theory of operation
-------------------
An update of a pool with an enabled stream left an entry in the outbox, in its own
transaction. Each pool with entries has a lane of its own: it takes the oldest entries,
puts them into the stream and deletes those that the stream has acknowledged, again and
again until there are none. It goes on in the order of the outbox, so the changes of an
identity arrive in order. When the relay dies in between, entries are sent again: at
least once. They keep their message id, for engines that remove repeats.

Lanes do not wait for each other, so a stream that stalls holds up its own pool alone.
One that cannot be reached is tried again with growing pauses. One that is gone switches
the pool's streaming off (ruling 20); what is left in the outbox stays there and is sent
when it is switched on again. An entry that the stream refuses for good is parked, with
the reason, and the lane goes on.

Between two puts that were not full a lane rests for a moment: under load its entries
gather, and a trip that carries many costs the requests less than many trips.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog

from millpond.core.identity_pools import IdentityPool
from millpond.core.streaming import StreamRecord
from millpond.errors import SettingsError, SinkError, StreamGoneError
from millpond.metrics import Metrics
from millpond.service.context import Context
from millpond.sinks import Destination, SinkRegistry
from millpond.sinks.base import FailedRecord
from millpond.stores.base import OutboxEntry
from millpond.workers.delivery import BYTES_MAX, Delivery
from millpond.workers.loop import Backoff, heed_cancellation, pause_s_max, run_steps

_log = structlog.get_logger()

PAUSE_S: Final = 1.0  # an update wakes the relay; this is for what waits for a retry
GATHER_S: Final = 0.05
ENTRIES_MAX: Final = 500
_BACKOFF: Final = Backoff(0.2, 30.0)


@dataclass
class _Trouble:
    failures: int
    until_s: float


class OutboxRelay:
    """Sends the outbox to the streams."""

    def __init__(self, context: Context, sinks: SinkRegistry, metrics: Metrics) -> None:
        self._context = context
        self._sinks = sinks
        self._metrics = metrics
        self._delivery = Delivery(context, sinks, metrics, source="outbox")
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._troubles: dict[str, _Trouble] = {}

    async def run(self) -> None:
        """Relay until cancelled."""
        try:
            await run_steps(
                "outbox relay",
                self.step,
                pause_s=PAUSE_S,
                pause_s_max=pause_s_max(self._context, PAUSE_S),
                hurry=lambda: bool(self._troubles or self._lanes),
                wake=self._context.outbox_changed,
                rest_s=GATHER_S,
            )
        finally:
            for lane in self._lanes.values():
                lane.cancel()
            await self.settle()

    async def step(self) -> bool:
        """Start a lane for each pool with entries that has none; wait for no stream."""
        for pool_id in await self._context.store.list_outbox_pools():
            trouble = self._troubles.get(pool_id)
            waits = trouble is not None and trouble.until_s > time.monotonic()
            if pool_id not in self._lanes and not waits:
                lane = asyncio.create_task(self._drain(pool_id))
                # Not by the lane itself: one that is cancelled early never runs.
                lane.add_done_callback(functools.partial(self._end_lane, pool_id))
                self._lanes[pool_id] = lane
        return False

    async def settle(self) -> None:
        """Wait until no lane is at work."""
        while self._lanes:
            await asyncio.gather(*self._lanes.values(), return_exceptions=True)

    async def _drain(self, pool_id: str) -> None:
        """Send what waits of a pool, until nothing does or something is wrong."""
        try:
            while (sent := await self._send(pool_id)) > 0:
                heed_cancellation()
                if sent < ENTRIES_MAX:
                    await asyncio.sleep(GATHER_S)
        except Exception as error:
            self._note_trouble(pool_id, "", str(error))

    def _end_lane(self, pool_id: str, lane: asyncio.Task[None]) -> None:
        del self._lanes[pool_id]
        # An entry may have come after the last look, when there still was a lane.
        self._context.outbox_changed.send()

    async def _send(self, pool_id: str) -> int:
        """Send the oldest entries of a pool; return how many if all is well, or 0."""
        pool = await self._context.store.find_identity_pool(pool_id)
        if pool is None or pool.stream is None or not pool.stream.streaming:
            return 0
        entries = await self._context.store.list_outbox(
            pool_id, limit=ENTRIES_MAX, bytes_max=BYTES_MAX
        )
        if not entries:
            return 0
        destination = self._delivery.destination(pool.stream)
        try:
            failed = await self._put(pool_id, destination, entries)
        except StreamGoneError as error:
            await self._disable(pool_id, destination.stream_name, error)
            return 0
        except (SinkError, SettingsError) as error:
            self._note_trouble(pool_id, destination.stream_name, str(error))
            return 0
        if failed is not None:
            self._note_trouble(pool_id, destination.stream_name, failed.reason)
            return 0
        self._troubles.pop(pool_id, None)
        return len(entries)

    async def _put(
        self, pool_id: str, destination: Destination, entries: Sequence[OutboxEntry]
    ) -> FailedRecord | None:
        """Put entries into their stream; return the first that has to be sent again."""
        result = await self._delivery.put(destination, [_record(e) for e in entries])
        failed = {each.index for each in result.failed}
        sent = [entry for index, entry in enumerate(entries) if index not in failed]
        await self._context.store.delete_outbox(pool_id, sent)
        refused = {e.index: e.reason for e in result.failed if not e.retryable}
        if refused:
            await self._park(pool_id, destination, refused, entries)
            return None  # what stood behind it need not wait
        return result.failed[0] if result.failed else None

    async def _park(
        self,
        pool_id: str,
        destination: Destination,
        reasons: dict[int, str],
        entries: Sequence[OutboxEntry],
    ) -> None:
        """Put aside what the stream refuses for good."""
        await self._context.store.park_outbox(
            pool_id,
            [(entries[index], reason) for index, reason in reasons.items()],
            now_ms=self._context.now_ms(),
        )
        self._metrics.outbox_parked.inc(len(reasons))
        for index, reason in reasons.items():
            _log.error(
                "outbox.parked",
                identity_pool_id=pool_id,
                identity_id=entries[index].identity_id,
                outbox_id=entries[index].outbox_id,
                stream_name=destination.stream_name,
                error=reason,
            )

    def _note_trouble(self, pool_id: str, stream_name: str, error: str) -> None:
        trouble = self._troubles.setdefault(pool_id, _Trouble(0, 0))
        trouble.failures += 1
        trouble.until_s = time.monotonic() + _BACKOFF.delay_s(trouble.failures)
        _log.warning(
            "outbox.failed",
            identity_pool_id=pool_id,
            stream_name=stream_name,
            failures=trouble.failures,
            error=error,
        )

    async def _disable(
        self, pool_id: str, stream_name: str, error: StreamGoneError
    ) -> None:
        """Switch streaming off, unless the pool has got another stream meanwhile."""
        now_ms = self._context.now_ms()

        def change(pool: IdentityPool) -> IdentityPool:
            if pool.stream is None or pool.stream.stream_name != stream_name:
                return pool
            stream = msgspec.structs.replace(
                pool.stream,
                streaming_status="DISABLED",
                disabled_reason=str(error),
                disabled_date_ms=now_ms,
            ).since(pool.stream)
            return msgspec.structs.replace(pool, stream=stream)

        await self._context.store.update_identity_pool(pool_id, change)
        self._metrics.streams_disabled.inc()
        _log.error(
            "outbox.stream_disabled",
            identity_pool_id=pool_id,
            stream_name=stream_name,
            error=str(error),
        )


def _record(entry: OutboxEntry) -> StreamRecord:
    # With the time, because a store that was restored gives numbers a second time; with
    # the identity, because others may write to the stream as well.
    message_id = f"{entry.outbox_id}.{entry.created_ms}.{entry.identity_id}"
    return StreamRecord(entry.identity_id, entry.data, message_id)
