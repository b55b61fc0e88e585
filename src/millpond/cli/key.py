"""`millpond key create|list|delete`: developer keys, with the server running or not."""

from __future__ import annotations

import argparse
import sys

from millpond.cli.administration import (
    CommandError,
    add_store_options,
    check_place,
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
    delete.add_argument(
        "--yes", action="store_true", help="delete it without asking, even the last one"
    )
    add_store_options(create, listing, delete)
    return parser


async def _create(settings: Settings, options: argparse.Namespace) -> int:
    import secrets

    from millpond.server import sealers, stores
    from millpond.service.context import system_now_ms
    from millpond.service.developer_keys import create_developer_key

    check_place(settings, options)
    async with stores.open_existing(settings, seals=True) as store:
        key = await create_developer_key(
            store,
            sealers.make_sealer(settings),
            name=options.name,
            now_ms=system_now_ms(),
            random_bytes=secrets.token_bytes,
        )
    shown = {
        "AccessKeyId": key.access_key_id,
        "SecretAccessKey": key.secret_access_key,
    }
    lines = [f"{name}: {value}" for name, value in shown.items()]
    show(options, shown, [*lines, _who_honours(settings)])
    return 0


def _who_honours(settings: Settings) -> str:
    """Say where a key is good: somebody may have meant another server."""
    from millpond.server import lock, stores

    if settings.store:
        return f"Every server with its {stores.place_of(settings)} honours it."
    holder = lock.find_holder(settings.data)
    folder = settings.data.absolute()
    if holder is not None and holder.is_held:
        return f"The server on '{folder}' (process {holder.process}) honours it."
    return f"No server runs on '{folder}'; one that is started there honours it."


async def _list(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores

    async with stores.open_existing(settings) as store:
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

    async with stores.open_existing(settings) as store:
        keys = [key.access_key_id for key in await store.list_developer_keys()]
        if keys == [options.access_key_id] and not options.yes:
            _ask_about_the_last(options.access_key_id)
        if not await store.delete_developer_key(options.access_key_id):
            raise CommandError(f"there is no key '{options.access_key_id}'.")
    show(
        options,
        {"AccessKeyId": options.access_key_id},
        [f"Deleted {options.access_key_id}."],
    )
    return 0


def _ask_about_the_last(access_key_id: str) -> None:
    """
    Ask whether the last key is to go: without one nobody can administer the server.

    Raises:
        CommandError: the answer is no, or there is nobody to ask.
    """
    what = (
        f"'{access_key_id}' is the last key: without it nobody can call the server "
        "with developer credentials"
    )
    if not sys.stdin.isatty():
        raise CommandError(f"{what}. Make another one first, or say --yes.")
    print(f"{what}. Delete it? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandError("nothing was deleted.")
