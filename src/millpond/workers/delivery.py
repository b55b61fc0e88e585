"""
Delivery: what the outbox relay and the bulk-publish runner do alike with a sink.

A put is bounded in time, whatever the sink does: one that stalls is given up and opened
anew for the next attempt. What it may have taken in the meantime arrives twice.

What a stream refuses for good may be due to what a sink has learned about it when it
was opened, such as how large a record may be. So a refusal is believed only when a sink
that was just opened says the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from millpond.core.identity_pools import StreamConfiguration
from millpond.core.shards import record_bytes
from millpond.core.streaming import StreamRecord
from millpond.core.targets import Target
from millpond.errors import SettingsError, SinkError, SinkUnavailableError
from millpond.metrics import Metrics
from millpond.service.context import Context
from millpond.service.stream_payloads import fit
from millpond.sinks import Destination, SinkRegistry
from millpond.sinks.base import FailedRecord, PutResult, Sink, bytes_at_most, demand

PUT_S_MAX: Final = 40.0  # well under the lease of a slice
RECORDS_MAX: Final = 2000  # bound what is in memory, whatever a sink would take
BYTES_MAX: Final = 4 * 1024 * 1024


class Room(NamedTuple):
    """How much is to be put at a time."""

    records_max: int
    bytes_max: int


class Delivery:
    """Puts records of one source into streams."""

    def __init__(
        self, context: Context, sinks: SinkRegistry, metrics: Metrics, *, source: str
    ) -> None:
        """
        Args:
            source: as the metrics call it.
        """
        self._context = context
        self._sinks = sinks
        self._records = metrics.stream_records.labels(source)
        self._errors = metrics.sink_errors.labels(source)

    def destination(self, stream: StreamConfiguration) -> Destination:
        """Say where the stream of a pool is, and in whose name it is written."""
        assert stream.stream_name is not None
        assume = self._context.settings.stream_assume_roles
        return Destination(stream.stream_name, stream.role_arn if assume else None)

    async def room(self, destination: Destination) -> Room:
        """Say how much one put takes; of a sink that is out of reach, a guess."""
        try:
            async with asyncio.timeout(PUT_S_MAX):
                sink = await self._sinks.get(destination)
        except (SinkError, SettingsError, TimeoutError):
            return Room(RECORDS_MAX, BYTES_MAX)  # the put that follows tells of it
        return Room(min(sink.records_max, RECORDS_MAX), min(sink.bytes_max, BYTES_MAX))

    async def look(self, destination: Destination) -> Target:
        """
        Ask what a stream is like now.

        Raises:
            StreamGoneError, StreamUnfitError, SinkUnavailableError, SinkError: as `put`
                does.
        """
        try:
            async with asyncio.timeout(PUT_S_MAX):
                sink = await self._sinks.get(destination)
                try:
                    target = await sink.look()
                    demand(target)
                except (SinkError, asyncio.CancelledError):
                    await self._sinks.discard(destination, sink)
                    raise
        except TimeoutError as error:
            raise _silent(destination) from error
        return target

    async def put(
        self, destination: Destination, records: Sequence[StreamRecord]
    ) -> PutResult:
        """
        Put records, as many as there are, in as many puts as it takes.

        What stands behind the put that a record failed in is reported as failed, too,
        so that sending all of these again restores the order.

        Raises:
            StreamGoneError: the stream does not exist.
            StreamUnfitError: it would not keep what it acknowledges.
            SinkUnavailableError: it cannot be reached, or does not answer.
            SinkError: any other trouble of the sink.
        """
        try:
            async with asyncio.timeout(PUT_S_MAX):
                result = await self._put(destination, records)
                if any(not each.retryable for each in result.failed):
                    result = await self._put_rest(destination, records, result)
        except TimeoutError as error:
            self._errors.inc()
            raise _silent(destination) from error
        except SinkError:
            self._errors.inc()
            raise
        if result.failed:
            self._errors.inc()
        self._records.inc(len(records) - len(result.failed))
        return result

    async def _put(
        self, destination: Destination, records: Sequence[StreamRecord]
    ) -> PutResult:
        sink = await self._sinks.get(destination)
        fitting = await fit(self._context, sink, records)
        try:
            return await _put_all(sink, fitting)
        except (SinkError, asyncio.CancelledError):
            await self._sinks.discard(destination, sink)
            raise

    async def _put_rest(
        self,
        destination: Destination,
        records: Sequence[StreamRecord],
        before: PutResult,
    ) -> PutResult:
        """Put what failed once more, through a sink that knows the stream of today."""
        await self._sinks.discard(destination, await self._sinks.get(destination))
        indexes = [each.index for each in before.failed]
        again = await self._put(destination, [records[index] for index in indexes])
        return PutResult(
            tuple(
                FailedRecord(indexes[e.index], e.reason, retryable=e.retryable)
                for e in again.failed
            )
        )


def _silent(destination: Destination) -> SinkUnavailableError:
    return SinkUnavailableError(
        f"Stream '{destination.stream_name}' does not answer within {PUT_S_MAX:g} s."
    )


async def _put_all(sink: Sink, records: Sequence[StreamRecord]) -> PutResult:
    done = 0
    for batch in _batches(sink, records):
        failed = (await sink.put(batch)).failed
        if failed:
            return PutResult((*_moved(failed, done), *_held(done, batch, records)))
        done += len(batch)
    return PutResult()


def _batches(
    sink: Sink, records: Sequence[StreamRecord]
) -> Iterator[Sequence[StreamRecord]]:
    """Cut records into what one put takes, in order."""
    if len(records) <= sink.records_max and bytes_at_most(records) <= sink.bytes_max:
        yield records
        return
    sizes = [record_bytes(each.partition_key, each.data) for each in records]
    batch: list[StreamRecord] = []
    size = 0
    for record, record_size in zip(records, sizes, strict=True):
        if batch and (
            len(batch) == sink.records_max or size + record_size > sink.bytes_max
        ):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += record_size
    if batch:
        yield batch


def _moved(failed: Sequence[FailedRecord], by: int) -> Iterator[FailedRecord]:
    for each in failed:
        yield FailedRecord(each.index + by, each.reason, retryable=each.retryable)


def _held(
    done: int, batch: Sequence[StreamRecord], records: Sequence[StreamRecord]
) -> Iterator[FailedRecord]:
    for index in range(done + len(batch), len(records)):
        reason = "It stands behind a put in which a record failed."
        yield FailedRecord(index, reason, retryable=True)
