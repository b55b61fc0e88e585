"""
What somebody may have meant who wrote a name that there is not.

Names are compared as they sound: in small letters, with hyphens for underscores and
between the words of `camelCase`, and without what stands before an option.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

_PART_CHARS_MIN: Final = 3
_SIMILARITY_MIN: Final = 0.7  # two letters that changed places in a word of four: 0.75


def find(name: str, known: Iterable[str], *, most: int = 1) -> list[str]:
    """
    Find the names that come near to a wrong one, the nearest first.

    Args:
        most: how many at the most.
    """
    import difflib  # late: nothing is wrong as a rule, and every command waits for it

    plain, spelled = _plain(name), _spelled(known)
    if not plain:
        return []
    close = difflib.get_close_matches(plain, spelled, n=most, cutoff=_SIMILARITY_MIN)
    if not close and len(plain) >= _PART_CHARS_MIN:
        parts = (each for each in spelled if _is_part(plain, each))
        close = sorted(parts, key=len)[:most]
    return [spelled[each] for each in close]


def ask(name: str, known: Iterable[str]) -> str:
    """Ask, behind a message, whether the nearest one is meant; empty: none is near."""
    found = find(name, known)
    return f" Is '{found[0]}' meant?" if found else ""


def find_respelled(name: str, known: Iterable[str]) -> list[str]:
    """Find the one name that a wrong one only spells in another way."""
    found = _spelled(known).get(_plain(name))
    return [] if found is None else [found]


def _spelled(known: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in known:
        found.setdefault(_plain(each), each)
    return found


def _is_part(plain: str, known: str) -> bool:
    """Say whether a name is the beginning of another one, or its last words."""
    return known.startswith(plain) or known.endswith(f"-{plain}")


def _plain(name: str) -> str:
    import re

    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name)
    return words.replace("_", "-").strip("-").lower()
