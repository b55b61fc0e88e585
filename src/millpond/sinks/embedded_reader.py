"""Reading an embedded stream from the store: all shards, each in its order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from millpond.core.streaming import StreamRecord
from millpond.core.targets import Target
from millpond.errors import (
    SinkError,
    SinkUnavailableError,
    StoreError,
    StreamGoneError,
)
from millpond.sinks.base import EMBEDDED
from millpond.stores.base import Stream, StreamStore

POLL_S: Final = 0.1
READ_RECORDS_MAX: Final = 2000
READ_BYTES_MAX: Final = 4 * 1024 * 1024


class EmbeddedReader:
    """An embedded stream as a consumer reads it; what retention drops is left out."""

    def __init__(self, stream_name: str, *, store: StreamStore, from_end: bool) -> None:
        self._stream_name = stream_name
        self._store = store
        self._from_end = from_end
        self._stream: Stream | None = None
        self._after: list[int] = []  # sequence numbers, by shard
        self._next_shard = 0

    def __repr__(self) -> str:
        state = "closed" if self._stream is None else "open"
        return f"<EmbeddedReader {EMBEDDED}:{self._stream_name}, {state}>"

    async def open(self) -> None:
        if self._stream is not None:
            return
        try:
            stream = await self._find()
            self._after = [0] * stream.shard_count
            if self._from_end:
                self._after = [
                    await self._store.find_sequence_number(stream.stream_id, shard)
                    for shard in range(stream.shard_count)
                ]
        except StoreError as error:
            raise self._translated(error) from error
        self._stream = stream

    async def look(self) -> Target:
        stream = await self._find()
        name = f"Embedded stream '{self._stream_name}'"
        return Target(name=name, identity=str(stream.stream_id))

    async def read(self, *, wait_s: float) -> Sequence[StreamRecord]:
        if self._stream is None:
            raise SinkError(f"{self!r} must be opened before it can be read.")
        deadline = time.monotonic() + wait_s
        while True:
            try:
                found = await self._read_on(self._stream)
            except StoreError as error:
                raise self._translated(error) from error
            left_s = deadline - time.monotonic()
            if found or left_s <= 0:
                return found
            await asyncio.sleep(min(POLL_S, left_s))

    async def aclose(self) -> None:
        self._stream = None

    async def _read_on(self, stream: Stream) -> list[StreamRecord]:
        """Read a piece of the next shard that has one."""
        for _ in range(stream.shard_count):
            shard = self._next_shard % stream.shard_count
            self._next_shard = shard + 1  # so that none waits for a busy one
            found = await self._store.list_stream_records(
                stream.stream_id,
                shard,
                after=self._after[shard],
                limit=READ_RECORDS_MAX,
                bytes_max=READ_BYTES_MAX,
            )
            if found:
                self._after[shard] = found[-1].sequence_number
                return [StreamRecord(each.partition_key, each.data) for each in found]
        if (await self._find()).stream_id != stream.stream_id:
            raise StreamGoneError(
                f"Stream '{self._stream_name}' was deleted and created again.",
                hint="Read it anew.",
            )
        return []

    async def _find(self) -> Stream:
        stream = await self._store.find_stream(self._stream_name)
        if stream is None:
            raise StreamGoneError(
                f"Stream '{self._stream_name}' does not exist.",
                hint=f"`millpond stream create {self._stream_name}` creates it.",
            )
        return stream

    def _translated(self, error: StoreError) -> SinkError:
        kind = SinkUnavailableError if error.retryable else SinkError
        return kind(
            f"Stream '{self._stream_name}' cannot be read: {error.args[0]}",
            op=error.op,
            hint=error.hint,
        )
