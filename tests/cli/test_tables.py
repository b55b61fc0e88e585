"""Tables: columns on a terminal that is wide enough, blocks on a narrow one."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time

import pytest

from cli.world import ANN, POOL, Place, fill
from millpond.cli import tables
from millpond.cli.tables import Column, Size, Time, print_details, print_table
from millpond.core.sync import DatasetId
from millpond.testing.deadlines import seconds
from millpond.testing.store_contract.bench import put
from processes import Terminal as RealTerminal
from processes import finished

MOMENT_MS = 1_750_000_000_000
COLUMNS = (
    Column("POOL"),
    Column("NAME", flexible=True),
    Column("DATA"),
    Column("WHEN"),
)
LONG = "a name that is much longer than there is room for"
ROWS = [
    ("us-east-1:1", "short", Size(500), Time(MOMENT_MS)),
    ("us-east-1:2", LONG, Size(2**20), None),
]


class Terminal(io.StringIO):
    """Takes text as a terminal would."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Make terminals of a width, whose clock is that of Kathmandu."""
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    time.tzset()

    def make(columns: int) -> Terminal:
        monkeypatch.setenv("COLUMNS", str(columns))
        return Terminal()

    yield make
    monkeypatch.undo()
    time.tzset()


def test_a_wide_terminal_shows_columns(terminal):
    """Headings, sizes in units, the time on the wall, numbers to the right."""
    to = terminal(110)

    print_table(COLUMNS, ROWS, to=to)

    heading, first, second = (each.rstrip() for each in to.getvalue().splitlines())
    for title in ("POOL", "NAME", "DATA", "WHEN"):
        assert title in heading
    assert first.split() == [
        "us-east-1:1",
        "short",
        *("500", "B"),
        *("2025-06-15", "20:51:40"),
    ]
    assert second.endswith("1 MiB  -")
    assert first.index(" B") == second.index("MiB") + 1


@pytest.mark.parametrize("width", [58, 70])
def test_what_may_be_long_is_cut_first(terminal, width):
    """Ids, sizes and times stay whole, and no line is wider than the terminal."""
    to = terminal(width)

    print_table(COLUMNS, ROWS, to=to)

    lines = to.getvalue().splitlines()
    assert len(lines) == 3
    assert "us-east-1:2  a name" in lines[2]
    assert "…" in lines[2]
    assert "1 MiB" in lines[2]


@pytest.mark.parametrize("width", [20, 40])
def test_a_narrow_terminal_shows_blocks(terminal, width):
    """A line or more for each cell, nothing cut, nothing wider than the terminal."""
    to = terminal(width)

    print_table(COLUMNS, ROWS, to=to)

    text = to.getvalue()
    first, second = text.replace("\x1b[1m", "").replace("\x1b[0m", "").split("\n\n")
    assert all(len(each.rstrip()) <= width for each in second.splitlines())
    assert "…" not in text
    assert first.splitlines()[0].split() == ["POOL", "us-east-1:1"]
    assert "much" in second


def test_long_titles_stand_above_what_they_are_of_where_it_is_narrow(terminal):
    """No column of single letters beside them."""
    to = terminal(20)

    print_details([("A title of its own", "x" * 25), ("Short", "y")], to=to)

    text = to.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", "")
    lines = [each.rstrip() for each in text.splitlines()]
    assert lines == ["A title of its own", "x" * 20, "x" * 5, "Short", "y"]


def test_elsewhere_there_are_tabs_and_whole_cells():
    """UTC, bytes, no headings, no styles; in whatever width."""
    to = io.StringIO()

    print_table(COLUMNS, ROWS, to=to)

    assert to.getvalue().splitlines() == [
        "us-east-1:1\tshort\t500\t2025-06-15T15:06:40+00:00",
        f"us-east-1:2\t{LONG}\t1048576\t-",
    ]


def test_no_rows_are_no_table(terminal):
    """Not even headings."""
    to = terminal(80)

    print_table(COLUMNS, [], to=to)

    assert to.getvalue() == ""


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_styles_can_be_switched_off(terminal, monkeypatch, name, value):
    """By NO_COLOR, and on a terminal that knows none; on others there are some."""
    to, plain = terminal(80), terminal(80)
    print_table(COLUMNS, ROWS, to=to)
    print_details([("Name", "x")], to=to)
    monkeypatch.setenv(name, value)
    print_table(COLUMNS, ROWS, to=plain)
    print_details([("Name", "x")], to=plain)

    assert "\x1b[" in to.getvalue()
    assert "\x1b" not in plain.getvalue()


def test_an_empty_no_color_is_none(terminal, monkeypatch):
    """As https://no-color.org has it, and as help pages do."""
    to = terminal(80)
    monkeypatch.setenv("NO_COLOR", "")
    print_details([("Name", "x")], to=to)

    assert "\x1b[" in to.getvalue()


def test_wide_characters_keep_their_columns(terminal):
    """A character may take two places."""
    to = terminal(80)

    print_table((Column("A"), Column("B")), [("日本語", "x"), ("abcdef", "y")], to=to)

    _, first, second = to.getvalue().splitlines()
    assert (first.rstrip(), second.rstrip()) == ("日本語  x", "abcdef  y")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1023, "0.999 KiB"),
        (1024, "1 KiB"),
        (1_048_575, "1 MiB"),
        (1_048_576, "1 MiB"),
        (5_000_000, "4.77 MiB"),
        (2**40, "1 TiB"),
        (2**53, "8192 TiB"),
    ],
)
def test_sizes_have_three_digits(count, text):
    """In the largest unit of which there is about one."""
    assert tables.size(count) == text


@pytest.mark.parametrize("ms", [-(10**18), 10**18, 253_402_300_800_000])
def test_a_date_that_no_calendar_has_is_none(ms):
    """A client may write any date of a device; nothing breaks."""
    assert tables.date(ms) is None
    for terminal in (True, False):
        assert tables.spell(Time(ms), terminal=terminal) == "-"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_whoever_stops_reading_hears_no_complaint(tmp_path, monkeypatch, unbuffered):
    """As with `| head`: nothing on standard error, and it ends."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)  # empty: not set
    place = Place("--data", str(tmp_path / "data"))
    place.run(fill)
    commands = (
        ["identity", "find"],
        ["dataset", "show", ANN, "prefs"],
        ["pool", "list"],
    )
    for words in commands:
        for output in ("json", "text"):
            command = [sys.executable, "-m", "millpond", *words, *place.words]
            process = subprocess.Popen(
                [*command, "--output", output],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()  # before anything is written
            complaint = process.stderr.read()
            process.stderr.close()
            process.wait(timeout=seconds(60))

            assert complaint == b""


def test_a_pipe_that_knows_ascii_alone_gets_everything(tmp_path):
    """What it cannot show is spelled out; a document is UTF-8 all the same."""
    place = Place("--data", str(tmp_path / "data"))
    place.run(fill)
    dataset = DatasetId(POOL, ANN, "schnörkel")
    place.run(lambda store: put(store, dataset, {"größe": "日本"}))
    environment = {"PATH": os.environ["PATH"], "PYTHONIOENCODING": "ascii"}

    def run(*words: str) -> bytes:
        command = [sys.executable, "-m", "millpond", *words, *place.words]
        return subprocess.run(
            command, env=environment, capture_output=True, check=True
        ).stdout

    shown = run("dataset", "show", ANN, "schnörkel")
    exported = run("identity", "export", ANN)

    assert b"gr\\xf6\\xdfe\t\\u65e5\\u672c\t" in shown
    assert "日本" in exported.decode()


@pytest.fixture
def listed_on_terminal(tmp_path, programs):
    """List the pools of the small world on a real terminal."""
    place = Place("--data", str(tmp_path / "data"))
    place.run(fill)

    def run(columns: str) -> str:
        terminal = RealTerminal()
        with terminal.handed_over() as theirs:
            process = programs.millpond(
                *("pool", "list", *place.words),
                stdout=theirs,
                environment={"TERM": "xterm", "COLUMNS": columns},
            )
        assert finished(process, 60) == ("", "")
        terminal.close()
        return terminal.text

    return run


def test_columns_of_0_are_none_that_are_told(listed_on_terminal):
    """COLUMNS=0, as some leave it behind, hides nothing."""
    text = listed_on_terminal("0")

    assert POOL in text
    assert "10 B" in text


def test_a_command_knows_a_terminal(listed_on_terminal):
    """Headings and units on a real one."""
    heading, first, _ = listed_on_terminal("120").splitlines()
    assert "IDENTITY POOL" in heading
    assert POOL in first
    assert " 10 B " in first
