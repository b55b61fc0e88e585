"""The variables that the command line is said to read are those that it reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from millpond import cli
from millpond.cli.environment import VARIABLES
from millpond.client import api

FOLDERS: Final = [Path(str(each.__file__)).parent for each in (cli, api)]
LITERAL: Final = re.compile(r'"((?:AWS|BOTO|MILLPOND)_[A-Z_]+|[A-Z]+_HOME|NO_COLOR)"')
# Not variables, or of what is started and not of the command that starts it.
OTHERS: Final = {
    *("AWS_APIS", "AWS_DOMAINS"),
    *("MILLPOND_CLI_", "MILLPOND_CLI_PARITY"),  # how some begin; of our own tests
}


def test_each_variable_that_is_read_is_told() -> None:
    """Whoever adds one says what it does."""
    files = [each for folder in FOLDERS for each in folder.rglob("*.py")]
    read = {
        name
        for file in files
        if file.name != "environment.py"
        for name in LITERAL.findall(file.read_text("utf-8"))
    }

    told = {name.strip("…") for row in VARIABLES for name in row.split(", ")}
    assert len(read) > 20
    assert read - OTHERS - told == set()


def test_the_page_of_configure_has_them(run) -> None:
    """As the reference has."""
    page = run("configure", "help").out

    assert "\nENVIRONMENT\n" in page
    assert all(name in page for name in VARIABLES)
