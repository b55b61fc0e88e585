"""
`millpond apply`: make the pools and streams of a server what a file describes.

It says what it changes, changes only what differs, and deletes nothing.

    0    everything is as the file says now
    2    with --check: something would change
    255  the file cannot be read, or the server refused
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from millpond.cli import standard_input
from millpond.cli.api import connecting
from millpond.cli.api.faults import PROGRAM
from millpond.cli.tables import plain
from millpond.client.api.faults import InputFault

if TYPE_CHECKING:
    from millpond.cli.pools_file.plan import Change

WOULD_CHANGE: Final = 2


def main(argv: list[str]) -> int:
    """Run `millpond apply`."""
    from millpond.cli.pools_file import plan, shapes
    from millpond.cli.pools_file.present import Server

    options = make_parser().parse_args(argv)
    text = _read(options.file)
    server = Server(options, connecting.settle(options))
    described = shapes.read(text, server.shapes)
    present = server.find(described)
    changes = plan.make(described, present)
    ids = {name: each[shapes.POOL_ID] for name, each in present.pools.items()}
    for each in changes:
        print(_told(each, would=options.check))
        if not options.check:
            for call in each.calls:
                server.make(call, ids)
            if each.kind == "pool" and each.is_new:
                print(f"    identity_pool_id = {ids[each.name]}")
    if not changes:
        print("Everything is as the file says.")
    return WOULD_CHANGE if changes and options.check else 0


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} apply",
        description="Make the pools and streams of a server what a file describes. It "
        "says what it changes, changes only what differs, and deletes nothing. "
        "`millpond dump` writes such a file.",
        epilog="Exit status: 0 when everything is as the file says, 2 with --check "
        "when something would change, 255 when the file or the server says no.",
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="a TOML file; -: standard input")
    parser.add_argument(
        "--check", action="store_true", help="say what would change, and change nothing"
    )
    connecting.add_options(parser)
    return parser


def _read(file: str) -> str:
    """
    Read the file.

    Raises:
        InputFault: there is none, or it is no text.
    """
    try:
        if file == "-":
            return standard_input.read().decode("utf-8-sig")
        with open(file, encoding="utf-8-sig") as opened:
            return opened.read()
    except OSError as error:
        raise InputFault(f"'{file}' cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputFault(f"'{file}' is not UTF-8: {error}.") from error


def _told(change: Change, *, would: bool) -> str:
    """Say what becomes of a pool or a stream."""
    verb = "create" if change.is_new else "change"
    verb = f"would {verb}" if would else verb
    name = plain(change.name)
    return "\n".join(
        [
            f"{verb} {change.kind} '{name}'",
            *(f"    {plain(each)}" for each in change.lines),
        ]
    )
