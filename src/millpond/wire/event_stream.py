"""
Server-sent events: the bytes of an event and of a comment.

A message is a few lines `field: value` and an empty line. One that has an id and no
data is no event to the page, but its id is kept, and sent back as Last-Event-ID.

Source: HTML standard, server-sent events.
"""

from __future__ import annotations

from typing import Final

CONTENT_TYPE: Final = b"text/event-stream"
COMMENT: Final = b":\n\n"
"""Nothing, so that whoever stands in between sees that the connection lives."""


def event(event_id: str, data: bytes) -> bytes:
    """Spell an event; `data` is one line of UTF-8."""
    return b"id: %b\ndata: %b\n\n" % (event_id.encode(), data)


def greeting(event_id: str, *, retry_ms: int) -> bytes:
    """Spell what comes first: no event yet, but from where on the reader is told."""
    return b": connected\nretry: %d\nid: %b\n\n" % (retry_ms, event_id.encode())
