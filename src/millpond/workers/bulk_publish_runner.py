"""
The bulk-publish runner: slices of runs, from the store to the stream.

Theory of operation
-------------------
The runner leases a slice, reads whole datasets in (identity id, name) order, a few MiB
at a time, puts them into the stream, and saves a checkpoint after every put that the
stream has acknowledged. When it dies, the slice goes on from its last checkpoint, here
after a restart or on another node once the lease has ended; what was put after the
checkpoint is put again. Each lease has a higher fence than the one before, and a
checkpoint with an old fence is refused, so two workers cannot both believe for long
that they hold a slice.

What the stream refuses is tried again with growing pauses; when the retries are spent,
or the stream is gone, the run ends FAILED and says why, where and how far it got.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

import structlog

from millpond.core import bulk_publish as rules
from millpond.core import streaming
from millpond.core.bulk_publish import BulkPublishRun, Counts, LeasedSlice, Position
from millpond.core.shards import record_bytes
from millpond.core.streaming import StreamRecord
from millpond.core.sync import DatasetId
from millpond.errors import (
    LeaseLostError,
    SettingsError,
    SinkError,
    SinkUnavailableError,
    StoreUnavailableError,
    StreamGoneError,
)
from millpond.metrics import Metrics
from millpond.service.context import Context
from millpond.service.stream_payloads import fit
from millpond.sinks import Destination, SinkRegistry
from millpond.sinks.base import Sink
from millpond.stores.base import DatasetSnapshot
from millpond.workers.loop import Backoff, run_steps

_log = structlog.get_logger()

PAUSE_S: Final = 2.0  # a run that starts here wakes us; this is for lost leases
LEASE_MS: Final = 60_000
SCAN_DATASETS_MAX: Final = 500
SCAN_BYTES_MAX: Final = 4 * 1024 * 1024
_BACKOFF: Final = Backoff(0.2, 10.0)


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
        self._sinks = sinks
        self._metrics = metrics
        self._worker = worker
        self._must_release = True  # what an earlier process of this name held

    async def run(self) -> None:
        """Publish until cancelled."""
        try:
            await run_steps(
                self._worker,
                self.step,
                pause_s=PAUSE_S,
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
        except StoreUnavailableError:
            self._must_release = True  # the next step takes it up where it was
            raise
        except Exception as error:
            _log.error("bulk_publish.error", exc_info=error, **_names(leased))
            await self._fail(leased, "An internal error occurred; the log says more.")
        return True

    async def _publish(self, leased: LeasedSlice) -> None:
        position, counts = leased.position, leased.counts
        while True:
            snapshots = await self._context.store.scan_datasets(
                leased,
                position=position,
                limit=SCAN_DATASETS_MAX,
                bytes_max=SCAN_BYTES_MAX,
            )
            if not snapshots:
                break
            await self._put(leased, snapshots, position, counts)
            counts = counts.plus(_count(snapshots))
            position = Position(snapshots[-1].identity_id, snapshots[-1].dataset_name)
            await self._checkpoint(leased, position, counts)
            self._metrics.stream_records.labels("bulk_publish").inc(len(snapshots))
        run = await self._context.store.finish_slice(
            leased, lambda run: rules.finish(run, now_ms=self._context.now_ms())
        )
        self._note_end(run)

    async def _put(
        self,
        leased: LeasedSlice,
        snapshots: Sequence[DatasetSnapshot],
        position: Position | None,
        counts: Counts,
    ) -> None:
        """
        Put datasets into the stream, again and again until all of them are in.

        Raises:
            SinkError: the retries are spent, or the stream is gone.
        """
        records = [_stream_record(leased, snapshot) for snapshot in snapshots]
        failures = 0
        while records:
            try:
                sink = await self._sinks.get(Destination(leased.stream_name))
                records, reason = await self._put_once(sink, records)
            except SinkUnavailableError as error:
                await self._sinks.discard(Destination(leased.stream_name))
                reason = str(error)
            except StreamGoneError:
                await self._sinks.discard(Destination(leased.stream_name))
                raise
            if not records:
                return
            failures += 1
            self._metrics.sink_errors.labels("bulk_publish").inc()
            retries_max = self._context.settings.bulk_publish_retries_max
            if failures > retries_max:
                raise SinkError(f"{reason} It was tried {failures} times.")
            _log.warning("bulk_publish.retry", error=reason, **_names(leased))
            await asyncio.sleep(_BACKOFF.delay_s(failures))
            await self._checkpoint(leased, position, counts)

    async def _put_once(
        self, sink: Sink, records: list[StreamRecord]
    ) -> tuple[list[StreamRecord], str]:
        """Put records; return those that are not in yet, in order, and why."""
        records = await fit(self._context, sink, records)
        left: list[StreamRecord] = []
        reason = ""
        for batch in _batches(sink, records):
            if left:  # what stands behind a failed record waits for it
                left += batch
                continue
            result = await sink.put(batch)
            for each in result.failed:
                if not each.retryable:
                    raise SinkError(f"A record is refused for good: {each.reason}")
                left.append(batch[each.index])
                reason = reason or each.reason
        return left, reason

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


def _stream_record(leased: LeasedSlice, snapshot: DatasetSnapshot) -> StreamRecord:
    dataset_id = DatasetId(
        leased.identity_pool_id, snapshot.identity_id, snapshot.dataset_name
    )
    data = streaming.snapshot_event(
        dataset_id,
        snapshot.records_json,
        sync_count=snapshot.sync_count,
        last_modified_date_ms=snapshot.last_modified_date_ms,
    )
    return StreamRecord(snapshot.identity_id, data)


def _batches(
    sink: Sink, records: Sequence[StreamRecord]
) -> Iterator[list[StreamRecord]]:
    """Cut records into what one put takes, in order."""
    batch: list[StreamRecord] = []
    size = 0
    for record in records:
        record_size = record_bytes(record.partition_key, record.data)
        if batch and (
            len(batch) == sink.records_max or size + record_size > sink.bytes_max
        ):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += record_size
    if batch:
        yield batch


def _count(snapshots: Sequence[DatasetSnapshot]) -> Counts:
    return Counts(
        datasets=len(snapshots),
        records=sum(each.num_records for each in snapshots),
        data_bytes=sum(len(each.records_json) for each in snapshots),
    )


def _names(leased: LeasedSlice) -> dict[str, str | int]:
    return {
        "identity_pool_id": leased.identity_pool_id,
        "stream_name": leased.stream_name,
        "slice": leased.slice.number,
    }
