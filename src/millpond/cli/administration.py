"""What the commands that work on a store share: how they run, and how they show."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from millpond.cli.serve import add_settings_options, read_settings
from millpond.cli.tables import iso as iso
from millpond.cli.tables import plain as plain
from millpond.errors import MillpondError, NoStoreError
from millpond.settings import Reading, Settings, refuse

if TYPE_CHECKING:
    from millpond.stores.base import AuditStore

_PATHS: Final = ("data", "files", "settings", "source", "target")

Command = Callable[[Settings, argparse.Namespace], Awaitable[int]]


class CommandError(MillpondError):
    """What was asked for cannot be done; the message says why."""


def run(
    parser: argparse.ArgumentParser, argv: list[str], commands: Mapping[str, Command]
) -> int:
    """Parse a command line, run the command that it names, and return its status."""
    _take_no_prefixes(parser)
    options = parser.parse_args(argv)
    for each in _texts(options):
        if any("\udc80" <= char <= "\udcff" for char in each):
            shown = os.fsencode(each).decode(errors="backslashreplace")
            parser.error(f"'{shown}' is not text in UTF-8.")
    try:
        reading = read_settings(options)
        refuse(reading.problems)
        options.origins = reading.origins
        command = commands[options.command](reading.settings, options)
        return asyncio.run(_await(command))
    except NoStoreError as error:
        print(f"{parser.prog}: {error} {_where_from(reading)}", file=sys.stderr)
        return 1
    except MillpondError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1


def _texts(options: argparse.Namespace) -> Iterator[str]:
    """
    List what was given as text; paths may be of any bytes.

    Python hands on what is not UTF-8, as from an old script, with a mark for each byte.
    No store takes it.
    """
    for name, value in vars(options).items():
        if name not in _PATHS:
            each = value if isinstance(value, list) else [value]
            yield from (text for text in each if isinstance(text, str))


def _take_no_prefixes(parser: argparse.ArgumentParser) -> None:
    """Let `--al` not be `--all`: argparse does not hand that on to inner parsers."""
    parser.allow_abbrev = False
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                _take_no_prefixes(inner)


def _where_from(reading: Reading) -> str:
    """Say who named the place where a store was looked for, and how to name another."""
    origin = reading.origins.get("store" if reading.settings.store else "data")
    named = f"That place is named by {origin}" if origin else "No place was named"
    return (
        f"{named}; --data, --store and --settings name another. A server makes a store "
        "when it starts, and so does 'millpond store create'."
    )


def check_place(settings: Settings, options: argparse.Namespace) -> None:
    """
    Refuse to change a store that was not named, beside a server of another.

    Raises:
        CommandError: a server answers where one is with these settings, and it is not
            the one of this folder; of what is done here it would not know.
    """
    from millpond.server import lock
    from millpond.stores.sqlite import FILE_NAME

    if "data" in options.origins or settings.store:
        return
    if not os.path.exists(settings.data / FILE_NAME):
        return  # that is told when the store is opened
    holder = lock.find_holder(settings.data)
    if (holder is None or not holder.is_held) and _answers(settings):
        raise CommandError(
            f"a server answers at {settings.host} port {settings.port}, and its store "
            f"is not in '{settings.data.absolute()}': it would not know what is done "
            "here. Name the right place with --data, --store or --settings."
        )


def _answers(settings: Settings) -> bool:
    """
    Say whether a server of ours is where one would listen with these settings.

    The settings may not be its own, so it is asked without TLS and with it.
    """
    import http.client
    import ssl

    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # nothing is told to it, nor believed
    context.verify_mode = ssl.CERT_NONE
    at: dict[str, Any] = {"host": host, "port": settings.port, "timeout": 1}
    for connection in (
        http.client.HTTPConnection(**at),
        http.client.HTTPSConnection(**at, context=context),
    ):
        try:
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            if answer.status == http.client.OK and answer.read(4) == b"ok\n":
                return True
        except ConnectionRefusedError:
            return False
        except (OSError, http.client.HTTPException):
            continue
        finally:
            connection.close()
    return False


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


async def note_change(
    store: AuditStore,
    operation: str,
    *,
    identity_pool_id: str = "",
    identity_id: str = "",
    target: str = "",
) -> None:
    """
    Leave an entry in the audit of what a command has changed beside the server.

    Raises:
        StoreError: it is not kept.
    """
    import secrets

    from millpond.service.audit import AuditBook
    from millpond.service.callers import (
        ORIGIN_COMMAND_LINE,
        Caller,
        CameFrom,
        KeyScope,
    )
    from millpond.service.context import system_now_ms

    book = AuditBook(store, now_ms=system_now_ms, random_bytes=secrets.token_bytes)
    caller = Caller(
        "",
        "",
        scope=KeyScope(_os_user()),
        whence=CameFrom(ORIGIN_COMMAND_LINE, socket.gethostname()),
    )
    await book.note(
        caller,
        operation=operation,
        identity_pool_id=identity_pool_id,
        identity_id=identity_id,
        target=target,
    )


def _os_user() -> str:
    """Name the user of the operating system; one without a name has a number."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid()) if hasattr(os, "getuid") else ""


def show(options: argparse.Namespace, document: Any, lines: list[str]) -> None:
    """Print the document for programs, or the lines for people."""
    if options.output == "json":
        print(json.dumps(document, indent=4))
    else:
        for line in lines:
            print(line)
