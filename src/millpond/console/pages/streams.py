"""Pages to come."""

from __future__ import annotations

from typing import Final

from millpond.console.base import Page

ROUTES: Final[tuple[Page, ...]] = ()
