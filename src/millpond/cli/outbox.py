"""`millpond outbox list|retry|discard|download`: what waits for streams, or parked."""

from __future__ import annotations

import argparse
import sys

from millpond.cli import paging
from millpond.cli.administration import (
    CommandError,
    add_store_options,
    check_place,
    note_change,
    run,
    show,
)
from millpond.cli.identity_choice import named_pool
from millpond.cli.numbers import any_whole
from millpond.cli.serve import add_settings_options
from millpond.cli.tables import Cell, Column, Size, Time, date, print_table, spell
from millpond.settings import Settings
from millpond.stores.base import OutboxNote, Store

_COLUMNS = (
    Column("IDENTITY POOL"),
    Column("WAITING"),
    Column("SINCE"),
    Column("PARKED"),
)
_PARKED_COLUMNS = (
    Column("OUTBOX ID"),
    Column("IDENTITY", flexible=True),
    Column("SIZE"),
    Column("PARKED"),
    Column("REASON", flexible=True),
)


def main(argv: list[str]) -> int:
    """Run `millpond outbox`."""
    commands = {
        "list": _list,
        "retry": _retry,
        "discard": _discard,
        "drop": _drop,
        "download": _download,
    }
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
    discard = commands.add_parser("discard", help="give parked changes up")
    drop = commands.add_parser("drop", help="what `discard` was called before")
    download = commands.add_parser(
        "download",
        help="write what is parked to standard output, a line of JSON for each change, "
        "values included",
    )
    listing.add_argument(
        "--identity-pool-id",
        metavar="ID",
        help="of this identity pool; the beginning of its id will do [of all]",
    )
    paging.add_options(listing, items=paging.ITEMS_MAX)
    for each in (retry, discard, drop, download):
        each.add_argument(
            "--identity-pool-id", required=True, metavar="ID", help="the identity pool"
        )
    for each in (retry, discard, drop):
        which = each.add_mutually_exclusive_group(required=True)
        which.add_argument(
            "--outbox-id",
            type=any_whole,
            nargs="+",
            metavar="N",
            help="those of these ids",
        )
        which.add_argument("--all", action="store_true", help="all that are parked")
    add_store_options(listing, retry, discard, drop)
    add_settings_options(download)
    return parser


async def _list(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores
    from millpond.service.looking.outbox import list_entries

    if options.identity_pool_id is None:
        return await _list_all(settings, options)
    after, limit = paging.start(options, int) or 0, options.max_items
    async with stores.open_existing(settings) as store:
        pool = await named_pool(store, settings, options.identity_pool_id)
        usage = await store.measure_outbox(pool)
        page = await list_entries(store, pool, parked=True, after=after, limit=limit)
    notes = [each.note for each in page.items]
    token = paging.token_of(page.next_position)
    if options.output == "json":
        document = {
            "Entries": usage.entries,
            "OldestDate": date(usage.oldest_ms),
            "ParkedCount": usage.parked,
            "Parked": [_document(each) for each in notes],
            "NextToken": token,
        }
        show(options, document, [])
        return 0
    since = Time(usage.oldest_ms)
    on_terminal = sys.stdout.isatty()
    oldest = "" if since.ms is None else f", since {spell(since, terminal=on_terminal)}"
    print(f"{usage.entries} waiting{oldest}; {usage.parked} parked")
    print_table(_PARKED_COLUMNS, [_row(each) for each in notes])
    paging.tell_more(token)
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


def _document(parked: OutboxNote) -> dict[str, str | int | None]:
    return {
        "OutboxId": parked.outbox_id,
        "IdentityId": parked.identity_id,
        "Bytes": parked.data_bytes,
        "ParkedDate": date(parked.parked_ms),
        "Reason": parked.reason,
    }


def _row(parked: OutboxNote) -> tuple[Cell, ...]:
    return (
        str(parked.outbox_id),  # to be typed again
        parked.identity_id,
        Size(parked.data_bytes),
        Time(parked.parked_ms),
        parked.reason,
    )


async def _retry(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores
    from millpond.service.outbox import retry_parked

    check_place(settings, options)
    async with stores.open_existing(settings) as store:
        pool = await named_pool(store, settings, options.identity_pool_id)
        count = await retry_parked(store, pool, options.outbox_id)
        await _note(store, "RetryParked", pool, count)
    show(options, {"Returned": count}, [f"{count} wait again."])
    return 0


async def _discard(settings: Settings, options: argparse.Namespace) -> int:
    count = await _give_up(settings, options)
    show(options, {"Discarded": count}, [f"{count} given up."])
    return 0


async def _drop(settings: Settings, options: argparse.Namespace) -> int:
    count = await _give_up(settings, options)
    show(options, {"Dropped": count}, [f"{count} given up."])
    return 0


async def _give_up(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores
    from millpond.service.outbox import discard_parked

    check_place(settings, options)
    async with stores.open_existing(settings) as store:
        pool = await _whole_pool(store, settings, options)
        count = await discard_parked(store, pool, options.outbox_id)
        await _note(store, "DiscardParked", pool, count)
        return count


async def _whole_pool(
    store: Store, settings: Settings, options: argparse.Namespace
) -> str:
    """
    Find the pool; what goes for good is not found by the beginning of an id.

    Raises:
        CommandError: no more is given than that.
    """
    from millpond.service.looking import ids

    given = options.identity_pool_id
    pool = await named_pool(store, settings, given)
    if pool not in (given, ids.typed(given, region=settings.region)):
        raise CommandError(
            f"to give changes up, name their pool by its whole id: {pool}"
        )
    return pool


async def _note(store: Store, operation: str, pool: str, count: int) -> None:
    if count:
        changes = f"{count} parked {'change' if count == 1 else 'changes'}"
        await note_change(store, operation, identity_pool_id=pool, target=changes)


async def _download(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores
    from millpond.service.outbox import download_parked

    async with stores.open_existing(settings) as store:
        pool = await named_pool(store, settings, options.identity_pool_id)
        async for line in download_parked(store, pool):
            sys.stdout.buffer.write(line)
    sys.stdout.flush()
    return 0
