"""The settings: what counts here, and where each comes from."""

from __future__ import annotations

from typing import Final

import msgspec

from millpond.console.base import Ask, Console, Page, Refused, Shown, Viewer, page
from millpond.service.shown_settings import shown
from millpond.settings import table

DEFAULT: Final = "default"


async def show_settings(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show each setting as `millpond settings show` does, secrets masked."""
    if viewer.pool is not None:
        raise Refused(404, "There is no such page.")
    settings = console.context.settings
    rows = [
        {
            "name": row.name,
            "value": (value := shown(row.name, getattr(settings, row.name))),
            "text": value
            if isinstance(value, str)
            else msgspec.json.encode(value).decode(),
            "origin": console.origins.get(row.name, DEFAULT),
            "help": row.help,
        }
        for row in table()
    ]
    return Shown(title="Settings", data={"settings": rows})


ROUTES: Final[tuple[Page, ...]] = (page("/settings", show_settings, "settings.html"),)
