"""
`millpond settings check|show`: what is set, by whom, and whether a server takes it.

Exit status of both: 0 when everything is right, 1 when a server would not start.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any, Final

from millpond.cli.administration import add_output_option, show
from millpond.cli.serve import (
    add_kind_options,
    add_server_options,
    add_settings_options,
    load_tracing,
    read_settings,
    tracing_asked_by,
)
from millpond.errors import SettingsError
from millpond.service.shown_settings import shown
from millpond.settings import Problem, Reading, propose_setting, table

_DEFAULT: Final = "default"
_ORIGIN_COLUMN: Final = 44


def main(argv: list[str]) -> int:
    """Run `millpond settings`."""
    options = make_parser().parse_args(argv)
    try:
        reading = read_settings(options)
    except SettingsError as error:  # the file cannot be read
        _tell(options, [Problem("settings", str(error))], 0)
        return 1
    if options.command == "show":
        return _show(reading, options)
    from millpond.server.settings_check import find_problems

    problems = find_problems(reading)
    _, no_traces = load_tracing()
    if no_traces:
        problems.append(Problem(tracing_asked_by(), no_traces))
    _tell(options, problems, len(reading.origins))
    return 1 if problems else 0


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="millpond settings",
        description="Check the settings that a server would start with, and show where "
        "each comes from: the command line, the environment, the file, or the default.",
        epilog="Exit status: 0 when all is right, 1 when a server would not start.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    check = commands.add_parser(
        "check", help="say everything that is wrong, and start nothing"
    )
    listing = commands.add_parser(
        "show", help="show each value and where it comes from; secrets are masked"
    )
    listing.add_argument(
        "names", nargs="*", metavar="NAME", help="these alone; without one, all"
    )
    for each in (check, listing):
        each.allow_abbrev = False  # it is not handed on
        add_settings_options(each)
        add_server_options(each)
        add_kind_options(each)
        add_output_option(each)
    return parser


def _tell(options: argparse.Namespace, problems: list[Problem], count: int) -> None:
    document = {
        "Right": not problems,
        "Problems": [
            {"Setting": each.setting, "Text": each.text, "Origin": each.origin}
            for each in problems
        ],
    }
    lines = [str(each) for each in problems]
    show(
        options,
        document,
        lines or [f"All is right: {count} set, the others at their defaults."],
    )


def _show(reading: Reading, options: argparse.Namespace) -> int:
    rows = [
        {
            "Name": row.name,
            "Value": shown(row.name, getattr(reading.settings, row.name)),
            "Origin": reading.origins.get(row.name, _DEFAULT),
        }
        for row in table()
        if row.name in options.names or not options.names
    ]
    unknown = set(options.names) - {row["Name"] for row in rows}
    problems = [*reading.problems]
    problems += [
        Problem(name, f"There is no setting '{name}'.{propose_setting(name)}")
        for name in sorted(unknown)
    ]
    show(options, {"Settings": rows}, _lines(rows))
    for each in problems:
        print(f"millpond settings: {each}", file=sys.stderr)
    return 1 if problems else 0


def _lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Write settings as a settings file has them, each with its origin behind it."""
    found = []
    for row in rows:
        text = f"{row['Name']} = {_toml(row['Value'])}"
        found.append(f"{text:<{_ORIGIN_COLUMN}} # {row['Origin']}")
    return found


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (
            f"{json.dumps(key)} = {_toml(each)}"
            for key, each in value.items()
            if each is not None  # TOML has no word for nothing
        )
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
