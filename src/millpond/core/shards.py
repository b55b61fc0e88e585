"""
Kinesis sharding: which shard a partition key belongs to, and how things are spelled.

The hash key of a record is the MD5 of its partition key, a number of 128 bits. Shards
part that space evenly, as a new Kinesis stream does.

Source: the Kinesis API reference (2013-12-02): PutRecord, Shard, HashKeyRange.
"""

from __future__ import annotations

import hashlib
from typing import Final

HASH_SPACE: Final = 2**128


def hash_key(partition_key: str) -> int:
    """Hash a partition key to its place in the 128-bit space."""
    digest = hashlib.md5(partition_key.encode(), usedforsecurity=False)
    return int.from_bytes(digest.digest())


def shard_of(hash_key: int, shard_count: int) -> int:
    """Say which of `shard_count` shards, from 0, a hash key belongs to."""
    # The ranges are those of `hash_key_range`: equal, the last one takes the rest.
    return min(hash_key // (HASH_SPACE // shard_count), shard_count - 1)


def hash_key_range(shard: int, shard_count: int) -> tuple[int, int]:
    """Give the first and last hash key of a shard, both inclusive."""
    width = HASH_SPACE // shard_count
    last = HASH_SPACE if shard == shard_count - 1 else (shard + 1) * width
    return shard * width, last - 1


def shard_id(shard: int) -> str:
    """Spell a shard as Kinesis does: shardId-000000000000."""
    return f"shardId-{shard:012d}"


def parse_shard_id(text: str, shard_count: int) -> int | None:
    """Read a shard id back; None when the stream has no such shard."""
    number = text.removeprefix("shardId-")
    if not (number.isascii() and number.isdigit() and len(number) == 12):
        return None
    shard = int(number)
    return shard if shard < shard_count and text == shard_id(shard) else None
