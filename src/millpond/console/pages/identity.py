"""An identity: all that is kept of it but the records, to be handed out or dropped."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from millpond.console import looking
from millpond.console.base import (
    Ask,
    Console,
    Crumb,
    Done,
    Download,
    Refused,
    Shown,
    Viewer,
    action,
    link,
    page,
    with_form,
)
from millpond.console.places import find_place, read_cursor, spell_next
from millpond.contract import cognito_identity
from millpond.core.identities import Identity
from millpond.core.push import token_end
from millpond.service.looking.erasure import Erasure, plan_erasure
from millpond.service.looking.exports import export_identity
from millpond.service.looking.identities import (
    IdentityDetails,
    IdentityPlace,
    describe_identity,
)
from millpond.stores.base import NamedDataset, RegisteredDevice

THINGS_AT_ONCE: Final = 100  # datasets, devices, identities that were merged
DATA_ALONE: Final = "data alone"
_OPERATIONS: Final = cognito_identity.API.by_name


def to_data(identity: Identity) -> dict[str, Any]:
    """Give what lists say of an identity."""
    return {
        "identity_pool_id": identity.identity_pool_id,
        "identity_id": identity.identity_id,
        "kind": kind_of(identity),
        "merged_into": identity.merged_into,
        "logins": logins_of(identity),
        "unclaimed": list(identity.unclaimed),
        "creation_date_ms": identity.creation_date_ms,
        "last_modified_date_ms": identity.last_modified_date_ms,
    }


def kind_of(identity: Identity | None) -> str:
    """Say what an identity is: user, guest, merged (and so disabled), or data alone."""
    return DATA_ALONE if identity is None else identity.kind.name.lower()


def logins_of(identity: Identity) -> list[dict[str, str]]:
    """List its logins."""
    return [
        {"provider_name": each.provider_name, "subject": each.subject}
        for each in identity.logins
    ]


async def show_identity(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show an identity; the beginning of its id will do."""
    settings = console.context.settings
    place = await find_place(console, viewer, ask)
    after = read_cursor(ask, "after", str)
    details = await looking.found(
        describe_identity(
            console.context.store,
            place,
            limit=THINGS_AT_ONCE,
            after=after,
            # What was deleted is what people miss.
            deleted=True,
        )
    )
    return Shown(
        title=place.identity_id,
        crumbs=crumbs_of(place),
        data={
            **_known(details),
            "dataset_count": details.usage.dataset_count if details.usage else 0,
            "datasets_per_identity_max": settings.datasets_per_identity_max,
            "data_storage": details.usage.data_storage if details.usage else 0,
            "last_change": _last_change(details, is_first=after is None),
            "datasets": [_dataset(each) for each in details.datasets.items],
            "records_per_dataset_max": settings.records_per_dataset_max,
            "dataset_bytes_max": settings.dataset_bytes_max,
            "next_dataset": spell_next(details.datasets.next_position),
            "is_first": after is None,
            "devices": [_device(each) for each in details.devices.items],
            "merged": [to_data(each) for each in details.merged.items],
            "has_more_merged": details.merged.next_position is not None,
        },
    )


def _known(details: IdentityDetails) -> dict[str, Any]:
    if details.identity is not None:
        return to_data(details.identity)
    return {
        "identity_pool_id": details.place.identity_pool_id,
        "identity_id": details.place.identity_id,
        "kind": DATA_ALONE,
        "merged_into": None,
        "logins": [],
        "unclaimed": [],
        "creation_date_ms": None,
        "last_modified_date_ms": None,
    }


def _last_change(details: IdentityDetails, *, is_first: bool) -> dict[str, Any] | None:
    """Tell when its data was changed last and, if that is on this page, by whom."""
    if details.usage is None:
        return None
    when_ms = details.usage.last_modified_date_ms
    last = details.last_change
    is_here = last is not None and last.state.last_modified_date_ms == when_ms
    return {
        "last_modified_date_ms": when_ms,
        "dataset_name": last.dataset_name if last and is_here else None,
        "last_modified_by": last.state.last_modified_by if last and is_here else None,
    }


def _dataset(dataset: NamedDataset) -> dict[str, Any]:
    state = dataset.state
    return {
        "dataset_name": dataset.dataset_name,
        "deleted": not state.exists,
        "sync_count": state.sync_count,
        "num_records": state.num_records,
        "data_storage": state.data_storage,
        "creation_date_ms": state.creation_date_ms,
        "last_modified_date_ms": state.last_modified_date_ms,
        "last_modified_by": state.last_modified_by,
    }


def _device(registered: RegisteredDevice) -> dict[str, Any]:
    device = registered.device
    return {
        "device_id": device.device_id,
        "platform": device.platform,
        "token_end": token_end(device.token),
        "registration_date_ms": device.registration_date_ms,
        "disabled": device.disabled,
        "dataset_names": registered.dataset_names,
        "pushes_waiting": registered.waiting,
        "push_failures": registered.failures,
    }


async def export(console: Console, viewer: Viewer, ask: Ask) -> Download:
    """Hand out all that is kept of an identity, as `millpond identity export`."""
    context = console.context
    place = await find_place(console, viewer, ask)
    return Download(
        f"{place.identity_id}.json",
        export_identity(context.store, place, now_ms=context.now_ms()),
        "application/json",
    )


def crumbs_of(place: IdentityPlace) -> list[Crumb]:
    """Lead back to the identities of its pool."""
    pool = place.identity_pool_id
    return [
        ("Pools", link("/pools")),
        (pool, link("/pools/{pool}", pool=pool)),
        ("Identities", link("/identities", {"pool": pool})),
    ]


# --- Erasing --------------------------------------------------------------------------


async def ask_to_erase(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show what goes with an identity, and let its id be typed."""
    plan = await plan_erasure(console.context.store, ask.path["identity"])
    if plan is None:
        raise Refused(404, f"There is no identity '{ask.path['identity']}'.")
    check_parts(viewer, plan)
    identity = plan.identity
    place = IdentityPlace(plan.parts[0].identity_pool_id, plan.identity_id)
    return Shown(
        title="Erase this identity",
        crumbs=[
            *crumbs_of(place),
            (
                plan.identity_id,
                link("/identities/{identity}", identity=plan.identity_id),
            ),
        ],
        data={
            "identity_id": plan.identity_id,
            "kind": kind_of(identity),
            "logins": [] if identity is None else logins_of(identity),
            "parts": [msgspec.structs.asdict(each) for each in plan.parts],
        },
    )


def check_parts(viewer: Viewer, plan: Erasure) -> None:
    """
    Keep a key of one pool from what is in others.

    Raises:
        Refused: something of it is.
    """
    pools = {each.identity_pool_id for each in plan.parts}
    if viewer.pool is not None and pools != {viewer.pool}:
        raise Refused(404, f"There is no identity '{plan.identity_id}'.")


async def erase(console: Console, viewer: Viewer, ask: Ask) -> Done | Shown:
    """Delete an identity whose id was typed, as `millpond identity delete`."""
    shown = await ask_to_erase(console, viewer, ask)
    identity_id = shown.data["identity_id"]
    typed = ask.form.text("identity_id", chars_max=10_000)
    if not looking.is_same_word(typed.lower(), identity_id.lower()):
        wrong = "That is not its id. Nothing was deleted."
        return with_form(shown, ask.form, {"identity_id": wrong})
    await console.call(
        viewer,
        _OPERATIONS["DeleteIdentities"],
        cognito_identity.DeleteIdentitiesRequest(identity_ids_to_delete=[identity_id]),
    )
    pool = shown.data["parts"][0]["identity_pool_id"]
    return Done(link("/identities", {"pool": pool}), f"Deleted {identity_id}.")


ROUTES: Final = (
    page("/identities/{identity}", show_identity, "identity.html"),
    page("/identities/{identity}/export", export, ""),
    page("/identities/{identity}/delete", ask_to_erase, "identity_delete.html"),
    action("/identities/{identity}/delete", erase, form_bytes_max=65_536),
)
