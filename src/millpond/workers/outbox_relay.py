"""
The outbox relay: live changes, from the store to their streams.

Theory of operation
-------------------
An update of a pool with an enabled stream left an entry in the outbox, in its own
transaction. The relay takes the oldest entries of a pool, puts them into the stream of
the pool and deletes those that the stream has acknowledged. It goes on in the order of
the outbox, so the changes of an identity arrive in order. When it dies between the two,
the entries are sent again: at least once.

A stream that cannot be reached is tried again with growing pauses, without holding up
other pools. A stream that is gone switches the pool's streaming off (ruling 20); what
is left in the outbox stays there and is sent when it is switched on again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog

from millpond.core.identity_pools import IdentityPool
from millpond.core.streaming import StreamRecord
from millpond.errors import SinkError, StoreError, StreamGoneError
from millpond.metrics import Metrics
from millpond.service.context import Context
from millpond.service.stream_payloads import fit
from millpond.sinks import Destination, SinkRegistry
from millpond.workers.loop import Backoff, run_steps

_log = structlog.get_logger()

PAUSE_S: Final = 1.0  # an update wakes the relay; this is for what waits for a retry
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
        self._troubles: dict[str, _Trouble] = {}

    async def run(self) -> None:
        """Relay until cancelled."""
        await run_steps(
            "outbox relay",
            self.step,
            pause_s=PAUSE_S,
            wake=self._context.outbox_changed,
        )

    async def step(self) -> bool:
        """Send one batch of every pool; say whether anything was sent."""
        sent = False
        for pool_id in await self._context.store.list_outbox_pools():
            trouble = self._troubles.get(pool_id)
            if trouble is None or trouble.until_s <= time.monotonic():
                try:
                    sent |= await self._send(pool_id)
                except StoreError:
                    raise  # of no pool in particular
                except Exception as error:  # must not hold up the other pools
                    self._note_trouble(pool_id, "", str(error))
        return sent

    async def _send(self, pool_id: str) -> bool:
        pool = await self._context.store.find_identity_pool(pool_id)
        if pool is None or pool.stream is None or pool.stream.stream_name is None:
            return False
        stream_name = pool.stream.stream_name
        try:
            complete = await self._put(pool_id, stream_name)
        except StreamGoneError as error:
            await self._disable(pool_id, stream_name, error)
            return False
        except SinkError as error:
            await self._sinks.discard(Destination(stream_name))
            self._note_trouble(pool_id, stream_name, str(error))
            return False
        if complete:
            self._troubles.pop(pool_id, None)
        return complete

    async def _put(self, pool_id: str, stream_name: str) -> bool:
        """Send one batch; say whether all of it went through."""
        sink = await self._sinks.get(Destination(stream_name))
        entries = await self._context.store.list_outbox(
            pool_id, limit=sink.records_max, bytes_max=sink.bytes_max // 2
        )
        records = [StreamRecord(each.identity_id, each.data) for each in entries]
        result = await sink.put(await fit(self._context, sink, records))
        failed = {each.index for each in result.failed}
        sent = [e.outbox_id for i, e in enumerate(entries) if i not in failed]
        await self._context.store.delete_outbox(pool_id, sent)
        self._metrics.stream_records.labels("outbox").inc(len(sent))
        if failed:
            self._note_trouble(pool_id, stream_name, result.failed[0].reason)
        return not failed

    def _note_trouble(self, pool_id: str, stream_name: str, error: str) -> None:
        trouble = self._troubles.setdefault(pool_id, _Trouble(0, 0))
        trouble.failures += 1
        trouble.until_s = time.monotonic() + _BACKOFF.delay_s(trouble.failures)
        self._metrics.sink_errors.labels("outbox").inc()
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

        def change(pool: IdentityPool) -> IdentityPool:
            if pool.stream is None or pool.stream.stream_name != stream_name:
                return pool
            stream = msgspec.structs.replace(pool.stream, streaming_status="DISABLED")
            return msgspec.structs.replace(pool, stream=stream)

        await self._sinks.discard(Destination(stream_name))
        await self._context.store.update_identity_pool(pool_id, change)
        self._metrics.streams_disabled.inc()
        _log.error(
            "outbox.stream_disabled",
            identity_pool_id=pool_id,
            stream_name=stream_name,
            error=str(error),
        )
