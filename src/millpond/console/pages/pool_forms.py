"""Making a pool, adopting one, and changing a part of it (`pool_parts`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

from millpond.console import forms, looking
from millpond.console.base import (
    Ask,
    Console,
    Done,
    Refused,
    Shown,
    Viewer,
    link,
    with_form,
)
from millpond.console.forms import FormError
from millpond.console.pages.pool_parts import (
    NO_POOL,
    PARTS,
    FormField,
    Part,
    description_fields,
    description_request,
)
from millpond.contract import cognito_identity
from millpond.core.identity_pools import IdentityPool
from millpond.errors import ServiceException
from millpond.service.identity_pools import adopt_identity_pool

_OPERATIONS: Final = cognito_identity.API.by_name


# --- New pools ------------------------------------------------------------------------


async def ask_for_pool(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show the form of a new pool."""
    _check_all_pools(viewer)
    return Shown(
        title="Create a pool",
        crumbs=[("Pools", link("/pools"))],
        data={"fields": description_fields(NO_POOL)},
    )


async def create_pool(console: Console, viewer: Viewer, ask: Ask) -> Done | Shown:
    """Create a pool."""
    operation = _OPERATIONS["CreateIdentityPool"]
    try:
        request = forms.make_request(operation, description_request(ask.form))
        made = await console.call(viewer, operation, request)
    except (FormError, ServiceException) as error:
        return _again(await ask_for_pool(console, viewer, ask), ask, error)
    return _made(made.identity_pool_id, f"Created the pool {made.identity_pool_name}.")


async def ask_for_adopted(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show the form of a pool that has its id already."""
    _check_all_pools(viewer)
    fields = [
        FormField(
            name="IdentityPoolId",
            label="Id",
            hint="That it has at AWS, and that apps have built in.",
        ),
        *description_fields(NO_POOL)[:2],
    ]
    return Shown(
        title="Adopt a pool",
        crumbs=[("Pools", link("/pools"))],
        data={"fields": fields, "region": console.context.settings.region},
    )


async def adopt_pool(console: Console, viewer: Viewer, ask: Ask) -> Done | Shown:
    """Create a pool under its id at AWS."""
    _check_all_pools(viewer)
    settings, form = console.context.settings, ask.form
    identity_pool_id = form.text("IdentityPoolId").strip()
    refusal = await adopt_identity_pool(
        console.context.store,
        identity_pool_id,
        name=form.text("IdentityPoolName"),
        allow_guests=form.flag("AllowUnauthenticatedIdentities"),
        pools_max=settings.identity_pools_max,
    )
    if refusal is not None:
        shown = await ask_for_adopted(console, viewer, ask)
        return with_form(shown, form, {"": refusal[:1].upper() + refusal[1:]})
    await console.note_change(
        viewer,
        action="AdoptIdentityPool",
        pool=identity_pool_id,
        target=identity_pool_id,
    )
    said = f"Created the pool {identity_pool_id}."
    region = identity_pool_id.partition(":")[0]
    if region != settings.region:
        said += (
            f" It is of {region}, and this server of {settings.region}: new identities "
            f"get ids of {settings.region}. See the settings region and "
            "accepted_regions."
        )
    return _made(identity_pool_id, said)


def _check_all_pools(viewer: Viewer) -> None:
    if viewer.pool is not None:
        raise Refused(403, "This key is for one pool; it makes no others.")


def _made(identity_pool_id: str, sentence: str) -> Done:
    return Done(link("/pools/{pool}", pool=identity_pool_id), sentence)


# --- A part of a pool -----------------------------------------------------------------


async def show_part(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show the form of a part of a pool."""
    pool = await looking.get_pool(console, ask.path["pool"])
    part, provider = _asked(ask)
    return _form_of(pool, part, provider)


async def change_part(console: Console, viewer: Viewer, ask: Ask) -> Done | Shown:
    """Change a part of a pool, unless it is another one than was shown."""
    pool = await looking.get_pool(console, ask.path["pool"])
    part, provider = _asked(ask)
    now = _form_of(pool, part, provider)
    if ask.form.text("seen") != now.data["seen"]:
        shown = _again(now, ask, None)
        return dataclasses.replace(
            shown, status=409, data={**now.data, "was_changed": True}
        )
    try:
        given = part.request(pool, provider, ask.form)
        await console.call(
            viewer, part.operation, forms.make_request(part.operation, given)
        )
    except (FormError, ServiceException) as error:
        return _again(now, ask, error)
    return _made(pool.identity_pool_id, f"Changed: {part.title.lower()}.")


def _asked(ask: Ask) -> tuple[Part, str]:
    part = PARTS.get(ask.path["part"])
    if part is None:
        raise Refused(404, "There is no such page.")
    return part, ask.query.text("provider") if part.is_by_provider else ""


def _form_of(pool: IdentityPool, part: Part, provider: str) -> Shown:
    fields = part.fields(pool, provider)
    return Shown(
        title=f"Change: {part.title.lower()}",
        crumbs=looking.crumbs_of(pool),
        data={
            "identity_pool_id": pool.identity_pool_id,
            "part": part.name,
            "about": part.about,
            "provider": provider,
            "fields": fields,
            "seen": forms.seal_of([each.value for each in fields]),
            "was_changed": False,
        },
    )


def _again(shown: Shown, ask: Ask, error: Exception | None) -> Shown:
    """Show a form again, with what is wrong where it is wrong."""
    fields: Sequence[FormField] = shown.data["fields"]
    errors: dict[str, str] = {}
    status = 400
    if isinstance(error, FormError):
        names = {each.name for each in fields}
        for name, text in error.errors.items():
            place = name if name in names else ""
            said = text if place or not name else f"{name}: {text}"
            errors[place] = f"{errors[place]} {said}" if place in errors else said
    elif isinstance(error, ServiceException):
        errors[""], status = error.message, error.http_status
    return dataclasses.replace(
        with_form(shown, ask.form, errors),
        status=status,
        form=typed_into(fields, ask),
    )


def typed_into(fields: Sequence[FormField], ask: Ask) -> dict[str, str]:
    """Give what was typed into each field; a box that was not ticked is empty."""
    return {
        each.name: ask.form.long_text(each.name) for each in fields if not each.is_fixed
    }
