"""
Ids as people type them.

An id is a region, a colon and hex digits in groups. Its beginning is enough where it
leads to one thing; capitals are taken for small letters, and hex digits without a
region are completed with one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from millpond.errors import AmbiguousError, NotFoundError

SHOWN_MAX: Final = 5  # of those that an id may mean

_WITHOUT_REGION: Final = re.compile(r"[0-9a-f][0-9a-f-]*")


def typed(text: str, *, region: str) -> str:
    """Give what may be stored of an id, or of the beginning of one, as it is typed."""
    small = text.strip().lower()
    return f"{region}:{small}" if _WITHOUT_REGION.fullmatch(small) else small


def the_one(what: str, text: str, found: Sequence[str]) -> str:
    """
    Take the one id that begins like this.

    Args:
        found: ids with that beginning, one more than are shown at the most.
    Raises:
        NotFoundError, AmbiguousError: there is none, or more than one.
    """
    if not found:
        raise NotFoundError(f"there is no {what} '{text}'.")
    if len(found) == 1:
        return found[0]
    shown = "".join(f"\n  {each}" for each in found[:SHOWN_MAX])
    more = "\n  and more" if len(found) > SHOWN_MAX else ""
    raise AmbiguousError(f"'{text}' may be one of several:{shown}{more}")
