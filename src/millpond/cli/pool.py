"""`millpond pool list|show|adopt`: identity pools."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from millpond.cli import paging
from millpond.cli.administration import (
    CommandError,
    add_store_options,
    check_place,
    note_change,
    run,
    show,
)
from millpond.cli.tables import (
    Cell,
    Column,
    Size,
    Time,
    date,
    print_details,
    print_table,
)
from millpond.settings import Settings

if TYPE_CHECKING:
    from millpond.core.identity_pools import IdentityPool
    from millpond.service.looking.pools import PoolDetails, PoolLook

_COLUMNS = (
    Column("IDENTITY POOL"),
    Column("NAME", flexible=True),
    Column("GUESTS"),
    Column("STREAM", flexible=True),
    Column("DATA"),
    Column("LAST CHANGE"),
)


def main(argv: list[str]) -> int:
    """Run `millpond pool`."""
    commands = {"list": _list, "show": _show, "adopt": _adopt}
    return run(make_parser(), argv, commands)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="millpond pool",
        description="See which identity pools there are and what they hold, or create "
        "one under an id that an app knows already. CreateIdentityPool makes up an id; "
        "an app that moves here from AWS has its own built in.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="list the pools, with what they hold")
    paging.add_options(listing)
    showing = commands.add_parser("show", help="show all of a pool")
    showing.add_argument(
        "identity_pool_id",
        metavar="IDENTITY_POOL_ID",
        help="its id; the beginning will do",
    )
    adopt = commands.add_parser("adopt", help="create a pool under its id at AWS")
    adopt.add_argument(
        "identity_pool_id", metavar="IDENTITY_POOL_ID", help="the id that it has at AWS"
    )
    adopt.add_argument("--name", required=True, help="its name, for people")
    adopt.add_argument(
        "--allow-unauthenticated-identities",
        action="store_true",
        help="give identities to users who do not sign in",
    )
    add_store_options(listing, showing, adopt)
    return parser


async def _list(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores
    from millpond.service.looking.pools import list_pools

    after = paging.start(options, str)
    async with stores.open_existing(settings) as store:
        page = await list_pools(store, after=after, limit=options.max_items)
    token = paging.token_of(page.next_position)
    if options.output == "json":
        pools = [_summary(each) for each in page.items]
        show(options, {"IdentityPools": pools, "NextToken": token}, [])
        return 0
    print_table(_COLUMNS, [_row(each) for each in page.items])
    paging.tell_more(token)
    return 0


def _summary(look: PoolLook | PoolDetails) -> dict[str, Any]:
    stream = look.pool.stream
    return {
        "IdentityPoolId": look.pool.identity_pool_id,
        "IdentityPoolName": look.pool.identity_pool_name,
        "AllowUnauthenticatedIdentities": look.pool.allow_unauthenticated_identities,
        "StreamName": None if stream is None else stream.stream_name,
        "StreamingStatus": None if stream is None else stream.streaming_status,
        "DataStorage": look.usage.data_storage,
        "SyncSessionsCount": look.usage.sync_sessions_count,
        "LastModifiedDate": date(look.usage.last_modified_date_ms),
    }


def _row(look: PoolLook) -> tuple[Cell, ...]:
    return (
        look.pool.identity_pool_id,
        look.pool.identity_pool_name,
        look.pool.allow_unauthenticated_identities,
        _stream_of(look.pool),
        Size(look.usage.data_storage),
        Time(look.usage.last_modified_date_ms),
    )


def _stream_of(pool: IdentityPool) -> str | None:
    """Say where the changes of a pool go."""
    if pool.stream is None or pool.stream.stream_name is None:
        return None
    return f"{pool.stream.stream_name} {pool.stream.streaming_status or 'DISABLED'}"


async def _show(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores
    from millpond.service.looking.pools import describe_pool, resolve_pool

    async with stores.open_existing(settings) as store:
        pool = await resolve_pool(
            store, options.identity_pool_id, region=settings.region
        )
        details = await describe_pool(store, pool)
    if options.output == "json":
        show(options, _document(details), [])
    else:
        print_details(_pairs(details))
    return 0


def _document(details: PoolDetails) -> dict[str, Any]:
    pool, run_ = details.pool, details.run
    push, stream = pool.push, pool.stream
    return {
        **_summary(details),
        "AllowClassicFlow": bool(pool.allow_classic_flow),
        "DeveloperProviderName": pool.developer_provider_name,
        "LoginProviders": sorted(pool.login_providers),
        "Roles": pool.roles or {},
        "IdentityPoolTags": pool.identity_pool_tags or {},
        "PushApplicationArns": (push.application_arns if push else None) or [],
        "SyncTrigger": pool.sync_trigger,
        "DisabledReason": None if stream is None else stream.disabled_reason,
        "Outbox": {
            "Entries": details.outbox.entries,
            "OldestDate": date(details.outbox.oldest_ms),
            "Parked": details.outbox.parked,
        },
        "BulkPublish": {
            "Status": run_.status.value,
            "StartDate": date(run_.start_time_ms),
            "CompleteDate": date(run_.complete_time_ms),
            "FailureMessage": run_.failure_message,
        },
    }


def _pairs(details: PoolDetails) -> list[tuple[str, Cell]]:
    pool, run_, outbox = details.pool, details.run, details.outbox
    pairs: list[tuple[str, Cell]] = [
        ("Identity pool", pool.identity_pool_id),
        ("Name", pool.identity_pool_name),
        ("Guests", pool.allow_unauthenticated_identities),
        ("Login providers", ", ".join(sorted(pool.login_providers))),
        ("Developer provider", pool.developer_provider_name),
        *((f"Role, {name}", arn) for name, arn in sorted((pool.roles or {}).items())),
        *(
            (f"Tag {name}", value)
            for name, value in sorted((pool.identity_pool_tags or {}).items())
        ),
        ("Sync trigger", pool.sync_trigger),
        *(("Push", arn) for arn in (pool.push and pool.push.application_arns) or ()),
        ("Stream", _stream_of(pool)),
    ]
    if pool.stream is not None and pool.stream.disabled_reason:
        pairs += [
            ("Disabled", pool.stream.disabled_reason),
            ("Disabled since", Time(pool.stream.disabled_date_ms)),
        ]
    pairs += [
        ("Waiting for it", outbox.entries),
        ("Oldest of these", Time(outbox.oldest_ms)),
        ("Parked", outbox.parked),
        ("Last bulk publish", run_.status.value),
        ("Begun", Time(run_.start_time_ms)),
        ("Ended", Time(run_.complete_time_ms)),
        ("Data", Size(details.usage.data_storage)),
        ("Sync sessions", details.usage.sync_sessions_count),
        ("Last change", Time(details.usage.last_modified_date_ms)),
    ]
    return pairs


async def _adopt(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores
    from millpond.service.identity_pools import adopt_identity_pool

    check_place(settings, options)
    async with stores.open_existing(settings) as store:
        refusal = await adopt_identity_pool(
            store,
            options.identity_pool_id,
            name=options.name,
            allow_guests=options.allow_unauthenticated_identities,
            pools_max=settings.identity_pools_max,
        )
        if refusal is not None:
            raise CommandError(refusal)
        pool_id = options.identity_pool_id
        await note_change(store, "AdoptIdentityPool", identity_pool_id=pool_id)
    show(
        options,
        {"IdentityPoolId": options.identity_pool_id},
        [f"Created identity pool {options.identity_pool_id}."],
    )
    _warn_of_region(settings, options.identity_pool_id.partition(":")[0])
    return 0


def _warn_of_region(settings: Settings, region: str) -> None:
    """Tell whoever adopts a pool of another region what apps would run into."""
    if region == settings.region:
        return
    refused = instead = ""
    if settings.regions is not None and region not in settings.regions:
        refused = f"calls that are signed for {region} are refused, and "
        accepted = json.dumps([*settings.accepted_regions, region])
        instead = (
            "; or, where its region has to stay, "
            f"accepted_regions = {accepted} for the signatures"
        )
    print(
        f"millpond pool: warning: the pool is of {region}, and the region of these "
        f"settings is {settings.region}: {refused}new identities get ids of "
        f'{settings.region}. Set region = "{region}" for the server '
        f"(MILLPOND_REGION={region}){instead}.",
        file=sys.stderr,
    )
