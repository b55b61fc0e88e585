"""Interactive shells on a terminal of their own, as a person would use them."""

from __future__ import annotations

import os
import pty
import select
from collections.abc import Mapping, Sequence

from millpond.testing.deadlines import Deadline

TIMEOUT_S = 20.0
_TO_START, _TO_END, _TAB = "\x01", "\x05", "\t"  # as in emacs, in both shells


class Shell:
    """
    A shell that reads from a terminal which is ours.

    Args:
        command: what starts it, without any files of the user's.
        setup: lines to run first.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], *setup: str
    ) -> None:
        self._printed = ""
        self._count = 0
        pid, self._terminal = pty.fork()
        if pid == 0:  # the child, which becomes the shell
            os.execvpe(command[0], [*command], {**environment})
        self._pid = pid
        for line in setup:
            self._type(f"{line}\n")
        self._run_marker()

    def complete(self, line: str) -> str:
        """Type a line and press the key; give back what the line is then."""
        self._type(f"{line}{_TAB}")
        # The line becomes the argument of an echo, so that it is shown as it stands.
        self._type(f"{_TO_START}echo 'line<{_TO_END}>'\n")
        shown = self._read_until(lambda text: "\nline<" in text)
        shown = self._read_until(lambda text: ">" in text.rpartition("\nline<")[2])
        return shown.rpartition("\nline<")[2].partition(">")[0]

    def close(self) -> None:
        """Hang up."""
        os.close(self._terminal)
        os.waitpid(self._pid, 0)

    def _run_marker(self) -> None:
        self._type("echo rea''dy\n")
        self._read_until(lambda text: "\nready" in text)
        self._printed = ""

    def _type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def _read_until(self, condition) -> str:
        deadline = Deadline(TIMEOUT_S)
        while not condition(self._printed):
            if deadline.passed():
                raise TimeoutError(self._printed)
            if select.select([self._terminal], [], [], 0.1)[0]:
                part = os.read(self._terminal, 65536).decode("utf-8", "replace")
                self._printed += part.replace("\r", "\n")
        return self._printed
