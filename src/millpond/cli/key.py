"""`millpond key ...`: developer keys, with the server running or not."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final

from millpond.cli import confirming
from millpond.cli.administration import (
    CommandError,
    add_store_options,
    check_place,
    note_change,
    run,
    show,
)
from millpond.cli.tables import Column, Time, date, plain, print_table
from millpond.core import moments
from millpond.settings import Settings

if TYPE_CHECKING:
    from millpond.stores.base import DeveloperKey, Store

FULL: Final = "full"
READ_ONLY: Final = "read-only"
ALL_POOLS: Final = "all"
NEVER: Final = "never"
_CHANGE: Final = "Change"
_DELETE: Final = "Delete"
_COLUMNS: Final = (
    Column("ACCESS KEY ID"),
    Column("NAME", flexible=True),
    Column("SCOPE"),
    Column("IDENTITY POOL", flexible=True),
    Column("CREATED"),
    Column("LAST USED"),
    Column("EXPIRES"),
)


def main(argv: list[str]) -> int:
    """Run `millpond key`."""
    commands = {
        "create": _create,
        "list": _list,
        "change": _change,
        "delete": _delete,
    }
    return run(make_parser(), argv, commands)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="millpond key",
        description="Make, list, change and delete developer keys. A running server "
        "honours a new key at once, and a deleted or narrowed one for a second at "
        "most.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    create = commands.add_parser("create", help="make a key and print it, once")
    create.add_argument("--name", default="", help="what the key is for")
    _add_bounds(create, pool=ALL_POOLS, scope=FULL, expires=NEVER)
    listing = commands.add_parser("list", help="list the keys, without their secrets")
    change = commands.add_parser(
        "change", help="change what a key is for; its secret stays"
    )
    change.add_argument("--name", help="what the key is for")
    _add_bounds(change, pool=None, scope=None, expires=None)
    delete = commands.add_parser("delete", help="delete a key")
    for each in (change, delete):
        each.add_argument(
            "access_key_id", metavar="ACCESS_KEY_ID", help="its access key id"
        )
        each.add_argument(
            "--yes", action="store_true", help="do it without asking, even to the last"
        )
    add_store_options(create, listing, change, delete)
    return parser


def _add_bounds(
    parser: argparse.ArgumentParser,
    *,
    pool: str | None,
    scope: str | None,
    expires: str | None,
) -> None:
    """Add the options that say what a key may do, and until when."""
    shown = "" if scope is None else f" [{scope}]"
    parser.add_argument(
        "--scope",
        choices=(FULL, READ_ONLY),
        default=scope,
        help=f"what it may do: everything, or nothing that changes anything{shown}",
    )
    shown = "" if pool is None else f" [{ALL_POOLS}]"
    parser.add_argument(
        "--pool",
        "--identity-pool-id",
        dest="pool",
        metavar="ID",
        default=pool,
        help="the one identity pool that it is for; the beginning of its id will do; "
        f"'{ALL_POOLS}': every pool, and what is of none{shown}",
    )
    shown = "" if expires is None else f" [{expires}]"
    parser.add_argument(
        "--expires",
        metavar="WHEN",
        default=expires,
        help="when it ends: a time span such as 90d, 12h or 30m, a date (the end of "
        f"that day, UTC), a time in ISO 8601, or '{NEVER}'{shown}",
    )


async def _create(settings: Settings, options: argparse.Namespace) -> int:
    import secrets

    from millpond.server import sealers, stores
    from millpond.service.context import system_now_ms
    from millpond.service.developer_keys import create_developer_key

    check_place(settings, options)
    expires_ms = _end(options.expires)
    async with stores.open_existing(settings, seals=True) as store:
        pool = await _pool(store, settings, options.pool)
        key = await create_developer_key(
            store,
            sealers.make_sealer(settings),
            name=options.name,
            now_ms=system_now_ms(),
            random_bytes=secrets.token_bytes,
            read_only=options.scope == READ_ONLY,
            identity_pool_id=pool,
            expires_ms=expires_ms,
        )
        await note_change(
            store,
            "CreateDeveloperKey",
            identity_pool_id=pool or "",
            target=key.access_key_id,
        )
    shown = {
        "AccessKeyId": key.access_key_id,
        "SecretAccessKey": key.secret_access_key,
    }
    lines = [f"{name}: {value}" for name, value in shown.items()]
    show(options, shown, [*lines, _who_honours(settings)])
    return 0


def _end(text: str | None) -> int | None:
    """
    Read when a key ends; None: never, or as it is.

    Raises:
        CommandError: it cannot be read, or is over.
    """
    from millpond.service.context import system_now_ms

    if text is None or text == NEVER:
        return None
    now_ms = system_now_ms()
    end_ms = moments.read_end(text, now_ms=now_ms)
    if end_ms is None:
        raise CommandError(
            f"--expires {text!r} is neither a time span (90d, 12h, 30m), nor a date or "
            f"a time (2031-12-31, 2031-12-31T18:00:00Z), nor '{NEVER}'."
        )
    if end_ms <= now_ms:
        raise CommandError(f"--expires {text!r} is over already.")
    return end_ms


async def _pool(store: Store, settings: Settings, text: str) -> str | None:
    """
    Find the pool that a key is to be for; None: all of them.

    Raises:
        CommandError: nothing is named, as by a variable that is not set.
        NotFoundError, AmbiguousError: no pool is, or several may be.
    """
    from millpond.cli.identity_choice import named_pool

    if text == ALL_POOLS:
        return None
    if not text.strip():
        raise CommandError(
            f"--pool is empty; name a pool, or say '{ALL_POOLS}' for every one."
        )
    return await named_pool(store, settings, text)


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
    if options.output == "json":
        show(options, {"Keys": [_document(each) for each in keys]}, [])
        return 0
    print_table(
        _COLUMNS,
        [
            (
                each.access_key_id,
                each.name,
                scope_name(each),
                each.identity_pool_id or ALL_POOLS,
                Time(each.creation_date_ms),
                Time(each.last_used_ms),
                NEVER if each.expires_ms is None else Time(each.expires_ms),
            )
            for each in keys
        ],
    )
    return 0


def scope_name(key: DeveloperKey) -> str:
    """Name what a key may do, as the option does."""
    return READ_ONLY if key.read_only else FULL


def _document(key: DeveloperKey) -> dict[str, Any]:
    return {
        "AccessKeyId": key.access_key_id,
        "Name": key.name,
        "Scope": scope_name(key),
        "IdentityPoolId": key.identity_pool_id,
        "CreationDate": date(key.creation_date_ms),
        "LastUsedDate": date(key.last_used_ms),
        "ExpirationDate": date(key.expires_ms),
    }


async def _change(settings: Settings, options: argparse.Namespace) -> int:
    import msgspec

    from millpond.server import stores

    check_place(settings, options)
    given: dict[str, Any] = {}
    if options.name is not None:
        given["name"] = options.name
    if options.scope is not None:
        given["read_only"] = options.scope == READ_ONLY
    if options.expires is not None:
        given["expires_ms"] = _end(options.expires)
    if not given and options.pool is None:
        raise CommandError("say what to change: --name, --scope, --pool or --expires.")
    async with stores.open_existing(settings) as store:
        if options.pool is not None:
            given["identity_pool_id"] = await _pool(store, settings, options.pool)
        await _keep_the_last(
            store,
            options,
            _CHANGE,
            narrows=bool(given.get("read_only") or given.get("identity_pool_id")),
            ends_ms=given.get("expires_ms"),
        )
        changed = await store.update_developer_key(
            options.access_key_id,
            lambda key: msgspec.structs.replace(key, **given),
        )
        if changed is None:
            raise CommandError(f"there is no key '{plain(options.access_key_id)}'.")
        await note_change(
            store,
            "UpdateDeveloperKey",
            identity_pool_id=changed.identity_pool_id or "",
            target=changed.access_key_id,
        )
    show(options, _document(changed), [f"Changed {changed.access_key_id}."])
    return 0


async def _delete(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores

    check_place(settings, options)
    async with stores.open_existing(settings) as store:
        await _keep_the_last(store, options, _DELETE)
        if not await store.delete_developer_key(options.access_key_id):
            raise CommandError(f"there is no key '{plain(options.access_key_id)}'.")
        await note_change(store, "DeleteDeveloperKey", target=options.access_key_id)
    show(
        options,
        {"AccessKeyId": options.access_key_id},
        [f"Deleted {options.access_key_id}."],
    )
    return 0


async def _keep_the_last(
    store: Store,
    options: argparse.Namespace,
    verb: str,
    *,
    narrows: bool = False,
    ends_ms: int | None = None,
) -> None:
    """
    Ask whether the last key is to go, or to do less: who could administer the server?

    Args:
        verb: what is about to be done to it, for the question.
        narrows: it is to do less.
        ends_ms: when it is to end; None: that stays as it is.
    Raises:
        CommandError: the answer is no, or there is nobody to ask.
    """
    from millpond.service.context import system_now_ms
    from millpond.service.developer_keys import (
        ends_sooner,
        is_last_full,
        is_last_good,
    )

    keys = await store.list_developer_keys()
    key_id, now_ms = options.access_key_id, system_now_ms()
    ends = verb == _DELETE or any(
        each.access_key_id == key_id and ends_sooner(each.expires_ms, ends_ms)
        for each in keys
    )
    if (ends or narrows) and is_last_full(keys, key_id, now_ms):
        rights = " that may do everything"
    elif ends and is_last_good(keys, key_id, now_ms):
        rights = ""
    else:
        return
    if options.yes:
        return
    what = (
        f"'{key_id}' is the last key: without it nobody can call the server with "
        f"developer credentials{rights}"
    )
    if not confirming.can_be_asked():
        raise CommandError(f"{what}. Make another one first, or say --yes.")
    answer = confirming.ask(f"{what}. {verb} it? [y/N] ")
    if answer.strip().lower() not in ("y", "yes"):
        raise CommandError("nothing was done.")
