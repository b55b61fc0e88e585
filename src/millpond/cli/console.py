"""`millpond console`: print a link that logs in to the console, once."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from millpond.cli.administration import (
    CommandError,
    add_store_options,
    check_place,
    iso,
    run,
    show,
)
from millpond.cli.serve import add_server_options
from millpond.settings import Settings

if TYPE_CHECKING:
    from millpond.stores.base import DeveloperKey, Store


def main(argv: list[str]) -> int:
    """Run `millpond console`."""
    # There is one thing to do; the other commands choose by a word.
    return run(make_parser(), argv, {"print": _print})


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="millpond console",
        description="Print a link that logs in to the console of the server of this "
        "store. It is good once, for ten minutes. It takes the store and the secret "
        "key that the server has.",
        allow_abbrev=False,
    )
    parser.set_defaults(command="print")
    parser.add_argument(
        "--access-key-id",
        metavar="ID",
        help="log in with this developer key [the oldest that may most]",
    )
    parser.add_argument(
        "--url",
        help="where you reach the server [where it says it answers, or public_url]",
    )
    add_server_options(parser)
    add_store_options(parser)
    return parser


async def _print(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.console import links
    from millpond.server import stores
    from millpond.server.console import OFF, console_key
    from millpond.service.context import system_now_ms

    check_place(settings, options)
    if settings.console == OFF:
        raise CommandError("the setting 'console' is off.")
    url = _url(settings, options)
    async with stores.open_existing(settings, seals=True) as store:
        now_ms = system_now_ms()
        key = await _choose(store, options.access_key_id, now_ms)
        url = links.make(
            console_key(settings, make=False),
            access_key_id=key.access_key_id,
            url=url,
            now_ms=now_ms,
        )
    shown = {
        "Url": url,
        "AccessKeyId": key.access_key_id,
        "Expires": iso(now_ms + links.LIFETIME_S * 1000),
    }
    show(options, shown, [url])
    return 0


def _url(settings: Settings, options: argparse.Namespace) -> str:
    """Say where the server is reached."""
    from millpond.server import lock
    from millpond.server.listening import endpoint_of
    from millpond.settings.checks import is_http_url

    if options.url:
        if not is_http_url(options.url):
            raise CommandError("--url must be an http or https URL with a host.")
        return str(options.url)
    if settings.public_url:
        return settings.public_url
    if not settings.store:
        holder = lock.find_holder(settings.data)
        if holder is not None and holder.is_held and holder.endpoint:
            return holder.endpoint
    return endpoint_of(settings)


async def _choose(store: Store, access_key_id: str | None, now_ms: int) -> DeveloperKey:
    """Find the key that was named, or the one to take where none was."""
    from millpond.server.console import choose_key, is_over

    keys = await store.list_developer_keys()
    if access_key_id is not None:
        for key in keys:
            if key.access_key_id != access_key_id:
                continue
            if is_over(key, now_ms):
                raise CommandError(f"the key '{access_key_id}' has come to its end.")
            return key
        raise CommandError(f"there is no key '{access_key_id}'.")
    chosen = choose_key(keys, now_ms=now_ms)
    if chosen is None:
        raise CommandError(
            "there is no developer key to log in with; 'millpond key create' makes one."
        )
    return chosen
