"""
Programs that tests start: interrupted as from a terminal, and gone when the test is.

A program whose test interrupts it must be started here. Whoever started the tests may
have told them to ignore SIGINT, as shells do with background jobs and some CI systems
with everything; children inherit that, and a Python that inherits it raises no
KeyboardInterrupt. Interrupt it when it has said something that it only says when it is
ready: before, the signal may meet a Python that is still starting.
"""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import millpond
from millpond.testing.deadlines import seconds
from millpond.testing.server import wait_until

SOURCE = str(Path(millpond.__file__).parent.parent)


class Programs:
    """Starts programs, and kills those that still run when it is closed."""

    def __init__(self) -> None:
        self._started = contextlib.ExitStack()

    def millpond(
        self,
        *words: str,
        environment: Mapping[str, str] | None = None,
        **options: Any,
    ) -> subprocess.Popen[str]:
        """
        Start a command of ours.

        Args:
            environment: beside the variables of the tests; the settings of whoever
                runs them are left out.
        """
        given = {k: v for k, v in os.environ.items() if not k.startswith("MILLPOND_")}
        return self.start(
            [sys.executable, "-m", "millpond", *words],
            env={**given, "PYTHONPATH": SOURCE, **(environment or {})},
            **options,
        )

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """Start a program; what it prints goes into pipes, as text."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with _interruptible_children():
            process = subprocess.Popen(command, **{**pipes, **options})
        self._started.enter_context(process)  # it waits, and closes the pipes
        self._started.callback(process.kill)
        return process

    def close(self) -> None:
        self._started.close()


class Terminal:
    """A terminal that keeps what is written to it, and has a keyboard."""

    def __init__(self) -> None:
        self._ours, self.theirs = pty.openpty()
        self._parts: list[bytes] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def text(self) -> str:
        """What was written."""
        return b"".join(self._parts).decode(errors="replace")

    @contextlib.contextmanager
    def handed_over(self) -> Iterator[int]:
        """Give the program's side, for the program alone once it has started."""
        try:
            yield self.theirs
        finally:
            os.close(self.theirs)

    def wait_for(self, text: str) -> None:
        """Wait until a text was written."""
        wait_until(lambda: text in self.text)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._ours, text.encode())

    def close(self) -> None:
        """Read to the end, which comes when the program has gone."""
        self._reader.join(seconds(20))
        os.close(self._ours)

    def _read(self) -> None:
        """Read until the other side is closed, which Linux tells by an error."""
        with contextlib.suppress(OSError):
            while part := os.read(self._ours, 4096):
                self._parts.append(part)


def finished(process: subprocess.Popen[str], quiet_s: float = 20) -> tuple[str, str]:
    """Wait for the end of a program; give the rest of its output and its errors."""
    out, err = process.communicate(timeout=seconds(quiet_s))
    return out or "", err or ""


def is_there(pid: int) -> bool:
    """Say whether a process runs, and is not only not yet noticed to have ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    words = ["ps", "-o", "stat=", "-p", str(pid)]
    if Path("/proc/self/stat").exists():  # and perhaps no ps, as in small images
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
        except OSError:
            return False
    else:
        state = subprocess.run(words, capture_output=True, text=True).stdout
    return not state.strip().startswith("Z")


def proc_of(pid: int) -> Path:
    """Give the folder in which Linux tells of a process; elsewhere skip the test."""
    folder = Path("/proc", str(pid))
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system does not tell of processes in /proc")
    return folder


def resident_bytes(pid: int) -> int:
    """Give the memory that a process has."""
    pages = (proc_of(pid) / "statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def _interruptible_children() -> Iterator[None]:
    """Let programs that start now be interrupted, even if we are not to be."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        yield
        return
    # A handler is not inherited: a child that runs another program has the default.
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
