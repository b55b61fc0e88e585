"""
`millpond stream verify`: a consumer that proves that a pool's stream is complete.

It reads the stream from its beginning to its end, keeps what any consumer keeps, in a
temporary file, and compares that with the pool. What differs is looked at again after
reading on, because a server may be at work beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Console

from millpond.cli.administration import CommandError, plain, show
from millpond.cli.identity_choice import named_pool
from millpond.core import targets
from millpond.core.bulk_publish import BulkPublishStatus, Position, whole_pool
from millpond.core.stream_comparison import Difference
from millpond.core.stream_consumer import (
    ReadEvent,
    ReadRecord,
    decode_event,
    decode_records,
)
from millpond.core.streaming import StreamRecord
from millpond.core.sync import DatasetId, DatasetState
from millpond.errors import SinkError
from millpond.server import stores
from millpond.service.context import system_now_ms
from millpond.settings import Settings
from millpond.sinks import make_reader
from millpond.sinks.base import EMBEDDED, SinkReader, sink_url
from millpond.sinks.embedded_payloads import PAYLOAD_PATH
from millpond.sources.links import fetch_payload
from millpond.stores.base import RecordRange, Store
from millpond.stores.sqlite.stream_state import Arrived, LiveDataset, StreamState

# Reading these is looking at this machine; others may take a moment to answer.
LOCAL_KINDS: Final = frozenset({EMBEDDED, "file"})
END_WAIT_S: Final = 3.0
SCAN_DATASETS_MAX: Final = 500
SCAN_BYTES_MAX: Final = 4 * 1024 * 1024
SHOWN_MAX: Final = 20
LOOKS_MAX: Final = 5  # at what differs
LOOKED_AT_MAX: Final = 1000  # datasets; when more differ, it is no passing matter
PAUSE_S: Final = 0.2

_OWN_LINK: Final = re.compile(re.escape(PAYLOAD_PATH) + r"([0-9a-f]{32})$")


async def verify(settings: Settings, options: argparse.Namespace) -> int:
    """Run the command; 0 says that the stream and the pool are the same."""
    with tempfile.TemporaryDirectory(prefix="millpond-verify-") as folder:
        async with stores.open_existing(settings) as store:
            options.identity_pool_id = await named_pool(
                store, settings, options.identity_pool_id
            )
            stream_name = await _stream_name(store, options)
            with contextlib.closing(StreamState(Path(folder, "state"))) as state:
                url = sink_url(settings.streams, stream_name)
                reader = make_reader(url, store=store, from_end=False)
                kind = url.partition(":")[0].lower()
                end_wait_s = 0.0 if kind in LOCAL_KINDS else END_WAIT_S
                with _progress() as tell:
                    waiting = await _wait(store, options, tell)
                    check = _Check(
                        store, reader, state, options.identity_pool_id, end_wait_s, tell
                    )
                    try:
                        await reader.open()
                        await check.run()
                        remarks = await _remarks(reader)
                    finally:
                        await reader.aclose()
                    waiting |= await _look_for_waiting(store, options.identity_pool_id)
                return _report(options, stream_name, check, waiting, remarks)


async def _remarks(reader: SinkReader) -> list[str]:
    """Say by what records may be missing, as far as the stream tells."""
    try:
        return targets.remarks(await reader.look())
    except SinkError:
        return []


async def _stream_name(store: Store, options: argparse.Namespace) -> str:
    pool = await store.find_identity_pool(options.identity_pool_id)
    if pool is None:
        raise CommandError(f"there is no identity pool '{options.identity_pool_id}'.")
    name: str | None = options.stream_name
    if name is None and pool.stream is not None:
        name = pool.stream.stream_name
    if name is None:
        raise CommandError(
            f"identity pool '{options.identity_pool_id}' has no stream; name one "
            "with --from."
        )
    return name


class _Tell:
    """Says how far it is, where somebody looks at it."""

    def __init__(self, console: Console) -> None:
        self._status = console.status("") if console.is_terminal else None

    def __call__(self, text: str) -> None:
        if self._status is not None:
            self._status.start()
            self._status.update(text)

    def stop(self) -> None:
        if self._status is not None:
            self._status.stop()


@contextlib.contextmanager
def _progress() -> Iterator[_Tell]:
    tell = _Tell(Console(stderr=True, force_terminal=sys.stderr.isatty()))
    try:
        yield tell
    finally:
        tell.stop()


class _Waiting(NamedTuple):
    """What the stream has not been told yet."""

    entries: int
    parked: int  # refused by the stream; waiting does not help
    publishing: bool

    @property
    def ends(self) -> bool:
        """Whether it pays to wait."""
        return self.publishing or self.entries > 0

    def __or__(self, other: _Waiting) -> _Waiting:
        return _Waiting(
            max(self.entries, other.entries),
            max(self.parked, other.parked),
            self.publishing or other.publishing,
        )


async def _wait(store: Store, options: argparse.Namespace, tell: _Tell) -> _Waiting:
    """Wait, as long as it was asked for, until nothing is on its way."""
    deadline = time.monotonic() + options.wait
    while True:
        waiting = await _look_for_waiting(store, options.identity_pool_id)
        if not waiting.ends or time.monotonic() >= deadline:
            return waiting
        tell(f"Waiting: {waiting.entries} changes in the outbox")
        await asyncio.sleep(PAUSE_S)


async def _look_for_waiting(store: Store, pool_id: str) -> _Waiting:
    usage = await store.measure_outbox(pool_id)
    run = await store.find_bulk_publish(pool_id)
    publishing = run is not None and run.status is BulkPublishStatus.IN_PROGRESS
    return _Waiting(usage.entries, usage.parked, publishing)


@dataclass
class _Counts:
    read: int = 0  # stream records
    of_pool: int = 0
    repeats: int = 0  # of the pool's
    lost_links: int = 0
    datasets: int = 0  # of the pool
    records: int = 0


class _Check:
    """Reads, compares, and looks again."""

    def __init__(
        self,
        store: Store,
        reader: SinkReader,
        state: StreamState,
        pool_id: str,
        end_wait_s: float,
        tell: _Tell,
    ) -> None:
        self.counts = _Counts()
        self.state = state
        self._store = store
        self._reader = reader
        self._pool_id = pool_id
        self._end_wait_s = end_wait_s
        self._tell = tell

    async def run(self) -> None:
        """Find the differences; the state has them in the end."""
        await self._read_to_end()
        async for datasets in self._scan():
            await asyncio.to_thread(self.state.compare, datasets)
        await asyncio.to_thread(self.state.note_unknown)
        for look in range(LOOKS_MAX):
            differing = self.state.list_differing(LOOKED_AT_MAX + 1)
            if not differing or len(differing) > LOOKED_AT_MAX:
                return
            if look:
                await asyncio.sleep(PAUSE_S)
            await self._read_to_end()
            for names in differing:
                self.state.compare([await self._find_live(*names)])

    async def _read_to_end(self) -> None:
        while records := await self._reader.read(wait_s=self._end_wait_s):
            arrived = [each async for each in self._of_pool(records)]
            self.counts.read += len(records)
            self.counts.of_pool += len(arrived)
            self.counts.repeats += await asyncio.to_thread(self.state.take, arrived)
            self._tell(f"Reading: {self.counts.read:,} stream records")

    async def _of_pool(self, records: Sequence[StreamRecord]) -> AsyncIterator[Arrived]:
        for record in records:
            event = decode_event(record.data)
            if event is not None and event.identity_pool_id == self._pool_id:
                yield Arrived(event, await self._records_of(event))

    async def _records_of(self, event: ReadEvent) -> Sequence[ReadRecord]:
        url = event.records_url
        if url is None:
            return event.kinesis_sync_records or ()
        own = _OWN_LINK.search(url)
        data = None
        if own is not None:
            data = await self._store.find_stream_payload(own[1], now_ms=system_now_ms())
        if data is None:
            data = await asyncio.to_thread(fetch_payload, url)
        records = None if data is None else decode_records(data)
        if records is None:  # a newer record may say it all; or the check will tell
            self.counts.lost_links += 1
        return records or ()

    async def _scan(self) -> AsyncIterator[list[LiveDataset]]:
        position: Position | None = None
        while snapshots := await self._store.scan_datasets(
            whole_pool(self._pool_id),
            position=position,
            limit=SCAN_DATASETS_MAX,
            bytes_max=SCAN_BYTES_MAX,
        ):
            yield [
                LiveDataset(
                    each.identity_id,
                    each.dataset_name,
                    True,
                    decode_records(each.records_json) or (),
                )
                for each in snapshots
            ]
            self.counts.datasets += len(snapshots)
            self.counts.records += sum(each.num_records for each in snapshots)
            position = Position(snapshots[-1].identity_id, snapshots[-1].dataset_name)
            self._tell(f"Comparing: {self.counts.records:,} records")

    async def _find_live(self, identity_id: str, dataset_name: str) -> LiveDataset:
        page = await self._store.read_records(
            DatasetId(self._pool_id, identity_id, dataset_name), _whole
        )
        exists = page is not None and page.dataset is not None and page.dataset.exists
        records = page.records if page is not None and exists else ()
        return LiveDataset(
            identity_id,
            dataset_name,
            exists,
            [
                ReadRecord(each.key, each.sync_count, each.value)
                for each in records
                if each.value is not None
            ],
        )


def _whole(state: DatasetState | None) -> RecordRange | None:
    if state is None or not state.exists:
        return None
    return RecordRange(after=0, up_to=state.sync_count)


def _report(
    options: argparse.Namespace,
    stream_name: str,
    check: _Check,
    waiting: _Waiting,
    remarks: Sequence[str],
) -> int:
    counts, contents = check.counts, check.state.contents()
    differences = check.state.count_differences()
    shown = check.state.list_differences(SHOWN_MAX)
    document: dict[str, Any] = {
        "IdentityPoolId": options.identity_pool_id,
        "StreamName": stream_name,
        "StreamRecords": counts.read,
        "StreamRecordsOfPool": counts.of_pool,
        "Repeats": counts.repeats,
        "LinksWithoutRecords": counts.lost_links,
        "Stream": {"Datasets": contents.datasets, "Records": contents.records},
        "Pool": {"Datasets": counts.datasets, "Records": counts.records},
        "OutboxEntries": waiting.entries,
        "ParkedEntries": waiting.parked,
        "BulkPublishInProgress": waiting.publishing,
        "DifferenceCount": differences,
        "Differences": [
            {
                "Kind": each.kind.value,
                "IdentityId": each.identity_id,
                "DatasetName": each.dataset_name,
                **({} if each.key is None else {"Key": each.key}),
            }
            for each in shown
        ],
    }
    lines = [
        f"{counts.read:,} stream records in '{stream_name}', {counts.of_pool:,} of "
        f"this pool, {counts.repeats:,} repeats passed over",
        f"stream: {contents.datasets:,} datasets, {contents.records:,} records",
        f"pool: {counts.datasets:,} datasets, {counts.records:,} records",
    ]
    if counts.lost_links:
        lines.append(f"{counts.lost_links:,} links led to no records")
    lines += [_line(each) for each in shown]
    if differences > len(shown):
        lines.append(f"... and {differences - len(shown):,} more")
    lines.append(f"{differences:,} differences" if differences else "clean")
    show(options, document, lines)
    sys.stdout.flush()
    if waiting.ends or waiting.parked:
        print(_advice(waiting), file=sys.stderr)
    if differences:
        for each in remarks:
            print(f"millpond stream: {each}", file=sys.stderr)
    return 1 if differences else 0


def _line(found: Difference) -> str:
    names = (found.identity_id, found.dataset_name, found.key or "")
    return "\t".join((found.kind, *map(plain, names))).rstrip()


def _advice(waiting: _Waiting) -> str:
    """Say what makes a false alarm."""
    parts = []
    if waiting.entries:
        parts.append(f"{waiting.entries} changes wait in the outbox")
    if waiting.parked:
        parts.append(f"{waiting.parked} were parked (`millpond outbox list`)")
    if waiting.publishing:
        parts.append("a bulk publish is in progress")
    return (
        f"millpond stream: {' and '.join(parts)}; they may account for differences. "
        "--wait SECONDS waits for them."
    )
