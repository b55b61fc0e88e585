"""
Links to log in with: for whoever has the store's secret, good once and for a while.

A link names a developer key, and whoever opens it is logged in as that key would be;
its secret is not in it. That it was used is kept in the store, so it is good once on
all servers together. What opens a link by itself (a preview in a chat, a browser that
guesses the next page) does not use it up: it leads to a button.
"""

from __future__ import annotations

import secrets
from typing import Final

import msgspec

from millpond.console.base import link
from millpond.console.sealing import Seal
from millpond.stores.base import SpentMarkStore

LIFETIME_S: Final = 600
_PURPOSE: Final = "link"


class Link(msgspec.Struct, frozen=True):
    """What a link holds."""

    id: str
    access_key_id: str
    until_ms: int


def make(seal_key: bytes, *, access_key_id: str, url: str, now_ms: int) -> str:
    """
    Make a link.

    Args:
        url: of the server, as whoever opens the link reaches it.
    """
    until_ms = now_ms + LIFETIME_S * 1000
    content = Link(secrets.token_urlsafe(16), access_key_id, until_ms)
    sealed = Seal(seal_key).close(_PURPOSE, content, until_ms=until_ms)
    return url.rstrip("/") + link("/login", {"link": sealed})


def read(seal_key: bytes, text: str, *, now_ms: int) -> Link | None:
    """Read what a link holds; None: it is none of ours, or too old."""
    return Seal(seal_key).open(_PURPOSE, text, Link, now_ms=now_ms)


def mark_of(found: Link) -> str:
    """Name what is spent when a link is used."""
    return f"link {found.id}"


async def use(store: SpentMarkStore, found: Link) -> bool:
    """Use a link up; say whether it was still good."""
    return await store.spend_mark(mark_of(found), until_ms=found.until_ms)
