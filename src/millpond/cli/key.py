"""`millpond key create|list|delete`: developer keys, with the server running or not."""

from __future__ import annotations

import argparse

from millpond.cli.administration import (
    CommandError,
    add_store_options,
    iso,
    run,
    show,
)
from millpond.settings import Settings


def main(argv: list[str]) -> int:
    """Run `millpond key`."""
    commands = {"create": _create, "list": _list, "delete": _delete}
    return run(make_parser(), argv, commands)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="millpond key",
        description="Make, list and delete developer keys. A running server honours "
        "a new key at once, and a deleted one for a second at most.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    create = commands.add_parser("create", help="make a key and print it, once")
    create.add_argument("--name", default="", help="what the key is for")
    listing = commands.add_parser("list", help="list the keys, without their secrets")
    delete = commands.add_parser("delete", help="delete a key")
    delete.add_argument(
        "access_key_id", metavar="ACCESS_KEY_ID", help="its access key id"
    )
    add_store_options(create, listing, delete)
    return parser


async def _create(settings: Settings, options: argparse.Namespace) -> int:
    import secrets

    from millpond.server import app, stores
    from millpond.service.context import system_now_ms
    from millpond.service.developer_keys import create_developer_key

    async with stores.open_store(settings) as store:
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
    show(options, shown, [f"{name}: {value}" for name, value in shown.items()])
    return 0


async def _list(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores

    async with stores.open_store(settings) as store:
        keys = await store.list_developer_keys()
    rows = [
        {
            "AccessKeyId": key.access_key_id,
            "Name": key.name,
            "CreationDate": iso(key.creation_date_ms),
        }
        for key in keys
    ]
    show(options, {"Keys": rows}, ["\t".join(row.values()) for row in rows])
    return 0


async def _delete(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores

    async with stores.open_store(settings) as store:
        if not await store.delete_developer_key(options.access_key_id):
            raise CommandError(f"there is no key '{options.access_key_id}'.")
    show(
        options,
        {"AccessKeyId": options.access_key_id},
        [f"Deleted {options.access_key_id}."],
    )
    return 0
