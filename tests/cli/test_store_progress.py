"""How `millpond store` shows what it does."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from millpond.cli.store_progress import BarMeter, LineMeter, make_meter
from millpond.server.stores import INCOMPLETE_FILE_NAME
from millpond.stores.sqlite import FILE_NAME
from millpond.testing.server import wait_until
from processes import Programs, Terminal, finished


def test_lines_tell_steps_and_long_ones_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A line for each step that has anything, and one every few seconds."""
    now_s = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    stream = io.StringIO()
    with make_meter(stream) as meter:
        meter.step("copy token keys", total=0)
        meter.step("copy records", total=500, done=20)
        meter.at(100)
        now_s += 5
        meter.at(200)
        meter.at(300)
        now_s += 5
        meter.at(400)

    assert isinstance(meter, LineMeter)
    assert stream.getvalue().splitlines() == [
        "copy records: 500, after 20",
        "copy records: 200 of 500",
        "copy records: 400 of 500",
    ]


class TerminalStream(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_has_bars() -> None:
    """Estimates that turn out too low or too high end at their totals."""
    stream = TerminalStream()
    with make_meter(stream) as meter:
        meter.step("copy records", total=10)
        meter.at(12)
        meter.step("copy outbox", total=7)
        meter.at(3)

    assert isinstance(meter, BarMeter)
    assert "10/10" in stream.getvalue()
    assert "7/7" in stream.getvalue()


def test_ctrl_c_leaves_a_backup_that_is_known_as_torn(
    programs: Programs, tmp_path: Path
) -> None:
    """On a terminal, in the middle of a file: exit status 130 and what to do."""
    data, target = tmp_path / "data", tmp_path / "backup"
    subprocess.run(
        [sys.executable, "-m", "millpond", "store", "create", "--data", str(data)],
        check=True,
        capture_output=True,
    )
    connection = apsw.Connection(str(data / FILE_NAME))
    connection.pragma("synchronous", "off")
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) "
        "INSERT INTO outbox (identity_pool_id, identity_id, data) "
        "SELECT 'p', 'i', zeroblob(1000000) FROM n"
    )
    connection.close()
    terminal = Terminal()
    with terminal.handed_over() as theirs:
        process = programs.millpond(
            *("store", "backup", str(target), "--data", str(data)), stderr=theirs
        )
    wait_until(lambda: FILE_NAME in terminal.text, pause_s=0.001)
    process.send_signal(signal.SIGINT)
    finished(process, 60)
    terminal.close()

    assert process.returncode == 130
    assert "Stopped. The backup is not complete" in terminal.text
    assert "Traceback" not in terminal.text
    assert (target / INCOMPLETE_FILE_NAME).exists()
