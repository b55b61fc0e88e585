"""
A server for tests: everything it keeps is in memory, and gone with it.

Its store is the embedded one, in a folder of its own that is in memory where the
system has such a place (`/dev/shm`) with room; elsewhere nothing waits for the disk. So
it does whatever a server does, faster. And its clock can be moved (`server.controls`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from millpond.server import lock
from millpond.service.context import system_now_ms

_IN_MEMORY: Final = Path("/dev/shm")
_ROOM_BYTES: Final = 256 * 1_048_576  # containers have 64 MiB there, for other things
_PREFIX: Final = "millpond-ephemeral-"


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Make a folder for a server, and remove it with all that is in it."""
    place = _find_place()
    _remove_left(place)
    with tempfile.TemporaryDirectory(
        prefix=_PREFIX, dir=place, ignore_cleanup_errors=True
    ) as made:
        yield Path(made)


def _find_place() -> Path:
    """Find where folders of servers are to be."""
    try:
        room = os.statvfs(_IN_MEMORY)
    except OSError:
        return Path(tempfile.gettempdir())
    if room.f_bavail * room.f_frsize < _ROOM_BYTES or not os.access(
        _IN_MEMORY, os.W_OK | os.X_OK
    ):
        return Path(tempfile.gettempdir())
    return _IN_MEMORY


def _remove_left(place: Path) -> None:
    """Remove what servers left that were killed: nobody holds the lock of those."""
    for each in place.glob(f"{_PREFIX}*"):
        holder = lock.find_holder(each)
        if holder is not None and holder.is_here and not holder.is_held:
            shutil.rmtree(each, ignore_errors=True)


class MovableClock:
    """A clock that goes ahead of that of the system."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> int:
        return system_now_ms() + self.ahead_ms
