"""
The bulk-publish runner: slices of runs, from the store to the stream.

Theory of operation
-------------------
The runner leases a slice, reads whole datasets in (identity id, name) order, about as
many as one put takes, puts them into the stream, and saves a checkpoint when the stream
has acknowledged them; behind the last ones that is done with the slice itself. While it
puts one such page, the next one is read and encoded on a thread; no more than these two
are in memory.

When it dies, the slice goes on from its last checkpoint, here after a restart or on
another node once the lease has ended; what was put after the checkpoint is put again.
Each lease has a higher fence than the one before, and a checkpoint with an old fence is
refused, so two workers cannot both believe for long that they hold a slice. While they
do, both deliver true data, and consumers pass over what is older.

What the stream refuses is tried again with growing pauses; when the retries are spent,
or the stream is gone, the run ends FAILED and says why, where and how far it got. So it
does when the pool's streaming is switched off or goes to another stream in the middle:
what is written meanwhile comes by the outbox, and would come no more. For the same
reason a slice is done only when what waited in the outbox at its end has arrived; of
the slices of shards, of which some may have to wait for their server, the last one
waits for all.

A slice whose part of the store is out of reach is put back for a moment, and the runner
goes on with another one.

Where the stream stands is noted before the first record of a run. It is looked at again
in between and at the end of the last slices: a run succeeds only when the stream still
is what it was, and has dropped nothing that came since (`core.targets`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import structlog

from millpond.core import bulk_publish as rules
from millpond.core import targets
from millpond.core.bulk_publish import (
    BulkPublishRun,
    Counts,
    LeasedSlice,
    Position,
)
from millpond.core.bulk_publish_progress import SliceState
from millpond.core.streaming import StreamRecord
from millpond.core.targets import Mark
from millpond.errors import (
    LeaseLostError,
    SettingsError,
    SinkError,
    SinkUnavailableError,
    StoreUnavailableError,
)
from millpond.metrics import Metrics
from millpond.service.context import Context
from millpond.sinks import Destination, SinkRegistry
from millpond.workers.bulk_publish_pages import Page, to_page
from millpond.workers.delivery import Delivery
from millpond.workers.loop import (
    Backoff,
    doing_meanwhile,
    heed_cancellation,
    pause_s_max,
    run_steps,
)

_log = structlog.get_logger()

PAUSE_S: Final = 2.0  # a run that starts here wakes us; this is for lost leases
LEASE_MS: Final = 60_000
POSTPONED_MS: Final = 2_000  # until a slice is tried again that could not be read
OUTBOX_PAUSE_S: Final = 0.05  # between two looks at what waits
CHECKPOINT_LOOKS: Final = 200  # so often a lease is held on to meanwhile
LOOK_S: Final = 30.0  # after so long it is seen whether the stream has dropped anything
_BACKOFF: Final = Backoff(0.2, 10.0)

T = TypeVar("T")


class BulkPublishRunner:
    """Publishes slices, one at a time; a server runs several."""

    def __init__(
        self, context: Context, sinks: SinkRegistry, metrics: Metrics, *, worker: str
    ) -> None:
        """
        Args:
            worker: a name that no other runner has, the same after a restart.
        """
        self._context = context
        self._metrics = metrics
        self._delivery = Delivery(context, sinks, metrics, source="bulk_publish")
        self._worker = worker
        self._must_release = True  # what an earlier process of this name held
        self._looked = (
            "",
            0.0,
        )  # for which run the stream was last looked at, and when

    async def run(self) -> None:
        """Publish until cancelled."""
        try:
            await run_steps(
                self._worker,
                self.step,
                pause_s=PAUSE_S,
                pause_s_max=pause_s_max(self._context, PAUSE_S),
                wake=self._context.bulk_publish_started,
            )
        finally:
            await asyncio.shield(self._context.store.release_slices(self._worker))

    async def step(self) -> bool:
        """Publish one slice to its end; say whether there was one."""
        if self._must_release:
            await self._context.store.release_slices(self._worker)
            self._must_release = False
        leased = await self._context.store.lease_slice(
            self._worker, now_ms=self._context.now_ms(), lease_ms=LEASE_MS
        )
        if leased is None:
            return False
        try:
            await self._publish(leased)
        except LeaseLostError:
            _log.warning("bulk_publish.lease_lost", **_names(leased))
        except (SinkError, SettingsError) as error:
            await self._fail(leased, str(error))
        except StoreUnavailableError as error:
            await self._postpone(leased, error)
        except Exception as error:
            _log.error("bulk_publish.error", exc_info=error, **_names(leased))
            await self._fail(leased, "An internal error occurred; the log says more.")
        return True

    async def _postpone(
        self, leased: LeasedSlice, error: StoreUnavailableError
    ) -> None:
        """
        Let a slice wait whose data is out of reach; what others have may not be.

        Raises:
            StoreUnavailableError: all of the store is out of reach.
        """
        self._must_release = True  # the next step takes it up where it was
        until_ms = self._context.now_ms() + POSTPONED_MS
        with contextlib.suppress(LeaseLostError):
            await self._context.store.postpone_slice(leased, until_ms=until_ms)
        self._must_release = False
        _log.warning("bulk_publish.waits", error=str(error), **_names(leased))

    async def _publish(self, leased: LeasedSlice) -> None:
        position, counts = leased.position, leased.counts
        destination = await self._destination(leased)
        if destination is None:
            return  # the pool was deleted meanwhile
        mark = await self._mark(leased, destination)
        of_shard = leased.slice.hashes is not None
        is_kept = True  # how far the slice came
        page = await self._read(leased, destination, position)
        while page is not None:
            heed_cancellation()
            # Looked up after the page was read: what changes from now on comes by the
            # outbox, or the pool does not stream any more and the next look says so.
            destination = await self._destination(leased)
            if destination is None:
                return
            next_page = self._read_behind(leased, destination, page)
            async with doing_meanwhile(next_page) as reading:
                await self._put(leased, destination, page.records, position, counts)
                counts = counts.plus(page.counts)
                position = page.end
                is_time_to_look = self._is_time_to_look(leased)
                # The end of a slice is kept when it is done, with one commit for both;
                # not where the lease is so old that others could take it for given up.
                is_kept = page.is_full or of_shard or is_time_to_look
                if is_kept:
                    await self._checkpoint(leased, position, counts)
                if is_time_to_look:
                    await self._confirm(leased, destination, mark, position, counts)
            page = await reading
        if of_shard and await self._context.store.close_slice(leased):
            return  # the last of all waits, and looks at the stream, for each
        await self._wait_for_outbox(leased, position, counts)
        if of_shard or self._is_time_to_look(leased) or await self._may_be_last(leased):
            if not is_kept:  # a run that fails here says how far it got
                await self._checkpoint(leased, position, counts)
            await self._confirm(leased, destination, mark, position, counts)
        run = await self._context.store.finish_slice(
            leased,
            lambda run: rules.finish(run, now_ms=self._context.now_ms()),
            position=position,
            counts=counts,
        )
        self._note_end(run)

    async def _read(
        self, leased: LeasedSlice, destination: Destination, position: Position | None
    ) -> Page | None:
        """Read the page behind a position; None: there is nothing behind it."""
        room = await self._delivery.room(destination)
        snapshots = await self._context.store.scan_datasets(
            leased,
            position=position,
            limit=room.records_max,
            bytes_max=room.bytes_max,
        )
        if not snapshots:
            return None
        return await asyncio.to_thread(to_page, leased, snapshots, room)

    async def _read_behind(
        self, leased: LeasedSlice, destination: Destination, page: Page
    ) -> Page | None:
        """Read the next page; None: what comes behind this one comes by the outbox."""
        if not page.is_full:
            return None
        return await self._read(leased, destination, page.end)

    async def _mark(self, leased: LeasedSlice, destination: Destination) -> Mark:
        """
        Say where the stream stood before the first record of the run.

        Raises:
            SinkError: as `_confirm` does.
        """
        if leased.stream_mark is not None:
            return leased.stream_mark
        target = await self._try(
            leased,
            lambda: self._delivery.look(destination),
            leased.position,
            leased.counts,
        )
        self._looked = leased.run_id, time.monotonic()
        mark = targets.mark(target)
        run = await self._context.store.change_bulk_publish(
            leased, lambda run: rules.note_stream(run, mark)
        )
        assert run.stream_mark is not None
        return run.stream_mark  # another worker may have been the first

    async def _confirm(
        self,
        leased: LeasedSlice,
        destination: Destination,
        mark: Mark,
        position: Position | None,
        counts: Counts,
    ) -> None:
        """
        Make sure that the stream holds what came since the run began.

        Raises:
            SinkError: it does not, or it cannot be asked.
        """
        target = await self._try(
            leased, lambda: self._delivery.look(destination), position, counts
        )
        self._looked = leased.run_id, time.monotonic()
        elapsed_ms = self._context.now_ms() - leased.start_time_ms
        fault = targets.loss(mark, target, elapsed_ms=elapsed_ms)
        if fault is not None:
            raise SinkError(fault.cause, hint=fault.change)

    def _is_time_to_look(self, leased: LeasedSlice) -> bool:
        """Say whether the stream of a run was not looked at for a while."""
        run_id, looked_s = self._looked
        return run_id != leased.run_id or time.monotonic() - looked_s > LOOK_S

    async def _may_be_last(self, leased: LeasedSlice) -> bool:
        """
        Say whether no slice is left that begins after this one has put its last record.

        Whoever has such a slice looks at the stream later than this one could, and what
        it sees goes for both. A run may have 256 slices, and engines count questions.
        """
        # Not one whose lease has just ended: its worker may be at its end as well.
        long_ago_ms = self._context.now_ms() - 2 * LEASE_MS
        found = await self._context.store.find_sliced_run(
            leased.identity_pool_id, now_ms=long_ago_ms
        )
        return found is None or not any(
            each.state is SliceState.WAITING and each.number != leased.slice.number
            for each in found.slices
        )

    async def _destination(self, leased: LeasedSlice) -> Destination | None:
        """
        Say where a run goes. None: its pool does not exist any more.

        Raises:
            SinkError: the pool does not stream to where the run goes any more.
        """
        pool = await self._context.store.find_identity_pool(leased.identity_pool_id)
        if pool is None:
            return None
        stream = pool.stream
        if stream is None or not stream.streaming:
            raise SinkError("Streaming was switched off during the run.")
        if stream.stream_name != leased.stream_name:
            raise SinkError(
                f"The pool was given another stream, '{stream.stream_name}', during "
                "the run."
            )
        if stream.switches != leased.stream_switches:
            raise SinkError("Streaming was switched off for a while during the run.")
        return self._delivery.destination(stream)

    async def _wait_for_outbox(
        self,
        leased: LeasedSlice,
        position: Position | None,
        counts: Counts,
    ) -> None:
        """
        Wait until the changes that wait now have arrived.

        A merge may have moved a dataset behind the scan of another slice; then it
        reaches the stream by the outbox alone.
        """
        find = self._context.store.find_outbox_range
        waiting = await find(leased.identity_pool_id)
        last = waiting.last if waiting else 0
        looks = 0
        while waiting is not None and waiting.first <= last:
            if looks % CHECKPOINT_LOOKS == 0:
                await self._checkpoint(leased, position, counts)
            looks += 1
            if await self._destination(leased) is None:
                return
            await asyncio.sleep(OUTBOX_PAUSE_S)
            waiting = await find(leased.identity_pool_id)

    async def _put(
        self,
        leased: LeasedSlice,
        destination: Destination,
        records: Sequence[StreamRecord],
        position: Position | None,
        counts: Counts,
    ) -> None:
        """
        Put records into the stream, again and again until all of them are in.

        Raises:
            SinkError: the retries are spent, or the stream is gone.
        """
        left = records

        async def put() -> None:
            nonlocal left
            failed = (await self._delivery.put(destination, left)).failed
            if not failed:
                return
            for each in failed:
                if not each.retryable:
                    raise SinkError(f"A record is refused for good: {each.reason}")
            left = [left[each.index] for each in failed]
            raise SinkUnavailableError(failed[0].reason)

        await self._try(leased, put, position, counts)

    async def _try(
        self,
        leased: LeasedSlice,
        act: Callable[[], Awaitable[T]],
        position: Position | None,
        counts: Counts,
    ) -> T:
        """
        Do something with the stream, again and again while that may help.

        Raises:
            SinkError: the retries are spent, or another try does not help.
        """
        failures = 0
        while True:
            try:
                return await act()
            except SinkUnavailableError as error:
                reason = str(error)
            failures += 1
            retries_max = self._context.settings.bulk_publish_retries_max
            if failures > retries_max:
                raise SinkError(f"{reason} It was tried {failures} times.")
            _log.warning("bulk_publish.retry", error=reason, **_names(leased))
            await asyncio.sleep(_BACKOFF.delay_s(failures))
            await self._checkpoint(leased, position, counts)

    async def _checkpoint(
        self, leased: LeasedSlice, position: Position | None, counts: Counts
    ) -> None:
        await self._context.store.checkpoint_slice(
            leased, position, counts, lease_until_ms=self._context.now_ms() + LEASE_MS
        )

    async def _fail(self, leased: LeasedSlice, cause: str) -> None:
        progress = await self._context.store.find_bulk_publish_progress(
            leased.identity_pool_id
        )
        if progress is None:  # the pool was deleted meanwhile
            return
        message = rules.failure_message(
            leased, cause, progress.delivered, progress.datasets
        )
        try:
            run = await self._context.store.fail_bulk_publish(
                leased, lambda run: rules.fail(run, message=message)
            )
        except LeaseLostError:
            return
        self._note_end(run)

    def _note_end(self, run: BulkPublishRun) -> None:
        if run.status is rules.BulkPublishStatus.IN_PROGRESS:
            return
        self._metrics.bulk_publishes.labels(run.status.value).inc()
        failed = run.status is rules.BulkPublishStatus.FAILED
        log = _log.error if failed else _log.info
        log(
            "bulk_publish.failed" if failed else "bulk_publish.complete",
            identity_pool_id=run.identity_pool_id,
            stream_name=run.stream_name,
            error=run.failure_message,
        )


def _names(leased: LeasedSlice) -> dict[str, str | int]:
    return {
        "identity_pool_id": leased.identity_pool_id,
        "stream_name": leased.stream_name,
        "slice": leased.slice.number,
    }
