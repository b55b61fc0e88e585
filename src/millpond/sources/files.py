"""
The source of files: what Firehose put into a folder, or into a bucket of S3.

Files are read in the order of their names, each from beginning to end, and their stream
records are given as those of a stream are (`sources.events`). Firehose delivers at
least once and out of order, and a file may be put where others were read already; so a
reading that goes on behind another one reads again what is not much older than that.
What was taken is not taken twice (`core.ownership`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, BinaryIO, Final, NamedTuple, Protocol

import msgspec

from millpond.core.stream_consumer import ReadEvent, decode_records
from millpond.core.sync import SyncLimits
from millpond.errors import SourceError
from millpond.sources.base import Batch, Known
from millpond.sources.events import Foreign, Unreadable, read_event, to_arrival
from millpond.sources.links import fetch_payload
from millpond.sources.pieces import Piece, read_pieces
from millpond.stores.importing import Arrival

EVENTS_MAX: Final = 200  # of a batch
CHARS_MAX: Final = 2 * 1024 * 1024  # of the values in a batch, about
OVERLAP_MS: Final = 3_600_000  # Firehose holds back for a quarter of an hour at most
POOLS_NAMED_MAX: Final = 10


class FileEntry(NamedTuple):
    """A file that there is."""

    name: str
    size: int
    modified_ms: int


class Files(Protocol):
    """Where files are."""

    name: str

    def list(self) -> AsyncIterator[FileEntry]:
        """
        List the files, by name.

        Raises:
            SourceError: they cannot be listed.
        """
        ...

    async def open(self, name: str) -> BinaryIO | None:
        """
        Open a file; None: it is gone.

        Raises:
            SourceError: it cannot be read.
        """
        ...

    async def aclose(self) -> None: ...


class _Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    How far a reading is.

    Args:
        since_ms: files that were not changed since then are read.
        after: files up to this name are read, too.
        pieces: of the one behind it, so many are read.
        newest_ms: the date of the newest file that was seen.
    """

    since_ms: int = 0
    after: str = ""
    name: str = ""
    pieces: int = 0
    newest_ms: int = 0


_encode = msgspec.json.Encoder().encode
_decode_place = msgspec.json.Decoder(_Place).decode


class FilesSource:
    """Files with the stream records of a pool, and perhaps of others."""

    kind = "files"

    def __init__(
        self,
        identity_pool_id: str,
        files: Files,
        *,
        limits: SyncLimits,
        fetch: Callable[[str], bytes | None] = fetch_payload,
    ) -> None:
        """
        Args:
            fetch: fetches what is behind a link; it may block.
        """
        self.name = files.name
        self._pool = identity_pool_id
        self._files = files
        self._limits = limits
        self._fetch = fetch
        self._read: set[FileEntry] = set()  # in this process, of the last hour

    async def read(self, after: bytes | None, known: Known) -> AsyncIterator[Batch]:
        place = _Place() if after is None else _decode_place(after)
        async for entry in self._files.list():
            if entry.name <= place.after or entry.modified_ms < place.since_ms:
                continue
            newest_ms = max(place.newest_ms, entry.modified_ms)
            pieces = place.pieces if place.name == entry.name else 0
            place = msgspec.structs.replace(
                place, name=entry.name, pieces=pieces, newest_ms=newest_ms
            )
            if entry not in self._read:
                async for batch, number in self._read_file(entry, pieces):
                    place = msgspec.structs.replace(place, pieces=number)
                    yield msgspec.structs.replace(batch, position=_encode(place))
            self._read.add(entry)
            place = msgspec.structs.replace(place, after=entry.name, name="", pieces=0)
            yield Batch(position=_encode(place))
        since_ms = max(place.newest_ms - OVERLAP_MS, place.since_ms)
        self._read = {each for each in self._read if each.modified_ms >= since_ms}
        yield Batch(position=_encode(_Place(since_ms, newest_ms=place.newest_ms)))

    async def aclose(self) -> None:
        await self._files.aclose()

    async def _read_file(
        self, entry: FileEntry, skipped: int
    ) -> AsyncIterator[tuple[Batch, int]]:
        file = await self._files.open(entry.name)
        if file is None:
            yield Batch(unreadable={entry.name: "it is gone"}), 0
            return
        reading = _Reading(self._pool, read_pieces(file), self._limits, self._fetch)
        with contextlib.closing(file):
            while True:
                try:
                    arrivals = await asyncio.to_thread(reading.next, skipped)
                except OSError as error:
                    where = f"File '{entry.name}' in {self.name}"
                    raise SourceError(f"{where} cannot be read on: {error}.") from error
                if arrivals is None:
                    break
                yield Batch(arrivals=tuple(arrivals)), reading.number
        if faults := reading.faults(entry.name):
            yield Batch(unreadable=faults), reading.number


class _Reading:
    """One file that is being read, on a thread."""

    def __init__(
        self,
        identity_pool_id: str,
        pieces: Iterator[Piece],
        limits: SyncLimits,
        fetch: Callable[[str], bytes | None],
    ) -> None:
        self.number = 0  # of the last piece
        self._pool = identity_pool_id
        self._pieces = pieces
        self._limits = limits
        self._fetch = fetch
        self._found = 0  # events, of any pool
        self._bad = 0
        self._first_bad = ""
        self._others: Counter[str] = Counter()

    def next(self, skipped: int) -> Sequence[Arrival] | None:
        """
        Give what some of the next pieces say; None: there are no more.

        Args:
            skipped: pieces at the beginning that were given before.
        """
        arrivals: list[Arrival] = []
        size = 0
        for piece in self._pieces:
            self.number = piece.number
            event = self._take(piece)
            if event is None or piece.number <= skipped:
                continue
            arrivals.append(self._to_arrival(event))
            size += sum(len(e.value or "") for e in event.kinesis_sync_records or ())
            if len(arrivals) >= EVENTS_MAX or size >= CHARS_MAX:
                return arrivals
        return arrivals or None

    def faults(self, name: str) -> dict[str, str]:
        """Say what could not be read, and what is not of this pool."""
        found: dict[str, str] = {}
        if self._bad and not self._found:
            found[name] = f"there is no stream record in it: {self._first_bad}"
        elif self._bad:
            pieces = "a piece" if self._bad == 1 else f"{self._bad} pieces"
            found[name] = f"{pieces} cannot be read; {self._first_bad}"
        for pool, count in self._others.most_common(POOLS_NAMED_MAX):
            found[f"{name}, identity pool {pool}"] = f"{count} records of another pool"
        return found

    def _take(self, piece: Piece) -> ReadEvent | None:
        found: Any = Unreadable(piece.fault)
        if piece.members is not None:
            found = read_event(self._pool, piece.members)
        if isinstance(found, Unreadable):
            self._bad += 1
            self._first_bad = self._first_bad or f"piece {piece.number}: {found.reason}"
            return None
        self._found += 1
        if isinstance(found, Foreign):
            if len(self._others) < 1000 or found.identity_pool_id in self._others:
                self._others[found.identity_pool_id] += 1
            return None
        event: ReadEvent = found
        return event

    def _to_arrival(self, event: ReadEvent) -> Arrival:
        records = event.kinesis_sync_records or []
        if event.records_url is None:
            return to_arrival(event, records, self._limits)
        data = self._fetch(event.records_url)
        found = None if data is None else decode_records(data)
        return to_arrival(event, found, self._limits)
