"""URLs of databases, as people are shown them."""

from __future__ import annotations

from urllib.parse import urlsplit


def redacted(url: str) -> str:
    """Give a URL without its password and its query, for people."""
    scheme = url.partition(":")[0]
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 # raises when it is no number
    except ValueError:
        return f"{scheme}://..."
    behind = url.partition("://")[2]
    if parts.fragment or "@" in behind.removeprefix(parts.netloc):
        return f"{scheme}://..."  # a password with a /, # or ? that stands for itself
    host = parts.netloc.rpartition("@")[2]
    user = f"{parts.username}@" if parts.username else ""
    return f"{parts.scheme}://{user}{host}{parts.path}"
