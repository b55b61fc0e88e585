"""
Backups of the embedded store: a folder that a server can be started on.

A note stands in the folder from the first byte to the last, so that a backup that was
cut off is known as one; no server starts on it.
"""

from __future__ import annotations

import os
from pathlib import Path

from millpond.errors import StoreError, StoreUnavailableError
from millpond.server import secret_key
from millpond.server.copying import copy_secret_key
from millpond.server.stores import (
    INCOMPLETE_FILE_NAME,
    check_backup_is_whole,
    holds_something,
    no_store,
)
from millpond.settings import Settings
from millpond.stores.sqlite import STREAMS_FILE_NAME
from millpond.stores.sqlite.backup import FILE_NAMES, Progress, back_up


def make_backup(
    source: Path, target: Path, *, with_secret_key: bool, progress: Progress
) -> int:
    """
    Back a data folder up into a folder that is empty or not there; blocks.

    Returns:
        The size of the backup in bytes.
    Raises:
        StoreError: it cannot be done; the message says why.
    """
    if not holds_something(source):
        raise no_store(Settings(data=source))
    if not (source / STREAMS_FILE_NAME).exists():
        raise StoreError(
            f"'{source / STREAMS_FILE_NAME}' is not there.",
            hint="A backup would not be whole: put one in its place first.",
        )
    if with_secret_key and not (source / secret_key.FILE_NAME).exists():
        raise StoreError(
            f"There is no '{source / secret_key.FILE_NAME}'; the master secret comes "
            "from the setting secret_key. Keep that instead."
        )
    check_backup_is_whole(source)
    try:
        return _make(source, target, with_secret_key, progress)
    except OSError as error:
        raise StoreUnavailableError(
            f"Cannot write to '{target}': {error.strerror}.", op="backup"
        ) from error


def _make(source: Path, target: Path, with_secret_key: bool, progress: Progress) -> int:
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(target.iterdir()):
        raise StoreError(f"'{target}' is not empty.", hint="Name another folder.")
    note = target / INCOMPLETE_FILE_NAME
    note.write_text("This backup was not finished. Make another one.\n", "ascii")
    _sync(note)
    _sync(target)
    _sync(target.parent)
    for name in FILE_NAMES:  # readable by the owner alone before anything is in them
        os.close(os.open(target / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    back_up(source, target, progress)
    if with_secret_key:
        copy_secret_key(source, target)
    for name in FILE_NAMES:
        _sync(target / name)
    _sync(target)
    note.unlink()
    _sync(target)
    return sum((target / name).stat().st_size for name in FILE_NAMES)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
