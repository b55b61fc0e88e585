"""Pools, and a pool: what it holds, how it is set up, what is wrong, and its end."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from millpond import limits
from millpond.console import looking, places
from millpond.console.base import (
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
from millpond.console.pages import pool_forms
from millpond.console.pages.pool_parts import PARTS
from millpond.contract import cognito_identity, examination
from millpond.core.identity_pools import IdentityPool
from millpond.service.looking import pools
from millpond.service.looking.outbox import COUNT_MAX, bounded
from millpond.service.looking.pages import Page as ListPage
from millpond.service.looking.pools import PoolDetails, PoolLook

POOLS_AT_ONCE: Final = 50
FORM_BYTES_MAX: Final = 1_048_576  # of lists and maps as large as the API takes
_OPERATIONS: Final = cognito_identity.API.by_name
_EXAMINATIONS: Final = examination.API.by_name


async def list_pools(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show the pools, with what they hold."""
    store = console.context.store
    if viewer.pool is not None:
        details = await _describe(console, viewer.pool)
        listed: ListPage[Any, str] = ListPage([details])
    else:
        after = places.read_cursor(ask, "after", str)
        listed = await pools.list_pools(store, after=after, limit=POOLS_AT_ONCE)
    return Shown(
        title="Pools",
        data={
            "pools": [_row(each) for each in listed.items],
            "next": places.spell_next(listed.next_position),
            "is_first": "after" not in ask.query,
            "identity_pools_max": console.context.settings.identity_pools_max,
        },
    )


def _row(look: PoolLook | PoolDetails) -> dict[str, Any]:
    pool, usage = look.pool, look.usage
    stream = pool.stream
    return {
        "identity_pool_id": pool.identity_pool_id,
        "identity_pool_name": pool.identity_pool_name,
        "allow_unauthenticated_identities": pool.allow_unauthenticated_identities,
        "stream_name": stream and stream.stream_name,
        "streaming_status": stream and stream.streaming_status,
        "data_storage": usage.data_storage,
        "sync_sessions_count": usage.sync_sessions_count,
        "last_modified_date_ms": usage.last_modified_date_ms,
    }


async def show_pool(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show all of a pool."""
    details = await _describe(console, ask.path["pool"])
    pool = details.pool
    trigger = await console.call(
        viewer,
        _EXAMINATIONS["GetIdentityPoolDetails"],
        examination.GetIdentityPoolDetailsRequest(
            identity_pool_id=pool.identity_pool_id
        ),
    )
    return Shown(
        title=looking.name_of(pool),
        crumbs=[("Pools", link("/pools"))],
        data={
            **_row(details),
            **_settings(pool),
            "sync_trigger_details": looking.plain_times(trigger.sync_trigger),
            **_outbox(details),
            "bulk_publish": {
                "status": details.run.status.value,
                "start_time_ms": details.run.start_time_ms,
                "complete_time_ms": details.run.complete_time_ms,
                "failure_message": details.run.failure_message,
            },
            "import": _moving(console, details),
            "parts": {each.name: each.title for each in PARTS.values()},
        },
    )


async def _describe(console: Console, identity_pool_id: str) -> PoolDetails:
    return await looking.found(
        pools.describe_pool(
            console.context.store, identity_pool_id, outbox_count_max=COUNT_MAX + 1
        )
    )


def _outbox(details: PoolDetails) -> dict[str, Any]:
    usage = details.outbox
    return {
        "waiting": bounded(usage.entries),
        "parked": bounded(usage.parked),
        "oldest_ms": usage.oldest_ms,
    }


def _settings(pool: IdentityPool) -> dict[str, Any]:
    """Give all that is set of a pool, whether there is any of it or not."""
    stream = pool.stream
    return {
        "allow_classic_flow": pool.allow_classic_flow,
        "supported_login_providers": pool.supported_login_providers or {},
        "developer_provider_name": pool.developer_provider_name,
        "open_id_connect_provider_arns": pool.open_id_connect_provider_arns or [],
        "cognito_identity_providers": [
            msgspec.structs.asdict(each)
            for each in pool.cognito_identity_providers or ()
        ],
        "saml_provider_arns": pool.saml_provider_arns or [],
        "identity_pool_tags": pool.identity_pool_tags or {},
        "roles": pool.roles or {},
        "role_mappings": {
            name: msgspec.to_builtins(each)
            for name, each in (pool.role_mappings or {}).items()
        },
        "principal_tag_maps": {
            name: msgspec.structs.asdict(each)
            for name, each in (pool.principal_tag_maps or {}).items()
        },
        "push": pool.push and msgspec.structs.asdict(pool.push),
        "stream_role_arn": stream and stream.role_arn,
        "stream_disabled_reason": stream and stream.disabled_reason,
        "stream_disabled_date_ms": stream and stream.disabled_date_ms,
        "sync_trigger": pool.sync_trigger,
    }


def _moving(console: Console, details: PoolDetails) -> dict[str, Any] | None:
    """Tell how a pool moves in, by the settings and as its import has noted."""
    context = console.context
    source = context.settings.imports.get(details.pool.identity_pool_id)
    if source is None and details.moving is None:
        return None
    claims_until = source and source.claims_until
    return {
        "read_through": bool(source and source.read_through),
        "claims_until": claims_until and claims_until.isoformat(),
        "are_claims_open": bool(source and source.are_claims_open(context.now_ms())),
        "state": details.moving and msgspec.to_builtins(details.moving),
    }


async def examine_pool(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Look at what a pool calls, as `millpond doctor` does: now, and each time anew."""
    pool = await looking.get_pool(console, ask.path["pool"])
    found = await console.call(
        viewer,
        _EXAMINATIONS["ExamineIdentityPool"],
        examination.ExamineIdentityPoolRequest(identity_pool_id=pool.identity_pool_id),
    )
    findings = [msgspec.structs.asdict(each) for each in found.findings]
    return Shown(
        title="Examination",
        crumbs=looking.crumbs_of(pool),
        data={"identity_pool_id": pool.identity_pool_id, "findings": findings},
    )


# --- The end of a pool ----------------------------------------------------------------


async def ask_to_delete(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show what goes with a pool, and let its name be typed."""
    details = await _describe(console, ask.path["pool"])
    pool = details.pool
    return Shown(
        title="Delete this pool",
        crumbs=looking.crumbs_of(pool),
        data={
            **_row(details),
            **_outbox(details),
            "is_streaming": bool(pool.stream and pool.stream.streaming),
        },
    )


async def delete_pool(console: Console, viewer: Viewer, ask: Ask) -> Done | Shown:
    """Delete a pool whose name was typed."""
    pool = await looking.get_pool(console, ask.path["pool"])
    typed = ask.form.text("name", chars_max=10_000)
    # An id will do: there are names that no keyboard has.
    if not looking.is_same_word(typed, pool.identity_pool_name, pool.identity_pool_id):
        shown = await ask_to_delete(console, viewer, ask)
        wrong = "That is not its name. Nothing was deleted."
        return with_form(shown, ask.form, {"name": wrong})
    await console.call(
        viewer,
        _OPERATIONS["DeleteIdentityPool"],
        cognito_identity.DeleteIdentityPoolRequest(
            identity_pool_id=pool.identity_pool_id
        ),
    )
    if viewer.pool is not None:
        raise Refused(404, "The pool is deleted; this key was for nothing else.")
    return Done(link("/pools"), f"Deleted the pool {looking.name_of(pool)}.")


ROUTES: Final = (
    page("/pools", list_pools, "pools.html"),
    page("/pools/new", pool_forms.ask_for_pool, "pool_new.html"),
    action("/pools/new", pool_forms.create_pool, form_bytes_max=FORM_BYTES_MAX),
    page("/pools/adopt", pool_forms.ask_for_adopted, "pool_adopt.html"),
    action("/pools/adopt", pool_forms.adopt_pool, form_bytes_max=FORM_BYTES_MAX),
    page("/pools/{pool}", show_pool, "pool.html"),
    page("/pools/{pool}/change/{part}", pool_forms.show_part, "pool_change.html"),
    action(
        "/pools/{pool}/change/{part}",
        pool_forms.change_part,
        form_bytes_max=FORM_BYTES_MAX,
    ),
    page("/pools/{pool}/examination", examine_pool, "pool_examination.html"),
    page("/pools/{pool}/delete", ask_to_delete, "pool_delete.html"),
    action("/pools/{pool}/delete", delete_pool, form_bytes_max=65_536),
)
assert POOLS_AT_ONCE <= limits.PAGE_POOLS_MAX
