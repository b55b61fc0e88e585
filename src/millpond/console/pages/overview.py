"""The overview: how the server is, at a glance."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from millpond import __version__
from millpond.console.base import Ask, Console, Page, Shown, Viewer, live, page
from millpond.console.history import STEP_S
from millpond.service.examining import server as examining
from millpond.service.recent_errors import RecentError
from millpond.stores.base import Neighbours

REFRESH_S: Final = 30
ERRORS_MAX: Final = 10  # of each sort


async def show_overview(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show how the server is."""
    whole = viewer.pool is None
    data = {
        "version": __version__,
        "endpoint": console.context.settings.public_url,
        "store_kind": "postgres" if console.context.settings.store else "sqlite",
        "nodes": _count_nodes(console),
        "findings": await _examine(console) if whole else [],
        "disk": await asyncio.to_thread(_disk, console) if whole else None,
        **_figures(console, viewer),
    }
    return Shown(title="Overview", data=data, refresh_s=REFRESH_S)


async def watch_overview(
    console: Console, viewer: Viewer, ask: Ask
) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
    """Show the figures anew whenever there are some."""
    while True:
        yield "part", _figures(console, viewer)
        await asyncio.sleep(STEP_S)


async def _examine(console: Console) -> list[Mapping[str, Any]]:
    """Say what `millpond doctor` would say, as far as that costs nothing elsewhere."""
    return [
        {
            "name": each.name,
            "status": each.status,
            "text": each.text,
            "mend": each.mend or "",
        }
        for each in await examining.find(console.context, often=True)
    ]


def _count_nodes(console: Console) -> int:
    store = console.context.store
    return 1 + store.others if isinstance(store, Neighbours) else 1


def _disk(console: Console) -> Mapping[str, int] | None:
    settings = console.context.settings
    if settings.store:
        return None
    try:
        usage = shutil.disk_usage(settings.data)
    except OSError:
        return None
    return {"free_bytes": usage.free, "total_bytes": usage.total}


def _figures(console: Console, viewer: Viewer) -> dict[str, Any]:
    """Give what changes by itself; of one pool's key, nothing about the others."""
    whole = viewer.pool is None
    errors = console.context.recent_errors
    return {
        "charts": console.history.charts() if console.history and whole else [],
        "failed": _rows(errors.failed()) if whole else [],
        "refused": _rows(errors.refused()) if whole else [],
        "is_whole": whole,
    }


def _rows(errors: list[RecentError]) -> list[Mapping[str, Any]]:
    return [each._asdict() for each in errors[:ERRORS_MAX]]


ROUTES: Final[tuple[Page, ...]] = (
    page("/", show_overview, "overview.html"),
    live("/live", watch_overview, "overview_figures.html"),
)
