"""One server per data folder: a lock that the kernel lets go of when we die."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from millpond.errors import StoreInUseError

FILE_NAME: Final = "server.lock"


@contextlib.contextmanager
def hold(directory: Path) -> Iterator[None]:
    """
    Hold the lock of a data folder.

    Raises:
        StoreInUseError: another server holds it.
    """
    descriptor = os.open(directory / FILE_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip()
            raise StoreInUseError(
                f"Another server (process {holder}) is using '{directory}'.",
                hint="Stop it, or give this one a folder of its own with --data.",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
