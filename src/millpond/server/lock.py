"""
One server per data folder: a lock that the kernel lets go of when we die.

The file says who holds it: process, machine, and where that answers. It is emptied when
the lock is let go of; what is left in a file that nobody holds is of a server that was
killed, or of one on a machine whose locks do not reach this one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from millpond.errors import StoreInUseError, StoreUnavailableError

FILE_NAME: Final = "server.lock"
_BYTES_MAX: Final = 1024


class Holder(NamedTuple):
    """Who holds the lock of a folder, or held it last."""

    process: str
    machine: str  # empty: one of an older version has written it
    is_held: bool  # as far as this machine can tell
    endpoint: str = ""  # where it answers; empty: it has not said so

    @property
    def is_here(self) -> bool:
        """Whether it is, or was, on this machine."""
        return self.machine in ("", os.uname().nodename)


def find_holder(directory: Path) -> Holder | None:
    """Say who holds the lock of a folder, or held it when it was killed."""
    try:
        descriptor = os.open(directory / FILE_NAME, os.O_RDONLY)
    except OSError:
        return None
    try:
        held = False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            held = True
        words = os.read(descriptor, _BYTES_MAX).decode("utf-8", "replace").split()
    finally:
        os.close(descriptor)
    if not words or not words[0].isdecimal() or not "".join(words).isprintable():
        return Holder("unknown", "", is_held=True) if held else None
    machine, endpoint = (*words[1:3], "", "")[:2]
    return Holder(words[0], machine, held, endpoint)


@contextlib.contextmanager
def hold(directory: Path) -> Iterator[Callable[[str], None]]:
    """
    Hold the lock of a data folder; what is yielded tells others where we answer.

    Raises:
        StoreInUseError: another server holds it.
        StoreUnavailableError: nothing can be written there.
    """
    try:
        descriptor = os.open(directory / FILE_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreUnavailableError(
            f"Cannot use '{directory}': {FILE_NAME} in it cannot be written "
            f"({error.strerror}).",
            hint="Let the folder and all in it belong to the user of the server, or "
            "name another folder.",
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            words = os.read(descriptor, _BYTES_MAX).decode("utf-8", "replace").split()
            process = words[0] if words else "unknown"
            raise StoreInUseError(
                f"Another server (process {process}) is using '{directory}'.",
                hint="Stop it, or give this one a folder of its own with --data.",
            ) from error
        os.ftruncate(descriptor, 0)
        holder = f"{os.getpid()} {os.uname().nodename}"
        os.pwrite(descriptor, f"{holder}\n".encode(), 0)

        def tell(endpoint: str) -> None:
            os.pwrite(descriptor, f"{holder} {endpoint}\n".encode(), 0)

        yield tell
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)
