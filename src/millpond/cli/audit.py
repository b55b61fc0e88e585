"""`millpond audit list`: who changed what, when and from where."""

from __future__ import annotations

import argparse
import textwrap
from typing import TYPE_CHECKING, Any, Final

from millpond.cli import paging
from millpond.cli.administration import CommandError, add_store_options, run, show
from millpond.cli.tables import Cell, Column, Time, date, print_table
from millpond.core import moments
from millpond.settings import Settings

if TYPE_CHECKING:
    from millpond.stores.base import AuditEntry

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
    from millpond.stores.base import AuditFilter

    wanted = AuditFilter(
        identity_pool_id=options.pool,
        identity_id=options.identity_id,
        access_key_id=options.key,
        operation=options.operation,
        since_ms=_moment("--since", options.since),
        until_ms=_moment("--until", options.until),
    )
    before, limit = paging.start(options, str), options.max_items
    async with stores.open_existing(settings) as store:
        page = await list_audit(store, wanted, before=before, limit=limit)
    token = paging.token_of(page.next_position)
    if options.output == "json":
        entries = [_document(each) for each in page.items]
        show(options, {"Entries": entries, "NextToken": token}, [])
        return 0
    print_table(_COLUMNS, [_row(each) for each in page.items])
    paging.tell_more(token)
    return 0


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
