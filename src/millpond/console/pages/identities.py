"""Identities: finding one among many, and deleting several at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from millpond import limits
from millpond.console import looking, places
from millpond.console.base import (
    Ask,
    Console,
    Done,
    Fields,
    Refused,
    Shown,
    Viewer,
    action,
    link,
    page,
    with_form,
)
from millpond.console.pages import identity as one
from millpond.contract import cognito_identity
from millpond.service.looking.erasure import Erasure, plan_erasure
from millpond.service.looking.searching import (
    KINDS,
    IdentitySearch,
    SearchBy,
    find_data_alone,
    search,
)
from millpond.stores.base import Store

IDENTITIES_AT_ONCE: Final = 50
POOLS_SHOWN_MAX: Final = 60  # to choose from
_OPERATIONS: Final = cognito_identity.API.by_name
_BY: Final = {each.value: each for each in SearchBy}


async def list_identities(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Find identities, or list all there are."""
    context, query = console.context, ask.query
    store, region = context.store, context.settings.region
    pools = await _pools(store, viewer)
    asked = _read_search(query, viewer, [each["identity_pool_id"] for each in pools])
    data: dict[str, Any] = {
        "pools": pools,
        "pool": asked.identity_pool_id,
        "by": asked.by.value,
        "text": query.text("q"),
        "provider": asked.provider_name,
        "kind": query.text("kind"),
        "identities": [],
        "data_alone": [],
        "next": None,
        "is_first": "after" not in query,
        "needs_pool": asked.kind is not None and asked.identity_pool_id is None,
    }
    if not data["needs_pool"] and (asked.by is SearchBy.ID or asked.text):
        after = places.read_cursor(ask, "after", str)
        found = await looking.found(
            search(store, asked, region=region, after=after, limit=IDENTITIES_AT_ONCE)
        )
        data["identities"] = [one.to_data(each) for each in found.items]
        data["next"] = places.spell_next(found.next_position)
        if not found.items and after is None and asked.kind is None:
            data["data_alone"] = await find_data_alone(store, asked, region=region)
    return Shown(title="Identities", data=data)


def _read_search(
    query: Fields, viewer: Viewer, pool_ids: Sequence[str]
) -> IdentitySearch:
    """
    Read what is looked for.

    Raises:
        Refused: it makes no sense, or is of a pool that is not the viewer's.
    """
    pool = query.text("pool").strip() or viewer.pool
    if viewer.pool is not None and pool != viewer.pool:
        raise Refused(404, f"There is no identity pool '{pool}'.")
    if pool is None and len(pool_ids) == 1:
        (pool,) = pool_ids
    by = _BY[query.choice("by", [*_BY], SearchBy.ID.value)]
    kind = KINDS.get(query.choice("kind", [*KINDS], ""))
    text = query.text("q")
    return IdentitySearch(
        identity_pool_id=pool,
        by=by,
        # A login is known by what its provider says, to the last space.
        text=text.strip() if by is SearchBy.ID else text,
        provider_name=(query.text("provider") or None)
        if by is SearchBy.LOGIN
        else None,
        kind=kind if by is SearchBy.ID else None,
    )


async def _pools(store: Store, viewer: Viewer) -> list[dict[str, str]]:
    """List the pools to choose from; of more than are shown, one is typed."""
    if viewer.pool is not None:
        pool = await store.find_identity_pool(viewer.pool)
        listed = [] if pool is None else [pool]
    else:
        listed = await store.list_identity_pools(after=None, limit=POOLS_SHOWN_MAX + 1)
    return [
        {
            "identity_pool_id": each.identity_pool_id,
            "identity_pool_name": each.identity_pool_name,
        }
        for each in listed
    ]


# --- Deleting several -----------------------------------------------------------------


async def ask_to_delete(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show what goes with each of the identities that were ticked."""
    return await _plan(console, viewer, _ticked(ask.query))


async def _plan(console: Console, viewer: Viewer, ids: Sequence[str]) -> Shown:
    store = console.context.store
    plans = [(each, await plan_erasure(store, each)) for each in ids]
    planned = [plan for _, plan in plans if plan is not None]
    for plan in planned:
        one.check_parts(viewer, plan)
    return Shown(
        title="Delete identities",
        crumbs=[("Identities", link("/identities"))],
        data={
            "identities": [_planned(each) for each in planned],
            "gone": [identity_id for identity_id, plan in plans if plan is None],
        },
    )


def _planned(plan: Erasure) -> dict[str, Any]:
    identity = plan.identity
    return {
        "identity_id": plan.identity_id,
        "identity_pool_ids": [each.identity_pool_id for each in plan.parts],
        "kind": one.kind_of(identity),
        "logins": [] if identity is None else one.logins_of(identity),
        "dataset_count": sum(each.dataset_count for each in plan.parts),
        "data_storage": sum(each.data_storage for each in plan.parts),
        "device_count": sum(each.device_count for each in plan.parts),
        "stream_names": [e.stream_name for e in plan.parts if e.stream_name],
    }


async def delete_identities(console: Console, viewer: Viewer, ask: Ask) -> Done | Shown:
    """Delete the identities that were ticked, once their number was typed."""
    shown = await _plan(console, viewer, _ticked(ask.form))
    ids = [each["identity_id"] for each in shown.data["identities"]]
    if not ids:
        return with_form(shown, ask.form, {"": "None of them is there any more."})
    if ask.form.text("count").strip() != str(len(ids)):
        wrong = f"Type {len(ids)}, the number of them. Nothing was deleted."
        return with_form(shown, ask.form, {"count": wrong})
    answer = await console.call(
        viewer,
        _OPERATIONS["DeleteIdentities"],
        cognito_identity.DeleteIdentitiesRequest(identity_ids_to_delete=ids),
    )
    failed = len(answer.unprocessed_identity_ids or ())
    sentence = f"Deleted {len(ids) - failed} of {len(ids)} identities."
    return Done(link("/identities", {"pool": ask.form.text("pool")}), sentence)


def _ticked(fields: Fields) -> list[str]:
    """
    Read the ids of identities.

    Raises:
        Refused: they are none, or too many.
    """
    ids = [each for each in dict.fromkeys(fields.many("identity")) if each]
    if not ids:
        raise Refused(400, "Tick the identities that are to be deleted first.")
    if len(ids) > limits.DELETE_IDENTITIES_MAX:
        raise Refused(
            400,
            f"{len(ids)} identities are too many; "
            f"{limits.DELETE_IDENTITIES_MAX} can be deleted at a time.",
        )
    if any(len(each) > limits.ID_CHARS_MAX for each in ids):
        raise Refused(400, "That is not the id of an identity.")
    return ids


ROUTES: Final = (
    page("/identities", list_identities, "identities.html"),
    page("/identities/delete", ask_to_delete, "identities_delete.html"),
    action("/identities/delete", delete_identities, form_bytes_max=65_536),
    *one.ROUTES,
)
