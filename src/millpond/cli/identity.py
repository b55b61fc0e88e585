"""`millpond identity find|show|export|delete`: who there is, and what they hold."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from millpond.cli import confirming, paging
from millpond.cli.administration import (
    CommandError,
    add_pool_option,
    add_store_options,
    run,
    show,
)
from millpond.cli.dataset_tables import dataset_document, dataset_row, print_datasets
from millpond.cli.identity_choice import chosen_identity, chosen_pool
from millpond.cli.identity_erasure import delete, export
from millpond.cli.serve import add_settings_options
from millpond.cli.tables import (
    Cell,
    Column,
    Size,
    Time,
    date,
    print_details,
    print_table,
)
from millpond.core.push import token_end
from millpond.settings import Settings

if TYPE_CHECKING:
    from millpond.core.identities import Identity
    from millpond.service.looking.identities import IdentityDetails
    from millpond.service.looking.pages import Page
    from millpond.stores.base import RegisteredDevice, Store

_COLUMNS = (
    Column("IDENTITY"),
    Column("KIND"),
    Column("LOGINS", flexible=True),
    Column("CREATED"),
    Column("LAST CHANGE"),
)
_DEVICE_COLUMNS = (
    Column("DEVICE"),
    Column("PLATFORM"),
    Column("TOKEN"),
    Column("REGISTERED"),
    Column("STATE"),
    Column("LAST PUSH"),
    Column("SUBSCRIPTIONS", flexible=True),
    Column("PUSH ERROR", flexible=True),
)
_SHOWN_MAX = 100  # datasets, and devices, of one identity


def main(argv: list[str]) -> int:
    """Run `millpond identity`."""
    commands = {"find": _find, "show": _show, "export": export, "delete": delete}
    return run(make_parser(), argv, commands)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="millpond identity",
        description="Find identities, see what they hold, hand it out, or delete it. "
        "An id may be given by its beginning, with or without its region.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    find = commands.add_parser(
        "find", help="find identities by id, login or developer user id"
    )
    _add_find_options(find)
    showing = commands.add_parser(
        "show", help="show logins, datasets and devices of an identity"
    )
    showing.add_argument(
        "identity_id", metavar="IDENTITY_ID", help="its id; the beginning will do"
    )
    exporting = commands.add_parser(
        "export", help="print everything that is kept of an identity, as JSON"
    )
    exporting.add_argument(
        "identity_id", metavar="IDENTITY_ID", help="its id; the beginning will do"
    )
    deleting = commands.add_parser(
        "delete", help="delete an identity with its data, logins and devices"
    )
    deleting.add_argument("identity_id", metavar="IDENTITY_ID", help="its id, whole")
    confirming.add_yes_option(deleting)
    add_pool_option(find, showing, exporting)
    add_store_options(find, showing, deleting)
    add_settings_options(exporting)
    return parser


def _add_find_options(find: argparse.ArgumentParser) -> None:
    find.add_argument(
        "beginning",
        metavar="BEGINNING",
        nargs="?",
        default="",
        help="of the id; without it all are listed",
    )
    how = find.add_mutually_exclusive_group()
    how.add_argument(
        "--login",
        metavar="SUBJECT",
        help="whose login this is: what the provider calls the user",
    )
    how.add_argument(
        "--developer-user-id", metavar="ID", help="whom your own backend calls so"
    )
    for name, about in (
        ("users", "only those who have, or had, a login"),
        ("guests", "only guests"),
        ("merged", "only those that were merged into others, and are disabled"),
    ):
        how.add_argument(
            f"--{name}",
            dest="kind",
            action="store_const",
            const=name,
            help=f"{about}; of one pool",
        )
    find.add_argument(
        "--provider", metavar="NAME", help="the login provider of --login [any]"
    )
    paging.add_options(find)


async def _find(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores

    _check_find(options)
    async with stores.open_existing(settings) as store:
        pool = await chosen_pool(store, settings, options)
        found, token = await _found(store, settings, options, pool)
    if options.output == "json":
        documents = [_document(each) for each in found]
        show(options, {"Identities": documents, "NextToken": token}, [])
        return 0
    print_table(_COLUMNS, [_row(each) for each in found])
    paging.tell_more(token)
    return 0


def _check_find(options: argparse.Namespace) -> None:
    """Refuse options that do not go together; nobody should search for too much."""
    exact = options.login is not None or options.developer_user_id is not None
    if exact and options.beginning:
        raise CommandError("name the beginning of an id or a login, not both.")
    if options.provider is not None and options.login is None:
        raise CommandError("--provider goes with --login.")


async def _found(
    store: Store, settings: Settings, options: argparse.Namespace, pool: str | None
) -> tuple[Sequence[Identity], str | None]:
    from millpond.service.looking.searching import (
        KINDS,
        IdentitySearch,
        SearchBy,
        search,
    )

    asked = IdentitySearch(
        identity_pool_id=pool, text=options.beginning, kind=KINDS.get(options.kind)
    )
    if options.login is not None:
        asked = IdentitySearch(
            identity_pool_id=pool,
            by=SearchBy.LOGIN,
            text=options.login,
            provider_name=options.provider,
        )
    elif options.developer_user_id is not None:
        asked = IdentitySearch(
            identity_pool_id=pool,
            by=SearchBy.DEVELOPER_USER,
            text=options.developer_user_id,
        )
    elif asked.kind is not None and pool is None:
        await _check_only_pool(store, options.kind)
    page = await search(
        store,
        asked,
        region=settings.region,
        after=paging.start(options, str),
        limit=options.max_items,
    )
    return page.items, paging.token_of(page.next_position)


async def _check_only_pool(store: Store, kind: str) -> None:
    from millpond.service.looking.pools import the_only_pool

    if await the_only_pool(store) is None:
        raise CommandError(
            f"--{kind} lists those of one identity pool; name it with "
            "--identity-pool-id (`millpond pool list` shows them)."
        )


def _document(identity: Identity) -> dict[str, Any]:
    return {
        "IdentityPoolId": identity.identity_pool_id,
        "IdentityId": identity.identity_id,
        "Kind": identity.kind.name,
        "MergedInto": identity.merged_into,
        "Logins": [
            {"ProviderName": each.provider_name, "Subject": each.subject}
            for each in identity.logins
        ],
        "CreationDate": date(identity.creation_date_ms),
        "LastModifiedDate": date(identity.last_modified_date_ms),
    }


def _row(identity: Identity) -> tuple[Cell, ...]:
    return (
        identity.identity_id,
        identity.kind.name.lower(),
        identity.merged_into or _logins(identity),
        Time(identity.creation_date_ms),
        Time(identity.last_modified_date_ms),
    )


def _logins(identity: Identity) -> str:
    return ", ".join(f"{e.provider_name}: {e.subject}" for e in identity.logins)


async def _show(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import stores
    from millpond.service.looking.identities import describe_identity

    async with stores.open_existing(settings) as store:
        place = await chosen_identity(store, settings, options)
        details = await describe_identity(store, place, limit=_SHOWN_MAX)
    if options.output == "json":
        show(options, _details_document(details, settings), [])
        return 0
    print_details(_pairs(details, settings))
    if details.datasets.items:
        print()
    print_datasets([dataset_row(each, settings) for each in details.datasets.items])
    if details.datasets.next_position is not None:
        print("and more datasets (`millpond dataset list`)")
    _print_devices(details.devices)
    return 0


def _details_document(details: IdentityDetails, settings: Settings) -> dict[str, Any]:
    place, usage, last = details.place, details.usage, details.last_change
    known: dict[str, Any] = (
        {
            "IdentityPoolId": place.identity_pool_id,
            "IdentityId": place.identity_id,
            "Kind": None,
        }
        if details.identity is None
        else _document(details.identity)
    )
    return {
        **known,
        "MergedIdentityIds": [each.identity_id for each in details.merged.items],
        "DatasetCount": 0 if usage is None else usage.dataset_count,
        "DataStorage": 0 if usage is None else usage.data_storage,
        "LastChange": last
        and {
            "DatasetName": last.dataset_name,
            "LastModifiedDate": date(last.state.last_modified_date_ms),
            "LastModifiedBy": last.state.last_modified_by,
        },
        "Datasets": [dataset_document(e, settings) for e in details.datasets.items],
        "MoreDatasets": details.datasets.next_position is not None,
        "Devices": [_device_document(each) for each in details.devices.items],
        "MoreDevices": details.devices.next_position is not None,
    }


def _device_document(registered: RegisteredDevice) -> dict[str, Any]:
    device, push = registered.device, registered.last_push
    return {
        "DeviceId": device.device_id,
        "Platform": device.platform,
        "TokenEnd": token_end(device.token),
        "RegistrationDate": date(device.registration_date_ms),
        "Disabled": device.disabled,
        "DatasetNames": list(registered.dataset_names),
        "PushesWaiting": registered.waiting,
        "PushFailures": registered.failures,
        "LastPush": push and {"Date": date(push.date_ms), "Error": push.error},
    }


def _pairs(details: IdentityDetails, settings: Settings) -> list[tuple[str, Cell]]:
    identity, usage, last = details.identity, details.usage, details.last_change
    pairs: list[tuple[str, Cell]] = [
        ("Identity", details.place.identity_id),
        ("Identity pool", details.place.identity_pool_id),
    ]
    if identity is None:
        pairs.append(("Kind", "data without an identity"))
    else:
        pairs += [
            ("Kind", identity.kind.name.lower()),
            *([("Merged into", identity.merged_into)] if identity.merged_into else []),
            *((f"Login {e.provider_name}", e.subject) for e in identity.logins),
            *(("Was also", each.identity_id) for each in details.merged.items),
            ("Created", Time(identity.creation_date_ms)),
        ]
    count = 0 if usage is None else usage.dataset_count
    pairs += [
        ("Datasets", f"{count} of {settings.datasets_per_identity_max}"),
        ("Data", Size(0 if usage is None else usage.data_storage)),
    ]
    if last is not None:
        pairs += [
            ("Last change", Time(last.state.last_modified_date_ms)),
            ("in dataset", last.dataset_name),
            ("by", last.state.last_modified_by),
        ]
    return pairs


def _print_devices(devices: Page[RegisteredDevice, str]) -> None:
    if not devices.items:
        return
    print()
    print_table(_DEVICE_COLUMNS, [_device_row(each) for each in devices.items])
    if devices.next_position is not None:
        print("and more devices")


def _device_row(registered: RegisteredDevice) -> tuple[Cell, ...]:
    device, push = registered.device, registered.last_push
    state = "disabled" if device.disabled else "ready"
    if registered.waiting:
        state = f"{registered.waiting} waiting, {registered.failures} failures"
    return (
        device.device_id,
        device.platform,
        f"...{token_end(device.token)}",
        Time(device.registration_date_ms),
        state,
        Time(push.date_ms if push else None),
        ", ".join(registered.dataset_names),
        push.error if push else None,
    )
