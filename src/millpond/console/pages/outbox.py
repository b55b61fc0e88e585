"""
The outbox: what waits for streams, what they have refused and why, and what to do with
that: try it again, give it up, take it away.
"""

from __future__ import annotations

from typing import Any, Final

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
from millpond.console.pages.streams import show_event
from millpond.core.stream_consumer import decode_event
from millpond.service.looking import outbox
from millpond.service.looking.outbox import EntryLook, PoolOutbox
from millpond.service.looking.pages import Page
from millpond.service.outbox import discard_parked, download_parked, retry_parked

POOLS_AT_ONCE: Final = 50
ENTRIES_AT_ONCE: Final = 20
WAITING_SHOWN: Final = 10
CHOSEN_MAX: Final = 100  # entries that one form may name
_ALL: Final = "all"


async def list_outboxes(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show the pools of which anything waits or is parked."""
    store, now_ms = console.context.store, console.context.now_ms()
    if viewer.pool is not None:
        own = await looking.found(outbox.describe_outbox(store, viewer.pool))
        listed: Page[PoolOutbox, str] = Page([own])
    else:
        after = ask.query.text("after") or None
        listed = await outbox.list_outboxes(store, after=after, limit=POOLS_AT_ONCE)
    return Shown(
        title="Outbox",
        data={
            "pools": [_of_pool(each, now_ms) for each in listed.items],
            "next": listed.next_position,
            "is_first": "after" not in ask.query,
        },
    )


async def show_outbox(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show what of a pool is parked, and the oldest of what waits."""
    context, pool_id = console.context, ask.path["pool"]
    of_pool = await looking.found(outbox.describe_outbox(context.store, pool_id))
    after = ask.query.number("after", 0, most=outbox.ID_MAX)
    parked = await outbox.list_entries(
        context.store, pool_id, parked=True, after=after, limit=ENTRIES_AT_ONCE
    )
    waiting = await outbox.list_entries(
        context.store, pool_id, parked=False, after=0, limit=WAITING_SHOWN
    )
    return Shown(
        title="Outbox",
        crumbs=_crumbs(of_pool),
        data={
            **_of_pool(of_pool, context.now_ms()),
            "parked_entries": [_entry(each) for each in parked.items],
            "next": parked.next_position,
            "is_first": not after,
            "waiting_entries": [_entry(each) for each in waiting.items],
        },
    )


async def show_parked(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show a parked change with what is in it."""
    store = console.context.store
    pool_id, outbox_id = ask.path["pool"], _read_id(ask.path["entry"])
    pool = await looking.get_pool(console, pool_id)
    parked = await looking.found(outbox.find_parked(store, pool_id, outbox_id))
    event = decode_event(parked.entry.data)
    own = link("/pools/{pool}/outbox", pool=pool_id)
    return Shown(
        title=f"Parked change {outbox_id}",
        crumbs=[
            ("Pools", link("/pools")),
            (pool.identity_pool_name, link("/pools/{pool}", pool=pool_id)),
            ("Outbox", own),
        ],
        data={
            "identity_pool_id": pool_id,
            "outbox_id": outbox_id,
            "identity_id": parked.entry.identity_id,
            "created_ms": parked.entry.created_ms or None,
            "parked_ms": parked.parked_ms,
            "reason": parked.reason,
            "data_bytes": len(parked.entry.data),
            "event": None if event is None else show_event(event),
        },
    )


async def download_entry(console: Console, viewer: Viewer, ask: Ask) -> Download:
    """Give a parked change as the stream would have got it."""
    store = console.context.store
    pool_id, outbox_id = ask.path["pool"], _read_id(ask.path["entry"])
    parked = await looking.found(outbox.find_parked(store, pool_id, outbox_id))
    return Download(f"parked-{outbox_id}.json", parked.entry.data)


async def download_all(console: Console, viewer: Viewer, ask: Ask) -> Download:
    """Give all parked changes of a pool as lines of JSON."""
    pool = await looking.get_pool(console, ask.path["pool"])
    pool_id = pool.identity_pool_id
    lines = download_parked(console.context.store, pool_id)
    return Download(f"parked-{pool_id}.jsonl", lines)


async def retry(console: Console, viewer: Viewer, ask: Ask) -> Done:
    """Let parked changes wait for their stream again."""
    store, pool_id = console.context.store, ask.path["pool"]
    chosen = _read_chosen(ask.form.many("entry"))
    count = await looking.found(retry_parked(store, pool_id, chosen))
    await _note(console, viewer, "RetryParkedChanges", pool_id, chosen)
    console.context.outbox_changed.send()
    return Done(_here(pool_id), f"{_changes(count)} again for the stream.")


async def ask_to_discard(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Ask for the name of the pool before changes are given up."""
    return await _ask_to_discard(console, ask, ask.query.many("entry"))


async def discard(console: Console, viewer: Viewer, ask: Ask) -> Done | Shown:
    """Give parked changes up."""
    store, pool_id = console.context.store, ask.path["pool"]
    words = ask.form.many("entry")
    pool = await looking.get_pool(console, pool_id)
    typed = ask.form.text("name")
    if not looking.is_same_word(typed, pool.identity_pool_name, pool_id):
        again = await _ask_to_discard(console, ask, words)
        return with_form(again, ask.form, {"name": "That is not the name of the pool."})
    chosen = _read_chosen(words)
    count = await looking.found(discard_parked(store, pool_id, chosen))
    await _note(console, viewer, "DiscardParkedChanges", pool_id, chosen)
    given_up = "1 change was" if count == 1 else f"{count:,} changes were"
    return Done(_here(pool_id), f"{given_up} given up.")


async def _ask_to_discard(console: Console, ask: Ask, words: list[str]) -> Shown:
    store, pool_id = console.context.store, ask.path["pool"]
    of_pool = await looking.found(outbox.describe_outbox(store, pool_id))
    chosen = _read_chosen(words)
    for each in chosen or ():
        await looking.found(outbox.check_parked(store, pool_id, each))
    return Shown(
        title="Discard parked changes",
        crumbs=[*_crumbs(of_pool), ("Outbox", _here(pool_id))],
        data={
            **_of_pool(of_pool, console.context.now_ms()),
            "entries": [_ALL] if chosen is None else chosen,
            "is_all": chosen is None,
        },
    )


def _of_pool(of_pool: PoolOutbox, now_ms: int) -> dict[str, Any]:
    stream, oldest_ms = of_pool.stream, of_pool.oldest_ms
    return {
        "identity_pool_id": of_pool.pool.identity_pool_id,
        "identity_pool_name": of_pool.pool.identity_pool_name,
        "stream_name": stream.stream_name,
        "streaming_status": stream.streaming_status,
        "disabled_reason": stream.disabled_reason,
        "disabled_date_ms": stream.disabled_date_ms,
        "waiting": of_pool.waiting,
        "parked": of_pool.parked,
        "oldest_ms": oldest_ms,
        "lag_seconds": oldest_ms and max(now_ms - oldest_ms, 0) / 1000,
    }


def _entry(look: EntryLook) -> dict[str, Any]:
    note = look.note
    return {
        "outbox_id": note.outbox_id,
        "identity_id": note.identity_id,
        "dataset_name": look.dataset_name,
        "data_bytes": note.data_bytes,
        "created_ms": note.created_ms or None,
        "parked_ms": note.parked_ms,
        "reason": note.reason,
    }


def _crumbs(of_pool: PoolOutbox) -> list[Crumb]:
    pool = of_pool.pool
    url = link("/pools/{pool}", pool=pool.identity_pool_id)
    return [("Pools", link("/pools")), (pool.identity_pool_name, url)]


def _here(pool_id: str) -> str:
    return link("/pools/{pool}/outbox", pool=pool_id)


def _read_chosen(words: list[str]) -> list[int] | None:
    """
    Read which parked changes are meant; None: all.

    Raises:
        Refused: none, too many, or what is no id.
    """
    if not words:
        raise Refused(400, "Choose at least one parked change.")
    if words == [_ALL]:
        return None
    if len(words) > CHOSEN_MAX:
        raise Refused(400, f"Choose at most {CHOSEN_MAX} changes at a time, or all.")
    return [_read_id(each) for each in words]


def _read_id(word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= 19):
        raise Refused(404, "There is no such parked change.")
    return int(word)


async def _note(
    console: Console, viewer: Viewer, name: str, pool_id: str, chosen: list[int] | None
) -> None:
    target = _ALL if chosen is None else " ".join(map(str, chosen))
    await console.note_change(viewer, action=name, pool=pool_id, target=target)


def _changes(count: int) -> str:
    return "1 change waits" if count == 1 else f"{count:,} changes wait"


ROUTES: Final = (
    page("/outbox", list_outboxes, "outbox.html"),
    page("/pools/{pool}/outbox", show_outbox, "pool_outbox.html"),
    page("/pools/{pool}/outbox/parked/{entry}", show_parked, "parked.html"),
    page("/pools/{pool}/outbox/parked/{entry}/download", download_entry, ""),
    page("/pools/{pool}/outbox/download", download_all, ""),
    page("/pools/{pool}/outbox/discard", ask_to_discard, "outbox_discard.html"),
    action("/pools/{pool}/outbox/discard", discard, form_bytes_max=65_536),
    action("/pools/{pool}/outbox/retry", retry, form_bytes_max=65_536),
)
