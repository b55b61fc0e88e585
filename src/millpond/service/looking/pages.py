"""One page of a list, and where the next one begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")
P = TypeVar("P")


class Page(msgspec.Struct, Generic[T, P], frozen=True):
    """Some of a list."""

    items: Sequence[T]
    next_position: P | None = None  # behind which the next page begins; None: the end


def cut(found: Sequence[T], limit: int, position: Callable[[T], P]) -> Page[T, P]:
    """
    Make a page of what was found.

    Args:
        found: up to `limit` and one more, which says that there is another page.
        position: names the place of an item in the list.
    """
    if len(found) <= limit:
        return Page(found)
    shown = found[:limit]
    return Page(shown, position(shown[-1]))
