"""What the commands that work on a store share: how they run, and how they show."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from millpond.cli.serve import add_settings_options, load_settings
from millpond.cli.tables import iso as iso
from millpond.cli.tables import plain as plain
from millpond.errors import MillpondError
from millpond.settings import Settings

Command = Callable[[Settings, argparse.Namespace], Awaitable[int]]


class CommandError(MillpondError):
    """What was asked for cannot be done; the message says why."""


def run(
    parser: argparse.ArgumentParser, argv: list[str], commands: Mapping[str, Command]
) -> int:
    """Parse a command line, run the command that it names, and return its status."""
    options = parser.parse_args(argv)
    try:
        settings = load_settings(options)
        return asyncio.run(_await(commands[options.command](settings, options)))
    except MillpondError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1


async def _await(command: Awaitable[int]) -> int:
    return await command


def add_store_options(*parsers: argparse.ArgumentParser) -> None:
    """Add the options of a store, and of the form of the output."""
    for each in parsers:
        add_settings_options(each)
        add_output_option(each)


def add_output_option(parser: argparse.ArgumentParser) -> None:
    """Add the option for the form of the output."""
    parser.add_argument(
        "--output",
        choices=("text", "json"),
        default="text",
        help="form of the result [text]",
    )


def add_pool_option(*parsers: argparse.ArgumentParser) -> None:
    """Add the option that names the pool of an identity, where that is not clear."""
    for each in parsers:
        each.add_argument(
            "--identity-pool-id",
            metavar="ID",
            help="in this identity pool alone; the beginning of its id will do",
        )


def show(options: argparse.Namespace, document: Any, lines: list[str]) -> None:
    """Print the document for programs, or the lines for people."""
    if options.output == "json":
        print(json.dumps(document, indent=4))
    else:
        for line in lines:
            print(line)
