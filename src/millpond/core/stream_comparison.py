"""
Comparing what a consumer has made of a stream with what the pool holds.

Values are the users' own, so a consumer that only compares keeps digests of them, and a
difference names records and never what is in them.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from millpond.core.stream_consumer import ReadRecord

DIGEST_BYTES: Final = 16


class Kind(enum.StrEnum):
    """In what way the stream differs from the pool."""

    MISSING = "missing"  # the pool has it, the stream has not told of it
    OLDER = "older"  # the stream's last word is an earlier one
    NEWER = "newer"  # the stream tells of a change that the pool does not know
    DIFFERING = "differing"  # the same sync count, and not the same value
    RESURRECTED = "resurrected"  # the stream has it alive, the pool does not have it


class Difference(NamedTuple):
    """A dataset, or a record in one, that is not the same."""

    kind: Kind
    identity_id: str
    dataset_name: str
    key: str | None = None  # None: the dataset as a whole


class Kept(NamedTuple):
    """What a consumer that compares keeps of a record."""

    sync_count: int
    digest: bytes | None  # None: it was removed


def digest(value: str | None) -> bytes | None:
    """Give what stands for a value; None for that of a removed record."""
    if value is None:
        return None
    return hashlib.blake2b(value.encode(), digest_size=DIGEST_BYTES).digest()


def compare_records(
    live: Iterable[ReadRecord], kept: Mapping[str, Kept]
) -> Iterator[tuple[Kind, str]]:
    """
    Compare the records of a live dataset.

    Args:
        live: the live records of the pool.
        kept: what the consumer has, by key.
    Returns:
        Kind and key of each difference.
    """
    there = set()
    for record in live:
        there.add(record.key)
        found = kept.get(record.key)
        if found is None:
            yield Kind.MISSING, record.key
        elif found.sync_count < record.sync_count:
            yield Kind.OLDER, record.key
        elif found.sync_count > record.sync_count:
            yield Kind.NEWER, record.key
        elif found.digest != digest(record.value):
            yield Kind.DIFFERING, record.key
    for key, found in kept.items():
        if found.digest is not None and key not in there:
            yield Kind.RESURRECTED, key
