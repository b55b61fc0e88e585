"""Devices: what they are told of, how the last push to them went, a push to try one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from millpond.console import looking, places
from millpond.console.base import (
    POOL,
    Ask,
    Console,
    Done,
    Refused,
    Shown,
    Viewer,
    action,
    link,
    page,
    with_form,
)
from millpond.core.push import Device, find_application, token_end
from millpond.errors import NotFoundError
from millpond.service.looking.pages import cut
from millpond.service.pushes import try_push
from millpond.stores.base import RegisteredDevice

DEVICES_AT_ONCE: Final = 50
_OF_IDENTITY: Final = "/identities/{identity}/devices"
_OF_POOL: Final = "/pools/{pool}/devices"
_ONE: Final = "/identities/{identity}/devices/{device}"


async def list_of_identity(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show the devices of an identity."""
    place = await places.find_place(console, viewer, ask)
    after = places.read_cursor(ask, "after", str)
    found = await console.context.store.list_devices(
        place.identity_pool_id,
        place.identity_id,
        after=after,
        limit=DEVICES_AT_ONCE + 1,
    )
    listed = cut(found or [], DEVICES_AT_ONCE, lambda each: each.device.device_id)
    of_pool = ask.query.text("pool")
    return Shown(
        title="Devices",
        crumbs=places.crumbs_to_identity(place, of_pool),
        data={
            **msgspec.structs.asdict(place),
            "of_pool": of_pool,
            **await _listed(console, place.identity_pool_id, listed.items),
            "is_first": after is None,
            "next": places.spell_next(listed.next_position),
        },
    )


async def list_of_pool(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show the devices of all identities of a pool."""
    pool = await looking.get_pool(console, ask.path[POOL])
    after = places.read_cursor(ask, "after", tuple[str, str])
    found = await console.context.store.list_pool_devices(
        pool.identity_pool_id, after=after, limit=DEVICES_AT_ONCE + 1
    )
    listed = cut(
        found or [],
        DEVICES_AT_ONCE,
        lambda each: (each.device.identity_id, each.device.device_id),
    )
    return Shown(
        title="Devices",
        crumbs=looking.crumbs_of(pool),
        data={
            "identity_pool_id": pool.identity_pool_id,
            "identity_id": None,
            "of_pool": "",
            **await _listed(console, pool.identity_pool_id, listed.items),
            "is_first": after is None,
            "next": places.spell_next(listed.next_position),
        },
    )


async def _listed(
    console: Console, identity_pool_id: str, devices: Sequence[RegisteredDevice]
) -> dict[str, Any]:
    pool = await console.context.store.find_identity_pool(identity_pool_id)
    platforms = {each.device.platform for each in devices}
    missing = [
        each
        for each in sorted(platforms)
        if pool is not None and find_application(pool, each) is None
    ]
    return {
        "devices": [_device(each) for each in devices],
        "platforms_without_application": missing,
    }


def _device(registered: RegisteredDevice) -> dict[str, Any]:
    push = registered.last_push
    return {
        **_named(registered.device),
        "dataset_names": registered.dataset_names,
        "pushes_waiting": registered.waiting,
        "push_failures": registered.failures,
        "last_push": push and {"date_ms": push.date_ms, "error": push.error},
    }


def _named(device: Device) -> dict[str, Any]:
    """Give what is said of a device anywhere; its token whole is nobody's to see."""
    return {
        "device_id": device.device_id,
        "identity_id": device.identity_id,
        "platform": device.platform,
        "token_end": token_end(device.token),
        "registration_date_ms": device.registration_date_ms,
        "disabled": device.disabled,
    }


async def send_test_push(console: Console, viewer: Viewer, ask: Ask) -> Done:
    """Send a device a push now, and tell what came of it."""
    place = await places.find_place(console, viewer, ask)
    try:
        trial = await try_push(
            console.context,
            place.identity_pool_id,
            place.identity_id,
            ask.path["device"],
            ask.form.text("dataset_name") or None,
        )
    except NotFoundError as error:
        raise Refused(404, looking.as_sentence(error)) from error
    await console.note_change(
        viewer,
        action="SendTestPush",
        pool=place.identity_pool_id,
        identity=place.identity_id,
        dataset=trial.dataset_name,
        target=trial.device_id,
    )
    wrong = trial.last_push.error
    said = "" if wrong is None or wrong in trial.explanation else f" It said: {wrong}"
    how = "was sent" if wrong is None else "was not sent"
    back = link(
        _OF_IDENTITY, {"pool": ask.query.text("pool")}, identity=place.identity_id
    )
    sentence = f"The test push {how} to {trial.device_id}. {trial.explanation}{said}"
    return Done(back, sentence)


async def _find(console: Console, viewer: Viewer, ask: Ask) -> tuple[Device, Shown]:
    place = await places.find_place(console, viewer, ask)
    store, device_id = console.context.store, ask.path["device"]
    device = await store.find_device(place.identity_id, device_id)
    if device is None or device.identity_pool_id != place.identity_pool_id:
        raise Refused(
            404, f"Identity '{place.identity_id}' has no device '{device_id}'."
        )
    of_pool = ask.query.text("pool")
    back = link(_OF_IDENTITY, {"pool": of_pool}, identity=place.identity_id)
    return device, Shown(
        title="Remove this device",
        crumbs=[*places.crumbs_to_identity(place, of_pool), ("Devices", back)],
        data=_named(device),
    )


async def ask_to_remove(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show what a device is, and let its id be typed."""
    _, shown = await _find(console, viewer, ask)
    return shown


async def remove(console: Console, viewer: Viewer, ask: Ask) -> Done | Shown:
    """Forget a device whose id was typed."""
    device, shown = await _find(console, viewer, ask)
    if ask.form.text("device_id").strip() != device.device_id:
        wrong = "That is not its id. Nothing was removed."
        return with_form(shown, ask.form, {"device_id": wrong})
    names = (device.identity_pool_id, device.identity_id, device.device_id)
    await console.context.store.delete_device(*names)
    await console.note_change(
        viewer,
        action="RemoveDevice",
        pool=device.identity_pool_id,
        identity=device.identity_id,
        target=device.device_id,
    )
    back = link(
        _OF_IDENTITY, {"pool": ask.query.text("pool")}, identity=device.identity_id
    )
    return Done(back, f"Removed the device {device.device_id}.")


ROUTES: Final = (
    page(_OF_IDENTITY, list_of_identity, "devices.html"),
    page(_OF_POOL, list_of_pool, "devices.html"),
    action(f"{_ONE}/push", send_test_push),
    page(f"{_ONE}/remove", ask_to_remove, "device_remove.html"),
    action(f"{_ONE}/remove", remove),
)
