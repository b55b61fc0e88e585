"""Programs of other languages that a test talks to, a line at a time."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Any, Final

from millpond.testing.deadlines import seconds

ANSWER_TIMEOUT_S: Final = 30.0


class CommandProcess:
    """A program that takes a command a line and gives an answer a line, in JSON."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str] = {}
    ) -> None:
        """
        Start a program.

        Args:
            arguments: its path and what follows it.
            environment: variables that are added to those of this process.
        """
        self._process = subprocess.Popen(
            arguments,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._commands: IO[str] = self._process.stdin
        self._lines: IO[str] = self._process.stdout
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def call(self, command: dict[str, Any]) -> Any:
        """Give a command and wait for its answer."""
        self._commands.write(json.dumps(command) + "\n")
        self._commands.flush()
        answer = self._answers.get(timeout=seconds(ANSWER_TIMEOUT_S))
        if not answer:
            raise RuntimeError("The program ended; standard error says why.")
        return json.loads(answer)

    def close(self) -> None:
        """End the program."""
        self._commands.close()
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._lines.close()

    def _read(self) -> None:
        for line in self._lines:
            self._answers.put(line)
        self._answers.put("")
