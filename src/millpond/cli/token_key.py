"""`millpond token-key list|rotate|retire`: the keys that sign OpenID tokens."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Final

from millpond.cli.administration import (
    CommandError,
    add_store_options,
    check_place,
    iso,
    note_change,
    run,
    show,
)
from millpond.cli.tables import Cell, Column, Time, print_table
from millpond.settings import Settings

if TYPE_CHECKING:
    from millpond.stores.base import TokenKey

_COLUMNS: Final = (
    Column("KEY ID"),
    Column("CREATED"),
    Column("STATUS"),
    Column("RETIRED"),
)


def main(argv: list[str]) -> int:
    """Run `millpond token-key`."""
    commands = {"list": _list, "rotate": _rotate, "retire": _retire}
    return run(make_parser(), argv, commands)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="millpond token-key",
        description="List, rotate and retire the keys that sign OpenID tokens. A "
        "running server honours a change within a second.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="list the keys, the newest first")
    rotate = commands.add_parser(
        "rotate",
        help="make a new key, which signs from now on; tokens of the one before stay "
        "good until they expire",
    )
    retire = commands.add_parser(
        "retire",
        help="retire a key that leaked, at once: no token that it signed is good any "
        "more",
    )
    retire.add_argument("key_id", metavar="KEY_ID", help="its id")
    add_store_options(listing, rotate, retire)
    return parser


async def _list(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores
    from millpond.service.context import system_now_ms
    from millpond.service.token_keys import newest_first

    async with stores.open_existing(settings) as store:
        keys = newest_first(await store.list_token_keys())
    now_ms = system_now_ms()
    if options.output == "text" and sys.stdout.isatty():
        print_table(_COLUMNS, [_row(each, now_ms) for each in keys])
        return 0
    rows = []
    for key in keys:
        row = {"KeyId": key.key_id, "CreationDate": iso(key.creation_date_ms)}
        row["Status"] = _status(key, now_ms)
        if key.retire_date_ms is not None:
            row["RetireDate"] = iso(key.retire_date_ms)
        rows.append(row)
    show(options, {"Keys": rows}, ["\t".join(row.values()) for row in rows])
    return 0


def _status(key: TokenKey, now_ms: int) -> str:
    if key.retire_date_ms is None:
        return "SIGNS"
    return "RETIRED" if key.retire_date_ms <= now_ms else "PUBLISHED"


def _row(key: TokenKey, now_ms: int) -> tuple[Cell, ...]:
    return (
        key.key_id,
        Time(key.creation_date_ms),
        _status(key, now_ms),
        Time(key.retire_date_ms),
    )


async def _rotate(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import sealers, stores
    from millpond.service.context import system_now_ms
    from millpond.service.token_keys import rotate_token_key

    check_place(settings, options)
    async with stores.open_existing(settings, seals=True) as store:
        key_id = await rotate_token_key(
            store,
            sealers.make_token_key_sealer(settings),
            region=settings.region,
            now_ms=system_now_ms(),
        )
        await note_change(store, "RotateTokenKey", target=key_id)
    show(options, {"KeyId": key_id}, [f"{key_id} signs from now on."])
    return 0


async def _retire(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import sealers, stores
    from millpond.service.context import system_now_ms
    from millpond.service.token_keys import retire_token_key

    check_place(settings, options)
    async with stores.open_existing(settings, seals=True) as store:
        retired = await retire_token_key(
            store,
            sealers.make_token_key_sealer(settings),
            options.key_id,
            region=settings.region,
            now_ms=system_now_ms(),
        )
        if not retired:
            raise CommandError(f"there is no key '{options.key_id}'.")
        await note_change(store, "RetireTokenKey", target=options.key_id)
    show(options, {"KeyId": options.key_id}, [f"Retired {options.key_id}."])
    return 0
