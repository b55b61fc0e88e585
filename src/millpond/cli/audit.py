"""`millpond audit list`: who changed what, when and from where."""

from __future__ import annotations

import argparse
import sys
import textwrap
from typing import TYPE_CHECKING, Any, Final

import msgspec

from millpond.cli import paging
from millpond.cli.administration import CommandError, add_store_options, run, show
from millpond.cli.tables import Cell, Column, Time, date, print_table
from millpond.core import moments
from millpond.settings import Settings

if TYPE_CHECKING:
    from millpond.stores.base import AuditEntry, AuditFilter, Store

_COLUMNS: Final = (
    Column("TIME"),
    Column("WHO", flexible=True),
    Column("FROM", flexible=True),
    Column("OPERATION"),
    Column("ON", flexible=True),
    Column("TIMES"),
    Column("RESULT"),
)


def main(argv: list[str]) -> int:
    """Run `millpond audit`."""
    return run(make_parser(), argv, {"list": _list})


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="millpond audit",
        description="See what was changed with developer keys, in the console and by "
        "commands beside the server.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser(
        "list",
        help="list the changes, the newest first",
        description=textwrap.dedent(
            """\
            List the changes, the newest first. Record writes and sign-ins by developer
            keys are merged: TIMES says for how many changes a line stands."""
        ),
    )
    listing.add_argument(
        "--pool",
        "--identity-pool-id",
        dest="pool",
        metavar="ID",
        help="of this identity pool alone, which need not exist any more",
    )
    listing.add_argument("--identity-id", metavar="ID", help="of this identity alone")
    listing.add_argument("--key", metavar="ACCESS_KEY_ID", help="by this key alone")
    listing.add_argument(
        "--operation", metavar="NAME", help="of this operation, such as UpdateRecords"
    )
    listing.add_argument(
        "--since",
        metavar="WHEN",
        help="from then on: a time span before now such as 2d, a date or a time (UTC)",
    )
    listing.add_argument("--until", metavar="WHEN", help="before then")
    paging.add_options(listing)
    add_store_options(listing)
    return parser


async def _list(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores
    from millpond.service.looking.audit import list_audit

    since_ms = _moment("--since", options.since)
    until_ms = _moment("--until", options.until)
    before, limit = paging.start(options, str), options.max_items
    note = ""
    async with stores.open_existing(settings) as store:
        wanted = msgspec.structs.replace(
            await _wanted(store, settings, options),
            since_ms=since_ms,
            until_ms=until_ms,
        )
        page = await list_audit(store, wanted, before=before, limit=limit)
        if not page.items and before is None:
            note = f"There is no such entry.{await _near(store, wanted)}"
    token = paging.token_of(page.next_position)
    if options.output == "json":
        entries = [_document(each) for each in page.items]
        show(options, {"Entries": entries, "NextToken": token}, [])
        return 0
    print_table(_COLUMNS, [_row(each) for each in page.items])
    if note:
        print(note, file=sys.stderr)
    paging.tell_more(token)
    return 0


async def _wanted(
    store: Store, settings: Settings, options: argparse.Namespace
) -> AuditFilter:
    """Say which entries are meant, whenever they were made."""
    from millpond.cli.identity_choice import meant_identity, meant_pool
    from millpond.stores.base import AuditFilter

    pool, identity, key = options.pool, options.identity_id, options.key
    if pool is not None:
        pool = await meant_pool(store, settings, pool)
    if identity is not None:
        identity = await meant_identity(store, settings, pool, identity)
    if key is not None:
        key = await _meant_key(store, key)
    return AuditFilter(
        identity_pool_id=pool,
        identity_id=identity,
        access_key_id=key,
        operation=options.operation,
    )


async def _meant_key(store: Store, text: str) -> str:
    """
    Find the key that is meant, by its id or the beginning of it; it may be gone.

    Raises:
        AmbiguousError: several may be.
    """
    from millpond.service.looking import ids

    whole = text.strip().upper()
    known = [each.access_key_id for each in await store.list_developer_keys()]
    if text in known or not whole:
        return text
    found = sorted(each for each in known if each.upper().startswith(whole))
    return ids.the_one("key", text, found[: ids.SHOWN_MAX + 1]) if found else whole


async def _near(store: Store, wanted: AuditFilter) -> str:
    """Ask whether another operation is meant, one of which there are entries."""
    from millpond import nearness
    from millpond.service.looking.audit import list_audit

    if wanted.operation is None:
        return ""
    others = msgspec.structs.replace(wanted, operation=None)
    page = await list_audit(store, others, before=None, limit=paging.ITEMS_MAX)
    known = {each.operation for each in page.items}
    return nearness.ask(wanted.operation, sorted(known))


def _moment(option: str, text: str | None) -> int | None:
    """
    Read a bound of the time.

    Raises:
        CommandError: it cannot be read.
    """
    from millpond.service.context import system_now_ms

    if text is None:
        return None
    time_ms = moments.read_since(text, now_ms=system_now_ms())
    if time_ms is None:
        raise CommandError(
            f"{option} {text!r} is neither a time span (2d, 12h, 30m) nor a date or a "
            "time (2031-12-31, 2031-12-31T18:00:00Z)."
        )
    return time_ms


def _row(entry: AuditEntry) -> tuple[Cell, ...]:
    if entry.access_key_id:
        who = " ".join(filter(None, (entry.access_key_id, entry.caller_name)))
    else:
        who = entry.caller_name
    on = (
        entry.identity_pool_id if not entry.identity_id else "",
        entry.identity_id,
        entry.dataset_name,
        entry.target,
    )
    return (
        Time(entry.last_ms),
        who,
        " ".join(filter(None, (entry.origin, entry.address))),
        entry.operation,
        " ".join(filter(None, on)),
        entry.changes,
        entry.result,
    )


def _document(entry: AuditEntry) -> dict[str, Any]:
    return {
        "EntryId": entry.entry_id,
        "Date": date(entry.time_ms),
        "LastDate": date(entry.last_ms),
        "ChangeCount": entry.changes,
        "Origin": entry.origin,
        "AccessKeyId": entry.access_key_id or None,
        "CallerName": entry.caller_name or None,
        "Operation": entry.operation,
        "IdentityPoolId": entry.identity_pool_id or None,
        "IdentityId": entry.identity_id or None,
        "DatasetName": entry.dataset_name or None,
        "Target": entry.target or None,
        "Address": entry.address or None,
        "UserAgent": entry.user_agent or None,
        "RequestId": entry.request_id or None,
        "Result": entry.result,
    }
