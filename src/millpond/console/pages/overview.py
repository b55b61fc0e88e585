"""The overview: how the server is, at a glance."""

from __future__ import annotations

from typing import Final

from millpond import __version__
from millpond.console.base import Ask, Console, Page, Shown, Viewer, page


async def show_overview(console: Console, viewer: Viewer, ask: Ask) -> Shown:
    """Show how the server is."""
    return Shown(title="Overview", data={"version": __version__})


ROUTES: Final[tuple[Page, ...]] = (page("/", show_overview, "overview.html"),)
