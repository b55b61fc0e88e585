"""Who changed what, when and from where."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from millpond.console.base import Ask, Console, Refused, Shown, Viewer, page
from millpond.core import moments
from millpond.service.looking.audit import list_audit
from millpond.stores.base import AuditEntry, AuditFilter

ENTRIES_AT_ONCE: Final = 50
_FILTERS: Final = ("pool", "identity", "key", "operation", "since", "until")


async def list_entries(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show the entries that fit, the newest first."""
    context, query = console.context, ask.query
    asked = {name: query.text(name).strip() for name in _FILTERS}
    if viewer.pool is not None:
        if asked["pool"] not in ("", viewer.pool):
            raise Refused(404, "There is no such page.")
        asked["pool"] = viewer.pool
    errors: dict[str, str] = {}
    now_ms = context.now_ms()
    times = {
        name: _time(name, asked[name], now_ms, errors) for name in ("since", "until")
    }
    wanted = AuditFilter(
        identity_pool_id=asked["pool"] or None,
        identity_id=asked["identity"] or None,
        access_key_id=asked["key"] or None,
        operation=asked["operation"] or None,
        since_ms=times["since"],
        until_ms=times["until"],
    )
    after = query.text("after") or None
    await context.audit.flush()  # what this server has counted until now
    entries: list[AuditEntry] = []
    following = None
    if not errors:
        found = await list_audit(
            context.store, wanted, before=after, limit=ENTRIES_AT_ONCE
        )
        entries, following = [*found.items], found.next_position
    if viewer.pool is not None:
        asked["pool"] = ""
    return Shown(
        title="Audit",
        data={
            "entries": [_row(each) for each in entries],
            "asked": asked,
            "next": following,
            "is_first": after is None,
        },
        status=400 if errors else 200,
        form=asked,
        errors=errors,
    )


def _row(entry: AuditEntry) -> dict[str, Any]:
    return msgspec.structs.asdict(entry)


def _time(name: str, text: str, now_ms: int, errors: dict[str, str]) -> int | None:
    if not text:
        return None
    time_ms = moments.read_since(text, now_ms=now_ms)
    if time_ms is None:
        errors[name] = (
            "Write a time span before now (2d, 12h, 30m), a date or a time (UTC)."
        )
    return time_ms


ROUTES: Final = (page("/audit", list_entries, "audit.html"),)
