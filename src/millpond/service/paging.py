"""How large a page is, where the clients' numbers must not be refused."""

from __future__ import annotations


def page_size(max_results: int | None, *, most: int) -> int | None:
    """Clamp a wish to 1 up to `most` (ruling 4); None when there is no wish."""
    return None if max_results is None else min(max(max_results, 1), most)
