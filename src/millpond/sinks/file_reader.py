"""
Reading a file sink's folder back, and following it as it grows.

Files are read in the order of their names, finished or not, each to its last whole
line. A writer's next file begins only when the one before is finished, so the records
of a partition key come in order. Files that were moved away are passed over.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from typing import Final

from millpond.core.streaming import StreamRecord
from millpond.core.targets import Target
from millpond.errors import SinkError
from millpond.sinks import file_format
from millpond.sinks.file_format import FileName
from millpond.sinks.file_target import folder_target
from millpond.sinks.file_writer import list_files, map_errors

POLL_S: Final = 0.1
READ_BYTES: Final = 4 * 1024 * 1024


class FileReader:
    """A folder, read as a stream."""

    def __init__(self, folder: str, *, from_end: bool) -> None:
        self._folder = folder
        self._from_end = from_end
        self._offsets: dict[str, int] | None = None  # by stem; None: not open
        self._read_to_end: set[str] = set()  # finished files

    def __repr__(self) -> str:
        state = "closed" if self._offsets is None else "open"
        return f"<FileReader file://{self._folder}, {state}>"

    async def open(self) -> None:
        if self._offsets is None:
            self._offsets = await asyncio.to_thread(self._first_offsets)

    async def look(self) -> Target:
        return await asyncio.to_thread(self._look)

    async def read(self, *, wait_s: float) -> Sequence[StreamRecord]:
        deadline = time.monotonic() + wait_s
        while True:
            found = await asyncio.to_thread(self._read_on)
            left_s = deadline - time.monotonic()
            if found or left_s <= 0:
                return found
            await asyncio.sleep(min(POLL_S, left_s))

    async def aclose(self) -> None:
        self._offsets = None
        self._read_to_end = set()

    def _look(self) -> Target:
        with map_errors(self._folder):
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                return folder_target(self._folder, folder, volatile=True)
            finally:
                os.close(folder)

    def _first_offsets(self) -> dict[str, int]:
        offsets = {}
        with map_errors(self._folder):
            for name in list_files(self._folder):
                if self._from_end:
                    with self._opened(name) as descriptor:
                        if descriptor is not None:
                            size = os.fstat(descriptor).st_size
                            end = file_format.end_of_last_line(descriptor, size)
                            offsets[name.stem] = end
        return offsets

    def _read_on(self) -> list[StreamRecord]:
        """Read the next piece of the first file that has one."""
        if self._offsets is None:
            raise SinkError(f"{self!r} must be opened before it can be read.")
        with map_errors(self._folder):
            names = list_files(self._folder)
            # Nothing is kept of files that are gone.
            self._read_to_end &= {name.stem for name in names}
            for name in names:
                if name.stem in self._read_to_end:
                    continue
                with self._opened(name) as descriptor:
                    if descriptor is None:
                        continue
                    lines = self._read_lines(name, descriptor, self._offsets)
                if lines:
                    return lines
                if not name.is_open:  # it was finished before it was read
                    self._read_to_end.add(name.stem)
                    self._offsets.pop(name.stem, None)
        return []

    def _read_lines(
        self, name: FileName, descriptor: int, offsets: dict[str, int]
    ) -> list[StreamRecord]:
        start = offsets.get(name.stem, 0)
        size = READ_BYTES
        while True:
            piece = os.pread(descriptor, size, start)
            end = piece.rfind(b"\n") + 1
            if end or len(piece) < size:
                break
            size *= 2  # a line that is longer than what was read
        records = []
        at = start
        for line in piece[:end].split(b"\n")[:-1]:
            try:
                records.append(file_format.decode_line(line))
            except ValueError as error:
                raise SinkError(
                    f"Folder '{self._folder}', file '{name}': what stands at byte {at} "
                    f"is no line of a stream: {error}."
                ) from error
            at += len(line) + 1
        offsets[name.stem] = start + end
        return records

    @contextlib.contextmanager
    def _opened(self, name: FileName) -> Iterator[int | None]:
        """Open a file, which may have been finished meanwhile; None: it is gone."""
        descriptor = None
        for each in (name, FileName(name.stem)):
            try:
                path = os.path.join(self._folder, str(each))
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                break
            except FileNotFoundError:
                continue
        try:
            yield descriptor
        finally:
            if descriptor is not None:
                os.close(descriptor)
