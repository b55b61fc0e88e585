"""Colours: on a terminal that wants them, and nowhere else."""

from __future__ import annotations

import subprocess

import pytest

from millpond.testing.deadlines import seconds
from millpond.testing.server import wait_until
from processes import Terminal, finished

ESCAPE = "\x1b["


@pytest.fixture
def serve_log(home, programs):
    """Run a server; give back what it logged, on a terminal or on a pipe."""

    def start(stderr: int, variables: dict[str, str]) -> subprocess.Popen[str]:
        given = {"TERM": "xterm", "MILLPOND_LOG_FORMAT": "console", **variables}
        return programs.millpond(
            *("serve", "--port", "0"),
            environment=given,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )

    def on_a_terminal(**variables: str) -> str:
        terminal = Terminal()
        with terminal.handed_over() as theirs:
            process = start(theirs, variables)
        started = lambda: "server.started" in terminal.text  # noqa: E731
        wait_until(lambda: started() or process.poll() is not None, timeout_s=30)
        process.terminate()
        process.wait(seconds(30))
        terminal.close()
        assert started()
        return terminal.text

    def on_a_pipe() -> str:
        process = start(subprocess.PIPE, {})
        assert process.stderr is not None
        logged = ""
        while "server.started" not in logged:
            logged += (line := process.stderr.readline())
            assert line, logged
        process.terminate()
        return logged + finished(process, 30)[1]

    def run(*, terminal: bool, **variables: str) -> str:
        return on_a_terminal(**variables) if terminal else on_a_pipe()

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
