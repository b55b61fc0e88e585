"""Developer keys: what each is for, a new one, its bounds, and its end."""

from __future__ import annotations

import datetime
import secrets
from typing import Any, Final

import msgspec

from millpond.console import looking
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
from millpond.core import moments
from millpond.service.callers import KeyScope
from millpond.service.developer_keys import (
    create_developer_key,
    ends_sooner,
    is_last_full,
    may_give,
    scope_of,
)
from millpond.service.looking.pools import resolve_pool
from millpond.stores.base import DeveloperKey

FULL: Final = "full"
READ_ONLY: Final = "read-only"
NEVER: Final = "never"
NAME_CHARS_MAX: Final = 256
KEYS_SHOWN_MAX: Final = 500
_PATH: Final = "/keys"
_NOT_FOR_POOLS: Final = "This key is for one pool; keys are those of the whole server."


async def list_keys(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show the keys, without their secrets."""
    _refuse_pool_key(viewer)
    keys = await console.context.store.list_developer_keys()
    now_ms = console.context.now_ms()
    return Shown(
        title="Keys",
        data={
            "keys": [_row(each, viewer, now_ms) for each in keys[-KEYS_SHOWN_MAX:]],
            "not_shown": max(0, len(keys) - KEYS_SHOWN_MAX),
        },
    )


def _row(key: DeveloperKey, viewer: Viewer, now_ms: int) -> dict[str, Any]:
    return {
        "access_key_id": key.access_key_id,
        "name": key.name,
        "scope": READ_ONLY if key.read_only else FULL,
        "identity_pool_id": key.identity_pool_id,
        "creation_date_ms": key.creation_date_ms,
        "last_used_ms": key.last_used_ms,
        "expires_ms": key.expires_ms,
        "is_over": key.expires_ms is not None and key.expires_ms <= now_ms,
        "is_mine": key.access_key_id == viewer.access_key_id,
    }


async def show_new(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show the form of a new key."""
    _refuse_pool_key(viewer)
    return _new_page(viewer)


def _new_page(viewer: Viewer) -> Shown:
    end_ms = viewer.caller.scope.expires_ms
    return Shown(
        title="Create a key",
        crumbs=[("Keys", link(_PATH))],
        data={
            "key": None,
            "name": "",
            "scope": FULL,
            "identity_pool_id": None,
            "expires": _spell(end_ms),
            "expires_at_most_ms": end_ms,
        },
    )


async def create_key(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Make a key and show its secret: it is shown here and nowhere else."""
    _refuse_pool_key(viewer)
    form = ask.form
    scope, errors = await _read_scope(console, viewer, form)
    if errors:
        return with_form(_new_page(viewer), form, errors)
    context = console.context
    key = await create_developer_key(
        context.store,
        console.keys.sealer,
        name=scope.name,
        now_ms=context.now_ms(),
        random_bytes=secrets.token_bytes,
        read_only=scope.read_only,
        identity_pool_id=scope.identity_pool_id,
        expires_ms=scope.expires_ms,
    )
    await console.note_change(
        viewer,
        action="CreateDeveloperKey",
        pool=scope.identity_pool_id or "",
        target=key.access_key_id,
    )
    await console.keys.look_again()
    return Shown(
        title="The new key",
        crumbs=[("Keys", link(_PATH))],
        data={
            "key": {
                "access_key_id": key.access_key_id,
                "secret_access_key": key.secret_access_key,
                "name": scope.name,
                "scope": READ_ONLY if scope.read_only else FULL,
                "identity_pool_id": scope.identity_pool_id,
                "expires_ms": scope.expires_ms,
            }
        },
    )


async def show_key(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show one key, and the forms that change and end it."""
    return await _key_page(console, viewer, ask)


async def _key_page(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    key = await _find(console, viewer, ask)
    return Shown(
        title=f"Key {key.access_key_id}",
        crumbs=[("Keys", link(_PATH))],
        data={
            **_row(key, viewer, console.context.now_ms()),
            "expires": _spell(key.expires_ms),
        },
    )


async def change_key(console: Console, viewer: Viewer, ask: Ask) -> Done | Shown:
    """Change the name and the bounds of a key."""
    key = await _find(console, viewer, ask)
    scope, errors = await _read_scope(console, viewer, ask.form, key)
    if errors:
        return with_form(await _key_page(console, viewer, ask), ask.form, errors)
    is_less = not _is_full(scope) or ends_sooner(key.expires_ms, scope.expires_ms)
    if is_less and await _is_last(console, key):
        wrong = "This is the last key that may do everything; make another one first."
        return with_form(await _key_page(console, viewer, ask), ask.form, {"": wrong})
    changed = await console.context.store.update_developer_key(
        key.access_key_id,
        lambda stored: msgspec.structs.replace(
            stored,
            name=scope.name,
            read_only=scope.read_only,
            identity_pool_id=scope.identity_pool_id,
            expires_ms=scope.expires_ms,
        ),
    )
    if changed is None:
        raise Refused(404, "There is no such key any more.")
    await console.note_change(
        viewer,
        action="UpdateDeveloperKey",
        pool=scope.identity_pool_id or "",
        target=key.access_key_id,
    )
    await console.keys.look_again()
    return Done(link(_PATH), f"Changed the key {key.access_key_id}.")


async def delete_key(console: Console, viewer: Viewer, ask: Ask) -> Done | Shown:
    """Delete a key, once its id was typed."""
    key = await _find(console, viewer, ask)
    errors = {}
    if ask.form.text("access_key_id").strip() != key.access_key_id:
        errors["access_key_id"] = f"Type {key.access_key_id} to delete it."
    elif await _is_last(console, key):
        errors["access_key_id"] = (
            "This is the last key that may do everything: without it nobody can log in "
            "to change anything. Make another one first."
        )
    if errors:
        return with_form(await _key_page(console, viewer, ask), ask.form, errors)
    await console.context.store.delete_developer_key(key.access_key_id)
    await console.note_change(
        viewer, action="DeleteDeveloperKey", target=key.access_key_id
    )
    await console.keys.look_again()
    return Done(link(_PATH), f"Deleted the key {key.access_key_id}.")


async def _is_last(console: Console, key: DeveloperKey) -> bool:
    context = console.context
    keys = await context.store.list_developer_keys()
    return is_last_full(keys, key.access_key_id, context.now_ms())


def _is_full(scope: KeyScope) -> bool:
    return not scope.read_only and scope.identity_pool_id is None


async def _find(console: Console, viewer: Viewer, ask: Ask) -> DeveloperKey:
    _refuse_pool_key(viewer)
    for key in await console.context.store.list_developer_keys():
        if key.access_key_id == ask.path["key"]:
            return key
    raise Refused(404, "There is no such key.")


async def _read_scope(
    console: Console, viewer: Viewer, form: Fields, before: DeveloperKey | None = None
) -> tuple[KeyScope, dict[str, str]]:
    """Read what a key is to be for; with what is wrong with it, by field."""
    errors: dict[str, str] = {}
    name = form.text("name", chars_max=100_000)
    if len(name) > NAME_CHARS_MAX:
        errors["name"] = f"A name has {NAME_CHARS_MAX} characters at most."
    read_only = form.choice("scope", (FULL, READ_ONLY), FULL) == READ_ONLY
    pool = form.text("pool").strip() or None
    if pool is not None and (before is None or pool != before.identity_pool_id):
        # A pool that is gone may stay with its key.
        region = console.context.settings.region
        try:
            pool = await looking.found(
                resolve_pool(console.context.store, pool, region=region)
            )
        except Refused as refusal:
            errors["pool"] = refusal.sentence
    expires_ms, wrong = _read_end(form.text("expires"), console, before)
    if wrong:
        errors["expires"] = wrong
    scope = KeyScope(name, read_only, pool, expires_ms)
    is_kept = before is not None and scope_of(before).expires_ms == expires_ms
    if not errors and not is_kept and not may_give(viewer.caller.scope, scope):
        errors["expires"] = (
            "Your own key ends, so none that you make or change may end later."
        )
    return scope, errors


def _read_end(
    text: str, console: Console, before: DeveloperKey | None
) -> tuple[int | None, str]:
    text = text.strip()
    if before is not None and text == _spell(before.expires_ms):
        return before.expires_ms, ""
    if not text or text == NEVER:
        return None, ""
    now_ms = console.context.now_ms()
    end_ms = moments.read_end(text, now_ms=now_ms)
    if end_ms is None:
        return None, (
            f"Write a time span (90d, 12h), a date or a time (2031-12-31, "
            f"2031-12-31T18:00:00Z), or '{NEVER}'."
        )
    return end_ms, "This is over already." if end_ms <= now_ms else ""


def _spell(time_ms: int | None) -> str:
    """Spell a time so that it can be typed again."""
    if time_ms is None:
        return NEVER
    try:
        moment = datetime.datetime.fromtimestamp(time_ms / 1000, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return NEVER
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _refuse_pool_key(viewer: Viewer) -> None:
    if viewer.pool is not None:
        raise Refused(403, _NOT_FOR_POOLS)


ROUTES: Final = (
    page(_PATH, list_keys, "keys.html"),
    page("/keys/new", show_new, "key_new.html"),
    action("/keys/new", create_key, "key_new.html"),
    page("/keys/{key}", show_key, "key.html"),
    action("/keys/{key}", change_key, "key.html"),
    action("/keys/{key}/delete", delete_key, "key.html"),
)
