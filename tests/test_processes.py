"""Programs that tests start can be interrupted, and do not outlive them."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import pytest

from processes import Programs, Terminal, finished

SLEEPER = (
    "import time\n"
    "try:\n"
    "    print('ready', flush=True)\n"
    "    time.sleep(1000)\n"
    "except KeyboardInterrupt:\n"
    "    print('interrupted')\n"
)


@pytest.fixture(params=[signal.SIG_IGN, signal.default_int_handler])
def disposition(request: pytest.FixtureRequest) -> Iterator[object]:
    """SIGINT as a shell leaves it to a background job, and to one in front."""
    before = signal.signal(signal.SIGINT, request.param)
    yield request.param
    signal.signal(signal.SIGINT, before)


def test_a_program_is_interrupted_wherever_the_tests_run(
    programs: Programs, disposition: object
) -> None:
    """A child of tests that ignore SIGINT does not; the tests go on ignoring it."""
    process = programs.start([sys.executable, "-c", SLEEPER])
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert signal.getsignal(signal.SIGINT) is disposition

    process.send_signal(signal.SIGINT)

    assert finished(process) == ("interrupted\n", "")
    assert process.returncode == 0


def test_nothing_outlives_its_test() -> None:
    """What still runs in the end is killed, and its pipes are closed."""
    programs = Programs()
    process = programs.start([sys.executable, "-c", SLEEPER])
    assert process.stdout is not None

    programs.close()

    assert process.returncode == -signal.SIGKILL
    assert process.stdout.closed


def test_a_terminal_keeps_what_is_written(programs: Programs) -> None:
    """The program is on a terminal; its lines end as a terminal ends them."""
    terminal = Terminal()
    with terminal.handed_over() as theirs:
        process = programs.start(
            [sys.executable, "-c", "import sys; print(sys.stdout.isatty())"],
            stdout=theirs,
        )
    finished(process)
    terminal.close()

    assert terminal.text == "True\r\n"
