"""`millpond identity export|delete`: hand out what is kept of a person, or drop it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from millpond.cli import confirming
from millpond.cli.administration import (
    CommandError,
    check_place,
    note_change,
    plain,
    show,
)
from millpond.cli.identity_choice import chosen_identity
from millpond.cli.tables import size
from millpond.settings import Settings

if TYPE_CHECKING:
    from millpond.service.looking.erasure import Erasure
    from millpond.stores.base import Store


async def export(settings: Settings, options: argparse.Namespace) -> int:
    """Run `millpond identity export`."""
    from millpond.server import stores
    from millpond.service.context import system_now_ms
    from millpond.service.looking.exports import export_identity

    async with stores.open_existing(settings) as store:
        place = await chosen_identity(store, settings, options)
        async for piece in export_identity(store, place, now_ms=system_now_ms()):
            sys.stdout.buffer.write(piece)  # UTF-8, whatever the terminal has
    sys.stdout.buffer.write(b"\n")
    sys.stdout.flush()
    return 0


async def delete(settings: Settings, options: argparse.Namespace) -> int:
    """Run `millpond identity delete`."""
    from millpond.server import neighbours, stores
    from millpond.service.context import system_now_ms

    check_place(settings, options)
    async with stores.open_existing(settings) as store:
        erasure = await _plan(store, options.identity_id, region=settings.region)
        if not options.yes:
            print(_will_go(erasure), file=sys.stderr)
        identity_id = erasure.identity_id
        confirming.ask_for(identity_id, what="delete it", yes=options.yes)
        now_ms = system_now_ms()
        if not await neighbours.delete_identity(store, identity_id, now_ms=now_ms):
            raise CommandError(f"there is no identity '{identity_id}' any more.")
        pools = [each.identity_pool_id for each in erasure.parts] or [""]
        for pool in pools:
            await note_change(
                store, "EraseIdentity", identity_pool_id=pool, identity_id=identity_id
            )
    show(options, _erased(erasure), [f"Deleted {identity_id}."])
    return 0


async def _plan(store: Store, typed: str, *, region: str) -> Erasure:
    """
    Say what goes with an identity.

    Raises:
        CommandError: that is the beginning of its id, which is not enough here.
        NotFoundError, AmbiguousError: as for the beginning of an id.
    """
    from millpond.service.looking import ids
    from millpond.service.looking.erasure import plan_erasure
    from millpond.service.looking.identities import resolve_identity

    for exact in dict.fromkeys((typed, ids.typed(typed, region=region))):
        erasure = await plan_erasure(store, exact)
        if erasure is not None:
            return erasure
    place = await resolve_identity(store, None, typed, region=region)
    raise CommandError(f"to delete it, give its id whole: {place.identity_id}")


def _will_go(erasure: Erasure) -> str:
    """Say to people what will be deleted."""
    identity = erasure.identity
    lines = [f"This deletes {erasure.identity_id} for good:"]
    if identity is not None:
        lines.append(f"  kind: {identity.kind.name.lower()}")
        lines += [
            f"  login: {plain(each.provider_name)} {plain(each.subject)}"
            for each in identity.logins
        ]
    for part in erasure.parts:
        lines += [
            f"  in identity pool {part.identity_pool_id}:",
            f"    datasets: {part.dataset_count}, {size(part.data_storage)}",
            f"    devices: {part.device_count}",
        ]
        if part.stream_name is not None and part.dataset_count:
            lines.append(
                f"    stream {plain(part.stream_name)} is told that the datasets go"
            )
    return "\n".join(lines)


def _erased(erasure: Erasure) -> dict[str, Any]:
    return {
        "IdentityId": erasure.identity_id,
        "IdentityPools": [
            {
                "IdentityPoolId": each.identity_pool_id,
                "DatasetCount": each.dataset_count,
                "DataStorage": each.data_storage,
                "DeviceCount": each.device_count,
                "StreamName": each.stream_name,
            }
            for each in erasure.parts
        ],
    }
