"""
Copying the files of the embedded store while a server uses them.

SQLite's own backup copies a file page by page. It is done here inside a read
transaction, so that it copies one moment, whatever is written meanwhile, and need not
begin again; the server does not wait for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import apsw

from millpond.errors import StoreError
from millpond.stores.sqlite import FILE_NAME, STREAMS_FILE_NAME
from millpond.stores.sqlite.database import BUSY_TIMEOUT_MS, map_driver_errors

# The main file first. What is put into an embedded stream is put there before it goes
# from the outbox, and a bulk publish notes its position after that. So between two
# moments something may be in both, and is sent twice; with the streams first it could
# be in neither.
FILE_NAMES: Final = (FILE_NAME, STREAMS_FILE_NAME)
PAGES_AT_ONCE: Final = 256

Progress = Callable[[str, int, int], None]


def back_up(source: Path, target: Path, progress: Progress) -> None:
    """
    Copy the files into a folder where they are not.

    Args:
        progress: is told the file, how many of its pages are done, and of how many.
    Raises:
        StoreError: a file cannot be read or written, or is damaged.
    """
    for name in FILE_NAMES:
        with map_driver_errors("backup"):
            _copy(
                source / name, target / name, lambda *n, name=name: progress(name, *n)
            )
            _check(target / name)


def _copy(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    with (
        contextlib.closing(_open(source, apsw.SQLITE_OPEN_READONLY)) as read,
        contextlib.closing(
            _open(target, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        ) as write,
    ):
        read.execute("BEGIN")
        read.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        with write.backup("main", read, "main") as backup:
            while not backup.done:
                backup.step(PAGES_AT_ONCE)
                progress(backup.page_count - backup.remaining, backup.page_count)
        read.execute("COMMIT")


def _open(path: Path, flags: int) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=flags)
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    return connection


def _check(path: Path) -> None:
    """Read the copy once: it was made from a file that may be damaged."""
    with contextlib.closing(_open(path, apsw.SQLITE_OPEN_READWRITE)) as connection:
        ((found,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
    if found != "ok":
        raise StoreError(f"'{path.name}' is damaged: {found}.", op="backup")
