"""
The source of a pool's stream: what is written there from now on, or since it began.

It reads a stream as any consumer does, record by record, and gives each as what arrives
of a dataset. A record may come twice, and after a resharding late; what is newer, the
sync counts say (`core.ownership`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from millpond.core.stream_consumer import ReadEvent, ReadRecord, decode_records
from millpond.core.streaming import StreamRecord
from millpond.core.sync import SyncLimits
from millpond.errors import SinkError, SourceError
from millpond.sources.base import Batch, Known
from millpond.sources.events import Foreign, Unreadable, read_event, to_arrival
from millpond.sources.links import fetch_payload
from millpond.stores.importing import Arrival

NAMED_MAX: Final = 20  # unreadable records of a batch; the others are counted
_encode = msgspec.json.Encoder().encode
_decode_places = msgspec.json.Decoder(dict[str, str]).decode


class StreamReader(Protocol):
    """A stream that can be read on from where another reader was."""

    lost_places: int

    def resume(self, places: Mapping[str, str]) -> None: ...

    @property
    def places(self) -> dict[str, str]: ...

    @property
    def behind_ms(self) -> int: ...

    async def open(self) -> None: ...

    async def read(self, *, wait_s: float) -> Sequence[StreamRecord]: ...

    async def aclose(self) -> None: ...


class StreamSource:
    """The stream of a pool."""

    kind = "stream"

    def __init__(
        self,
        identity_pool_id: str,
        reader: StreamReader,
        *,
        name: str,
        limits: SyncLimits,
        wait_s: float = 0.0,
        fetch: Callable[[str], bytes | None] = fetch_payload,
    ) -> None:
        """
        Args:
            name: of the stream, for people.
            wait_s: how long a reading waits at the end for more.
            fetch: fetches what is behind a link; it may block.
        """
        self.name = name
        self._pool = identity_pool_id
        self._reader = reader
        self._limits = limits
        self._wait_s = wait_s
        self._fetch = fetch
        self._given: bytes | None = None  # the last position
        self._is_open = False

    @property
    def behind_ms(self) -> int:
        """How old the oldest record may be that was not read; 0: none is known of."""
        return self._reader.behind_ms

    async def read(self, after: bytes | None, known: Known) -> AsyncIterator[Batch]:
        try:
            if not self._is_open or after != self._given:
                await self._reader.aclose()
                self._reader.resume({} if after is None else _decode_places(after))
                await self._reader.open()
                self._is_open, self._given = True, after
            while records := await self._reader.read(wait_s=self._wait_s):
                batch = await self._to_batch(records)
                self._given = batch.position
                yield batch
        except SinkError as error:
            self._is_open = False
            raise SourceError(str(error), hint=error.hint) from error

    async def aclose(self) -> None:
        self._is_open = False
        await self._reader.aclose()

    async def _to_batch(self, records: Sequence[StreamRecord]) -> Batch:
        arrivals: list[Arrival] = []
        unreadable: dict[str, str] = {}
        others: Counter[str] = Counter()
        for number, record in enumerate(records):
            found = read_event(self._pool, record.data)
            if isinstance(found, Foreign):
                others[found.identity_pool_id] += 1
            elif isinstance(found, Unreadable):
                place = f"record {number} of key {record.partition_key[:64]!a}"
                unreadable[place] = found.reason
            else:
                arrivals.append(await self._to_arrival(found))
        for pool, count in others.items():
            unreadable[f"identity pool {pool}"] = f"{count} records of another pool"
        if self._reader.lost_places:
            count, self._reader.lost_places = self._reader.lost_places, 0
            unreadable[self.name] = f"{count} shards do not know where we were"
        return Batch(
            arrivals=tuple(arrivals),
            position=_encode(self._reader.places),
            unreadable=unreadable,
        )

    async def _to_arrival(self, event: ReadEvent) -> Arrival:
        records: Sequence[ReadRecord] | None = event.kinesis_sync_records or ()
        if event.records_url is not None:
            data = await asyncio.to_thread(self._fetch, event.records_url)
            records = None if data is None else decode_records(data)
        return to_arrival(event, records, self._limits)
