"""Colours: on a terminal that wants them, and nowhere else."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import millpond
from millpond.testing.server import wait_until

SOURCE = str(Path(millpond.__file__).parent.parent)
ESCAPE = b"\x1b["


@pytest.fixture
def serve_log(home):
    """Run a server; give back what it logged, on a terminal or on a pipe."""

    def run(*, terminal: bool, **variables: str) -> bytes:
        reader, writer = pty.openpty() if terminal else os.pipe()
        os.set_blocking(reader, False)
        process = subprocess.Popen(
            [sys.executable, "-m", "millpond", "serve", "--port", "0"],
            env={
                **{k: v for k, v in os.environ.items() if k != "NO_COLOR"},
                "PYTHONPATH": SOURCE,
                "TERM": "xterm",
                "MILLPOND_LOG_FORMAT": "console",
                **variables,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=writer,
        )
        os.close(writer)
        logged = b""

        def started() -> bool:
            nonlocal logged
            try:
                logged += os.read(reader, 65536)
            except (BlockingIOError, OSError):
                return process.poll() is not None
            return b"server.started" in logged

        try:
            wait_until(started, timeout_s=30.0)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            os.close(reader)
        assert b"server.started" in logged
        return logged

    return run


def test_a_terminal_gets_colours(serve_log):
    """Where there is one that can show them."""
    assert ESCAPE in serve_log(terminal=True)


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_wants_none_gets_none(serve_log, variables):
    """NO_COLOR counts for a server as for every command."""
    assert ESCAPE not in serve_log(terminal=True, **variables)


def test_a_pipe_gets_none(serve_log):
    """Even in the form for people."""
    assert ESCAPE not in serve_log(terminal=False)
