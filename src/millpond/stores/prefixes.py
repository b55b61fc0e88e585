"""Texts that begin alike, as a range of an index in the order of code points."""

from __future__ import annotations

from typing import Final

_LAST: Final = "\U0010ffff"
_END: Final = _LAST * 256  # longer than anything that is looked for
_SURROGATES: Final = range(0xD800, 0xE000)  # no characters


def bounds_of(prefix: str, after: str | None) -> tuple[str, str]:
    """
    Give the range in which texts stand that begin with `prefix` and are behind `after`:
    from the first bound, which may be `after` itself, up to the second one exclusive.
    """
    return max(prefix, after or ""), _behind(prefix)


def _behind(prefix: str) -> str:
    """The least text that is behind all that begin with a prefix."""
    head = prefix.rstrip(_LAST)
    if not head:
        return _END
    following = ord(head[-1]) + 1
    if following in _SURROGATES:
        following = _SURROGATES.stop
    return head[:-1] + chr(following)
