"""
The file sink: a stream in a folder, as lines of JSON, for warehouses and backups.

    file:///var/backups/players?rotate_bytes=67108864&rotate_s=3600

The folder is the stream. It must be there, and is named by an absolute path: a relative
one would mean another folder whenever a server is started from elsewhere. A file is
finished when it has `rotate_bytes`, `rotate_s` after it was begun (by a timer, so a
stream that has gone quiet finishes its file, too), and when the sink is closed.

All work on files is done on a thread of the sink's own, one step after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

from millpond.core.streaming import StreamRecord
from millpond.core.targets import Target
from millpond.errors import SettingsError, SinkUnavailableError
from millpond.sinks.base import (
    PutResult,
    demand,
    hold_back_followers,
    too_large,
    without_failed,
)
from millpond.sinks.file_format import encode_lines
from millpond.sinks.file_reader import FileReader
from millpond.sinks.file_writer import FileWriter
from millpond.sinks.urls import VOLATILE, is_true, read_url

T = TypeVar("T")

ROTATE_BYTES: Final = 64 * 1024 * 1024
ROTATE_S: Final = 3600


class FileStream(NamedTuple):
    """What the URL of a file sink says."""

    folder: str
    rotate_bytes: int
    rotate_s: int
    volatile: bool = False  # whether the folder may be in memory


def make_sink(url: str, role_arn: str | None) -> FileSink:
    """
    Make the sink of a URL, not yet open; a folder knows no roles.

    Raises:
        SettingsError: the URL says too little or too much.
    """
    return FileSink(parse_url(url))


def make_reader(url: str, *, from_end: bool) -> FileReader:
    """Make the reader of a URL, not yet open; raises as `make_sink` does."""
    return FileReader(parse_url(url).folder, from_end=from_end)


def parse_url(url: str) -> FileStream:
    """
    Read the URL of a file sink.

    Raises:
        SettingsError: it names no absolute path, or an option is wrong.
    """
    given = read_url(url, options=("rotate_bytes", "rotate_s", VOLATILE))
    parts = urlsplit(url)
    path = unquote(parts.path)
    on_this_machine = parts.netloc in ("", "localhost") and not parts.fragment
    if not on_this_machine or not path.startswith("/") or "\0" in path:
        raise SettingsError(
            "The URL of a file sink names a folder by its absolute path, as "
            "file:///var/backups/players does; in it %23 stands for #, %3F for ?."
        )
    return FileStream(
        folder=path,
        rotate_bytes=_number(given.options, "rotate_bytes", ROTATE_BYTES),
        rotate_s=_number(given.options, "rotate_s", ROTATE_S),
        volatile=is_true(given.options, VOLATILE),
    )


def _number(options: dict[str, str], name: str, default: int) -> int:
    text = options.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text)):
        raise SettingsError(f"Option '{name}' must be a whole number above 0.")
    return int(text)


class FileSink:
    """A folder as a sink."""

    # A put is fsynced as a whole, so a large one is cheap; and a dataset of the default
    # size fits in whole, even if JSON needs six characters for each of its bytes.
    records_max: Final = 2000
    bytes_max: Final = 8 * 1024 * 1024
    record_bytes_max: Final = 8 * 1024 * 1024

    def __init__(self, stream: FileStream) -> None:
        self._stream = stream
        self._writer = FileWriter(stream.folder, rotate_bytes=stream.rotate_bytes)
        self._thread: ThreadPoolExecutor | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timed_stem = ""  # the file that the timer is for

    def __repr__(self) -> str:
        state = "closed" if self._thread is None else "open"
        return f"<FileSink file://{self._stream.folder}, {state}>"

    async def open(self) -> None:
        if self._thread is not None:
            return
        thread = ThreadPoolExecutor(1, "millpond-file-sink")
        self._thread = thread
        try:
            await self._call(self._writer.open)
            demand(await self.look())
        except BaseException:
            self._thread = None
            thread.submit(self._writer.close)  # opening may still be under way
            thread.shutdown(wait=False)
            raise

    async def look(self) -> Target:
        volatile = self._stream.volatile
        return await self._call(lambda: self._writer.describe(volatile=volatile))

    async def put(self, records: Sequence[StreamRecord]) -> PutResult:
        failed = too_large(records, self.record_bytes_max)
        result = hold_back_followers(records, failed)
        accepted = without_failed(records, result)
        if accepted:
            self._watch_age(await self._call(lambda: self._append(accepted)))
        return result

    async def aclose(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._watch_age("")
        closed = asyncio.get_running_loop().run_in_executor(thread, self._writer.close)
        thread.shutdown(wait=False)
        await asyncio.shield(closed)

    async def _call(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            # Somebody else who shares it may have closed it after a failure.
            raise SinkUnavailableError(f"{self!r} must be opened before it is written.")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _append(self, records: Sequence[StreamRecord]) -> str:
        self._writer.append(encode_lines(records))
        return self._writer.stem

    def _watch_age(self, stem: str) -> None:
        """Set the timer for the file that is written now; empty: there is none."""
        if stem == self._timed_stem:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timed_stem = stem
        if stem and self._thread is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._stream.rotate_s, self._end_of_age, stem)

    def _end_of_age(self, stem: str) -> None:
        if self._thread is not None:
            self._thread.submit(self._writer.finish, stem)
