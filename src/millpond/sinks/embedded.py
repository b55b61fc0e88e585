"""
The embedded sink: a stream in Millpond's own store, read with the Kinesis API.

It shards as `PutRecords` does, and takes more at a time: each put is made durable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from millpond import limits
from millpond.core import shards
from millpond.core.streaming import StreamRecord
from millpond.core.targets import Property, Target, Words
from millpond.errors import (
    SinkError,
    SinkUnavailableError,
    StoreError,
    StreamGoneError,
)
from millpond.sinks.base import (
    EMBEDDED,
    PutResult,
    demand,
    hold_back_followers,
    too_large,
    without_failed,
)
from millpond.stores.base import NewStreamRecord, Stream, StreamStore


class EmbeddedSink:
    """An embedded stream as a sink."""

    records_max: Final = 2000
    bytes_max: Final = 8 * 1024 * 1024
    record_bytes_max: Final = limits.STREAM_RECORD_BYTES_MAX

    def __init__(
        self,
        stream_name: str,
        *,
        store: StreamStore,
        now_ms: Callable[[], int],
        appended: Callable[[int], None] | None = None,
        retention_ms: int = limits.STREAM_RETENTION_S * 1000,
    ) -> None:
        """
        Args:
            appended: is told the id of the stream whenever it got records.
            retention_ms: for how long the store keeps records of a stream that has no
                retention of its own.
        """
        self._stream_name = stream_name
        self._store = store
        self._now_ms = now_ms
        self._appended = appended
        self._retention_ms = retention_ms
        self._stream: Stream | None = None

    def __repr__(self) -> str:
        state = "closed" if self._stream is None else "open"
        return f"<EmbeddedSink {EMBEDDED}:{self._stream_name}, {state}>"

    async def open(self) -> None:
        if self._stream is None:
            try:
                stream = await self._find()
            except StoreError as error:
                raise self._translated(error) from error
            demand(self._target(stream))
            self._stream = stream

    async def look(self) -> Target:
        try:
            return self._target(await self._find())
        except StoreError as error:
            raise self._translated(error) from error

    async def put(self, records: Sequence[StreamRecord]) -> PutResult:
        failed = too_large(records, self.record_bytes_max)
        result = hold_back_followers(records, failed)
        accepted = without_failed(records, result)
        if accepted:
            try:
                await self._append(accepted)
            except StoreError as error:
                raise self._translated(error) from error
        return result

    async def aclose(self) -> None:
        self._stream = None

    async def _append(self, records: Sequence[StreamRecord]) -> None:
        stream = self._stream or await self._find()
        if not await self._put_into(stream, records):
            # Deleted; perhaps created again under its name, with other shards.
            self._stream = None
            stream = await self._find()
            if not await self._put_into(stream, records):
                raise self._gone()
        self._stream = stream

    async def _put_into(self, stream: Stream, records: Sequence[StreamRecord]) -> bool:
        places = shards.places((r.partition_key for r in records), stream.shard_count)
        placed = [
            NewStreamRecord(place, record.partition_key, record.data)
            for place, record in zip(places, records, strict=True)
        ]
        numbers = await self._store.put_stream_records(
            stream.stream_id, placed, now_ms=self._now_ms()
        )
        if numbers is not None and self._appended is not None:
            self._appended(stream.stream_id)
        return numbers is not None

    def _target(self, stream: Stream) -> Target:
        hours = stream.retention_hours
        if hours is None:
            keeps_ms = self._retention_ms
            seen = f"stream_retention_s={keeps_ms // 1000}"
        else:
            keeps_ms = hours * 3_600_000
            seen = f"RetentionPeriodHours={hours}"
        change = "Raise it: `aws kinesis increase-stream-retention-period`."
        return Target(
            name=f"Embedded stream '{self._stream_name}'",
            properties={Property.ENDS_BY_AGE: Words(seen, change)},
            identity=str(stream.stream_id),
            keeps_ms=keeps_ms,
        )

    async def _find(self) -> Stream:
        stream = await self._store.find_stream(self._stream_name)
        if stream is None:
            raise self._gone()
        return stream

    def _gone(self) -> StreamGoneError:
        return StreamGoneError(
            f"Stream '{self._stream_name}' does not exist.",
            hint=f"Create it with `millpond stream create {self._stream_name}`.",
        )

    def _translated(self, error: StoreError) -> SinkError:
        kind = SinkUnavailableError if error.retryable else SinkError
        return kind(
            f"Stream '{self._stream_name}' cannot be written: {error.args[0]}",
            op=error.op,
            hint=error.hint,
        )
