"""`millpond key create|list|delete`: developer keys, with the server running or not."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import sys
from typing import Any

from millpond.cli.serve import add_settings_options, load_settings
from millpond.errors import MillpondError
from millpond.settings import Settings


def main(argv: list[str]) -> int:
    """Run `millpond key`."""
    options = _parser().parse_args(argv)
    commands = {"create": _create, "list": _list, "delete": _delete}
    try:
        settings = load_settings(options)
        return asyncio.run(commands[options.command](settings, options))
    except MillpondError as error:
        print(f"millpond key: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="millpond key",
        description="Make, list and delete developer keys. A running server honours "
        "a change within a second.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    create = commands.add_parser("create", help="make a key and print it, once")
    create.add_argument("--name", default="", help="what the key is for")
    listing = commands.add_parser("list", help="list the keys, without their secrets")
    delete = commands.add_parser("delete", help="delete a key")
    delete.add_argument("access_key_id", metavar="ACCESS_KEY_ID")
    for each in (create, listing, delete):
        add_settings_options(each)
        each.add_argument("--output", choices=("text", "json"), default="text")
    return parser


async def _create(settings: Settings, options: argparse.Namespace) -> int:
    import secrets

    from millpond.server import app
    from millpond.service.context import system_now_ms
    from millpond.service.developer_keys import create_developer_key

    async with app.open_store(settings) as store:
        key = await create_developer_key(
            store,
            app.make_sealer(settings),
            name=options.name,
            now_ms=system_now_ms(),
            random_bytes=secrets.token_bytes,
        )
    shown = {
        "AccessKeyId": key.access_key_id,
        "SecretAccessKey": key.secret_access_key,
    }
    _show(options, shown, [f"{name}: {value}" for name, value in shown.items()])
    return 0


async def _list(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import app

    async with app.open_store(settings) as store:
        keys = await store.list_developer_keys()
    rows = [
        {
            "AccessKeyId": key.access_key_id,
            "Name": key.name,
            "CreationDate": _iso(key.creation_date_ms),
        }
        for key in keys
    ]
    _show(options, {"Keys": rows}, ["\t".join(row.values()) for row in rows])
    return 0


async def _delete(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import app

    async with app.open_store(settings) as store:
        if not await store.delete_developer_key(options.access_key_id):
            print(
                f"millpond key: there is no key '{options.access_key_id}'.",
                file=sys.stderr,
            )
            return 1
    _show(
        options,
        {"AccessKeyId": options.access_key_id},
        [f"Deleted {options.access_key_id}."],
    )
    return 0


def _iso(time_ms: int) -> str:
    moment = datetime.datetime.fromtimestamp(time_ms / 1000, datetime.UTC)
    return moment.isoformat(timespec="seconds")


def _show(options: argparse.Namespace, document: Any, lines: list[str]) -> None:
    if options.output == "json":
        print(json.dumps(document, indent=4))
    else:
        for line in lines:
            print(line)
