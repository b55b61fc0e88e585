"""
Shard iterators: a position in a shard of a stream, sealed, and good for five minutes.

A position is the sequence number that reading goes on behind, so an iterator stays
right when records before it are dropped. It names the stream by its id too: an iterator
of a deleted stream does not read the one that took its name.

Source: GetShardIterator and GetRecords of the Kinesis API reference (2013-12-02).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from millpond import limits
from millpond.core.tokens import PageTokens
from millpond.errors import (
    ExpiredIteratorException,
    InvalidArgumentException,
    InvalidParameterException,
)

_CONTEXT: Final = "ShardIterator"
_LIFETIME_MS: Final = limits.SHARD_ITERATOR_LIFETIME_S * 1000


class ShardIterator(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where reading goes on. With the longest stream name it is 240 characters."""

    stream_name: str
    stream_id: int
    shard: int
    after: int  # the store's sequence number to go on behind
    created_ms: int


def seal(pages: PageTokens, iterator: ShardIterator) -> str:
    """Spell an iterator; only this server and its like can read it back."""
    return pages.seal(iterator, _CONTEXT)


def read(pages: PageTokens, text: str, *, now_ms: int) -> ShardIterator:
    """
    Read back an iterator that `seal` spelled.

    Raises:
        InvalidArgumentException: it is none of ours.
        ExpiredIteratorException: it is older than five minutes.
    """
    try:
        iterator = pages.read(text, ShardIterator, _CONTEXT)
    except InvalidParameterException:
        # AWS: this text.
        raise InvalidArgumentException("Invalid ShardIterator.") from None
    if now_ms - iterator.created_ms > _LIFETIME_MS:
        # AWS: this text.
        raise ExpiredIteratorException(
            "Iterator expired. The iterator was created at time "
            f"{_spell(iterator.created_ms)} while right now it is {_spell(now_ms)} "
            "which is further in the future than the tolerated delay of "
            f"{_LIFETIME_MS} milliseconds."
        )
    return iterator


def _spell(time_ms: int) -> str:
    """Spell a time as the service does: Thu Jan 22 01:22:02 UTC 2015."""
    time = datetime.fromtimestamp(time_ms / 1000, UTC)
    return time.strftime("%a %b %d %H:%M:%S UTC %Y")
