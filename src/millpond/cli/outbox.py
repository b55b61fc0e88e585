"""`millpond outbox list|retry|drop`: changes that wait for a stream, or were parked."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator

from millpond.cli import paging
from millpond.cli.administration import (
    CommandError,
    add_store_options,
    iso,
    run,
    show,
)
from millpond.cli.tables import Column, Time, date, print_table
from millpond.settings import Settings
from millpond.stores.base import ParkedEntry, Store

_COLUMNS = (
    Column("IDENTITY POOL"),
    Column("WAITING"),
    Column("SINCE"),
    Column("PARKED"),
)
PARKED_MAX = 50  # are read at a time; each may have a MiB and more


def main(argv: list[str]) -> int:
    """Run `millpond outbox`."""
    commands = {"list": _list, "retry": _retry, "drop": _drop}
    return run(make_parser(), argv, commands)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="millpond outbox",
        description="Look at the changes of a pool that wait for its stream, and at "
        "those that were parked because the stream refused them for good.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser(
        "list", help="count what waits, of each pool; list what is parked, of one"
    )
    retry = commands.add_parser("retry", help="let parked changes wait again")
    drop = commands.add_parser("drop", help="give parked changes up")
    listing.add_argument(
        "--identity-pool-id", metavar="ID", help="of this identity pool [of all]"
    )
    paging.add_options(listing, items=paging.ITEMS_MAX)
    for each in (retry, drop):
        each.add_argument(
            "--identity-pool-id", required=True, metavar="ID", help="the identity pool"
        )
    for each in (retry, drop):
        which = each.add_mutually_exclusive_group(required=True)
        which.add_argument(
            "--outbox-id", type=int, nargs="+", metavar="N", help="those of these ids"
        )
        which.add_argument("--all", action="store_true", help="all that are parked")
    add_store_options(listing, retry, drop)
    return parser


async def _list(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores

    pool = options.identity_pool_id
    if pool is None:
        return await _list_all(settings, options)
    async with stores.open_existing(settings) as store:
        await _check_pool(store, pool)
        usage = await store.measure_outbox(pool)
        rows = [_row(each) async for each in _parked(store, pool)]
    oldest = None if usage.oldest_ms is None else iso(usage.oldest_ms)
    document = {"Entries": usage.entries, "OldestDate": oldest, "Parked": rows}
    waiting = f"{usage.entries} waiting" + (f", since {oldest}" if oldest else "")
    lines = [f"{waiting}; {usage.parked} parked"]
    lines += ["\t".join(map(str, row.values())) for row in rows]
    show(options, document, lines)
    return 0


async def _list_all(settings: Settings, options: argparse.Namespace) -> int:
    """List the pools of which anything waits or is parked."""
    from millpond.server import stores
    from millpond.service.looking.pages import cut

    after, limit = paging.start(options, str), options.max_items
    async with stores.open_existing(settings) as store:
        found = await store.list_outbox_usage(after=after, limit=limit + 1)
    page = cut(found, limit, lambda each: each.identity_pool_id)
    token = paging.token_of(page.next_position)
    if options.output == "json":
        pools = [
            {
                "IdentityPoolId": each.identity_pool_id,
                "Entries": each.usage.entries,
                "OldestDate": date(each.usage.oldest_ms),
                "ParkedCount": each.usage.parked,
            }
            for each in page.items
        ]
        show(options, {"IdentityPools": pools, "NextToken": token}, [])
        return 0
    rows = [
        (
            each.identity_pool_id,
            each.usage.entries,
            Time(each.usage.oldest_ms),
            each.usage.parked,
        )
        for each in page.items
    ]
    print_table(_COLUMNS, rows)
    paging.tell_more(token)
    return 0


def _row(parked: ParkedEntry) -> dict[str, str | int]:
    return {
        "OutboxId": parked.entry.outbox_id,
        "IdentityId": parked.entry.identity_id,
        "Bytes": len(parked.entry.data),
        "ParkedDate": iso(parked.parked_ms),
        "Reason": parked.reason,
    }


async def _retry(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores

    pool = options.identity_pool_id
    async with stores.open_existing(settings) as store:
        chosen = await _chosen(store, options)
        count = await store.return_parked_outbox(pool, chosen)
    show(options, {"Returned": count}, [f"{count} wait again."])
    return 0


async def _drop(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores

    pool = options.identity_pool_id
    async with stores.open_existing(settings) as store:
        chosen = await _chosen(store, options)
        count = await store.delete_parked_outbox(pool, chosen)
    show(options, {"Dropped": count}, [f"{count} given up."])
    return 0


async def _chosen(store: Store, options: argparse.Namespace) -> list[int]:
    """
    Say which parked entries are meant.

    Raises:
        CommandError: there is no such pool, or one of them is not parked.
    """
    pool = options.identity_pool_id
    await _check_pool(store, pool)
    parked = {each.entry.outbox_id async for each in _parked(store, pool)}
    if options.all:
        return sorted(parked)
    for outbox_id in options.outbox_id:
        if outbox_id not in parked:
            raise CommandError(f"{outbox_id} is not parked.")
    return sorted(options.outbox_id)


async def _parked(store: Store, pool: str) -> AsyncIterator[ParkedEntry]:
    """Give what is parked, a little at a time: together it may be large."""
    after = 0
    while page := await store.list_parked_outbox(pool, after=after, limit=PARKED_MAX):
        for each in page:
            yield each
        after = page[-1].entry.outbox_id


async def _check_pool(store: Store, pool: str) -> None:
    if await store.find_identity_pool(pool) is None:
        raise CommandError(f"there is no identity pool '{pool}'.")
