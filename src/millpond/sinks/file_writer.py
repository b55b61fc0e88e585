"""
The writing side of a file sink, as far as it blocks; the sink calls it on a thread.

Theory of operation
-------------------
A writer appends to one file of its own and holds its lock (flock) for as long. A put is
one write, made durable before it returns. When a write fails, the file is cut back to
the last good end and finished, and the next put begins another one; so what a reader
has seen of a file never changes under it.

A file without a lock whose name says that it is unfinished belongs to a process that
died. Whoever opens the stream or begins a file next cuts off its torn last line and
finishes it.

The folder is held open: its place is compared with it before each put (a disk that was
unmounted leaves another folder there), and all names are looked up in it.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import os
import secrets
import shlex
from collections.abc import Iterator
from typing import Final

from millpond.core.targets import Target
from millpond.errors import SinkError, SinkUnavailableError, StreamGoneError
from millpond.sinks import file_format
from millpond.sinks.file_format import FileName
from millpond.sinks.file_target import folder_target

_FOLDER_MODE: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE_MODE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
_CREATE_TRIES: Final = 5
# Elsewhere than on Linux there may be the one that syncs the dates, too.
_sync = getattr(os, "fdatasync", os.fsync)


class FileWriter:
    """Appends lines to files in a folder. Not for several threads at a time."""

    def __init__(self, folder: str, *, rotate_bytes: int) -> None:
        """
        Args:
            rotate_bytes: a file that has reached this size is finished.
        """
        self._folder = folder
        self._rotate_bytes = rotate_bytes
        self._folder_fd = -1
        self._fd = -1
        self._name = FileName("")
        self._size = 0

    @property
    def stem(self) -> str:
        """Which file is being written; empty: none."""
        return self._name.stem if self._fd >= 0 else ""

    def open(self) -> None:
        """
        Open the folder and finish what dead writers left. Idempotent.

        Raises:
            StreamGoneError: there is no such folder.
            SinkUnavailableError: it cannot be written.
        """
        if self._folder_fd >= 0:
            return
        with map_errors(self._folder):
            self._folder_fd = os.open(self._folder, _FOLDER_MODE)
            try:
                if not os.access(self._folder, os.R_OK | os.W_OK | os.X_OK):
                    _fail_access(self._folder)
                self._finish_leftovers()
            except BaseException:
                self._close_folder()
                raise

    def describe(self, *, volatile: bool) -> Target:
        """
        Say what the open folder is like.

        Raises:
            StreamGoneError: it has gone, or another one has taken its place.
        """
        with map_errors(self._folder):
            self._check_folder()
            return folder_target(self._folder, self._folder_fd, volatile=volatile)

    def append(self, lines: bytes) -> None:
        """
        Append whole lines and wait until they are on the disk.

        Raises:
            StreamGoneError: the folder has gone, or another one has taken its place.
            SinkUnavailableError: nothing of it was kept.
        """
        with map_errors(self._folder):
            self._check_folder()
            self._check_file()
            if self._fd < 0:
                self._begin()
            self._write(lines)
        if self._size >= self._rotate_bytes:
            self.finish(self.stem)

    def finish(self, stem: str) -> None:
        """Finish a file if it is still being written. Raises nothing."""
        if stem and stem == self.stem:
            with contextlib.suppress(OSError):  # it is a leftover then
                self._finish()

    def close(self) -> None:
        """Finish the file and let go of the folder. Idempotent; raises nothing."""
        self.finish(self.stem)
        self._close_folder()

    def _check_folder(self) -> None:
        if self._folder_fd < 0:
            raise SinkUnavailableError(f"Folder '{self._folder}' is not open.")
        there = os.stat(self._folder)
        if not os.path.samestat(there, os.fstat(self._folder_fd)):
            raise StreamGoneError(
                f"Another folder has taken the place of '{self._folder}'.",
                hint="Is its disk still mounted?",
            )

    def _check_file(self) -> None:
        """Let go of a file that somebody has moved away or removed."""
        if self._fd >= 0 and not self._is_in_place(self._fd, self._name):
            self._abandon()

    def _is_in_place(self, descriptor: int, name: FileName) -> bool:
        try:
            there = os.stat(str(name), dir_fd=self._folder_fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(descriptor))

    def _begin(self) -> None:
        """Create a file and lock it before anybody can take it for a leftover."""
        self._finish_leftovers()
        for _ in range(_CREATE_TRIES):
            moment = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
            name = file_format.name_behind(
                max((each.stem for each in list_files(self._folder_fd)), default=""),
                moment=moment,
                random_hex=secrets.token_hex(4),
            )
            descriptor = os.open(
                str(name), _NEW_FILE_MODE, 0o640, dir_fd=self._folder_fd
            )
            try:
                if _lock(descriptor) and self._is_in_place(descriptor, name):
                    os.fsync(self._folder_fd)  # or a crash could lose the whole file
                    self._fd, self._name, self._size = descriptor, name, 0
                    return
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # another one was faster and finished it, empty
        raise OSError(errno.EBUSY, "no new file could be locked")

    def _write(self, lines: bytes) -> None:
        try:
            written = os.write(self._fd, lines)
            while written < len(lines):  # the rest says why, or fits after all
                written += os.write(self._fd, memoryview(lines)[written:])
            _sync(self._fd)
        except BaseException:
            self._cut_back()
            raise
        self._size += len(lines)

    def _cut_back(self) -> None:
        """Take back what a failed write has left, and write no more to this file."""
        try:
            os.ftruncate(self._fd, self._size)
            os.fsync(self._fd)
            self._finish()
        except OSError:
            self._abandon()

    def _finish(self) -> None:
        descriptor, self._fd = self._fd, -1
        try:
            _finish_file(self._folder_fd, self._name, size=self._size)
        finally:
            os.close(descriptor)  # and with it the lock goes

    def _abandon(self) -> None:
        """Leave the file as it is, as a leftover."""
        descriptor, self._fd = self._fd, -1
        with contextlib.suppress(OSError):
            os.close(descriptor)

    def _close_folder(self) -> None:
        descriptor, self._folder_fd = self._folder_fd, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _finish_leftovers(self) -> None:
        for name in list_files(self._folder_fd):
            if name.is_open:
                # It may be finished meanwhile, or belong to somebody else. A reader
                # can do with it as it is.
                with contextlib.suppress(OSError):
                    self._finish_leftover(name)

    def _finish_leftover(self, name: FileName) -> None:
        descriptor = os.open(
            str(name), os.O_RDWR | os.O_CLOEXEC, dir_fd=self._folder_fd
        )
        try:
            if not _lock(descriptor) or not self._is_in_place(descriptor, name):
                return  # somebody writes it, or has just finished it
            size = os.fstat(descriptor).st_size
            end = file_format.end_of_last_line(descriptor, size)
            if end < size:
                os.ftruncate(descriptor, end)
            os.fsync(descriptor)
            _finish_file(self._folder_fd, name, size=end)
        finally:
            os.close(descriptor)


def list_files(folder: str | int) -> list[FileName]:
    """List the files of a stream, by name, those still written among them."""
    names = map(file_format.parse_name, os.listdir(folder))
    return sorted(name for name in names if name is not None)


@contextlib.contextmanager
def map_errors(folder: str) -> Iterator[None]:
    """Say in our words what the system said in its own."""
    try:
        yield
    except OSError as error:
        raise _translated(error, folder) from error


def _translated(error: OSError, folder: str) -> SinkError:
    match error.errno:
        case errno.ENOTDIR:
            create = f"mkdir -p {shlex.quote(folder)}"
            return StreamGoneError(
                f"Folder '{folder}' does not exist: something else is in its place.",
                hint=f"Take that away, then `{create}`.",
            )
        case errno.ENOENT:
            return StreamGoneError(
                f"Folder '{folder}' does not exist.",
                hint="Create it: the folder is the stream, and a sink creates none.",
            )
        case errno.ENOSPC | errno.EDQUOT:
            what, hint = "its disk is full", "Free some space."
        case errno.EFBIG:
            what, hint = "a file is as large as it may be", "Lower rotate_bytes."
        case errno.EACCES | errno.EPERM:
            what = "permission is denied"
            hint = "Let the user that Millpond runs as read and write it."
        case errno.EROFS:
            what = "its file system is read-only"
            hint = "Mount it for writing."
        case _:
            what = error.strerror or "the system gives no reason"
            hint = "Check the disk."
    return SinkUnavailableError(
        f"Folder '{folder}' cannot be used: {what}.", hint=f"{hint} Nothing is lost."
    )


def _fail_access(folder: str) -> None:
    """Raise what keeps us from writing into a folder."""
    read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
    raise OSError(errno.EROFS if read_only else errno.EACCES, "no access")


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _finish_file(folder_fd: int, name: FileName, *, size: int) -> None:
    """Give a file its final name; one without a line goes."""
    if size:
        final = str(FileName(name.stem))
        os.rename(str(name), final, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
    else:
        os.unlink(str(name), dir_fd=folder_fd)
    os.fsync(folder_fd)
