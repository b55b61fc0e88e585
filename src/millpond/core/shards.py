"""
Kinesis sharding: which shard a record belongs to, and how things are spelled.

The hash key of a record is the MD5 of its partition key, a number of 128 bits, unless
the producer names another one. Shards part that space evenly, as a new Kinesis stream
does.

A sequence number on the wire holds the stream, the shard and the number that the store
gave the record, so that one that was taken elsewhere is refused and does not silently
skip records. All of them have 56 digits: they sort the same as text and as numbers.

Source: the Kinesis API reference (2013-12-02): PutRecord, Shard, HashKeyRange.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from millpond import limits

try:  # Python's own, at less than half the time: OpenSSL looks the digest up anew
    from _md5 import md5 as _md5  # type: ignore[import-not-found, unused-ignore]
except ImportError:  # a build without it
    from hashlib import md5 as _md5

HASH_SPACE: Final = 2**128

_SHARD_ID: Final = re.compile(r"(?a)(?:[a-zA-Z]+-)?0*(\d{1,12})")
_FIRST_SEQUENCE_NUMBER: Final = 49 * 10**54  # AWS: 56 digits, in our times with 49...
_SHARD_BITS: Final = 12
_NUMBER_BITS: Final = 63
_STREAM_BITS: Final = 63
_SHARD_MASK: Final = (1 << _SHARD_BITS) - 1
_NUMBER_MASK: Final = (1 << _NUMBER_BITS) - 1

assert limits.SHARDS_PER_STREAM_MAX <= _SHARD_MASK + 1
assert 1 << (_STREAM_BITS + _NUMBER_BITS + _SHARD_BITS) < 10**54, "always 56 digits"


class SequenceNumber(NamedTuple):
    """What a sequence number on the wire says."""

    stream_id: int
    number: int  # the store's; 0 stands before the first record
    shard: int


def hash_key(partition_key: str) -> int:
    """Hash a partition key to its place in the 128-bit space."""
    digest = _md5(partition_key.encode(), usedforsecurity=False)
    return int.from_bytes(digest.digest())


def shard_of(hash_key: int, shard_count: int) -> int:
    """Say which of `shard_count` shards, from 0, a hash key belongs to."""
    # The ranges are those of `hash_key_range`: equal, the last one takes the rest.
    return min(hash_key // (HASH_SPACE // shard_count), shard_count - 1)


def place(
    partition_key: str, shard_count: int, *, explicit_hash_key: int | None = None
) -> int:
    """Say which shard, from 0, a record goes to."""
    chosen = hash_key(partition_key) if explicit_hash_key is None else explicit_hash_key
    return shard_of(chosen, shard_count)


def places(partition_keys: Iterable[str], shard_count: int) -> list[int]:
    """Say which shard each of many records goes to, as `place` does."""
    width, last = HASH_SPACE // shard_count, shard_count - 1
    number = int.from_bytes
    return [
        min(number(_md5(key.encode(), usedforsecurity=False).digest()) // width, last)
        for key in partition_keys
    ]


def record_bytes(partition_key: str, data: bytes) -> int:
    """Measure a record as its limit does: data and partition key."""
    if partition_key.isascii():  # as identity ids are; then nothing need be encoded
        return len(data) + len(partition_key)
    return len(data) + len(partition_key.encode())


def hash_key_range(shard: int, shard_count: int) -> tuple[int, int]:
    """Give the first and last hash key of a shard, both inclusive."""
    width = HASH_SPACE // shard_count
    last = HASH_SPACE if shard == shard_count - 1 else (shard + 1) * width
    return shard * width, last - 1


def shard_id(shard: int) -> str:
    """Spell a shard as Kinesis does: shardId-000000000000."""
    return f"shardId-{shard:012d}"


def read_shard_number(text: str) -> int | None:
    """
    Read the number in a shard id; None when it has none.

    Short forms are read too, as kinesalite does and hand-written tools use them:
    shardId-0, shard-0 and 0.
    """
    found = _SHARD_ID.fullmatch(text)
    return None if found is None else int(found[1])


def parse_shard_id(text: str, shard_count: int) -> int | None:
    """Read a shard id, or a short form of it; None: the stream has no such shard."""
    shard = read_shard_number(text)
    return shard if shard is not None and shard < shard_count else None


def sequence_number(stream_id: int, number: int, shard: int) -> str:
    """Spell the sequence number of a record, or with number 0 a shard's beginning."""
    packed = (stream_id << _NUMBER_BITS | number) << _SHARD_BITS | shard
    return str(_FIRST_SEQUENCE_NUMBER + packed)


def parse_sequence_number(text: str) -> SequenceNumber | None:
    """Read a sequence number back; None when it is none of ours."""
    if not (text.isascii() and text.isdigit() and len(text) == 56):
        return None
    packed = int(text) - _FIRST_SEQUENCE_NUMBER
    stream_id = packed >> (_NUMBER_BITS + _SHARD_BITS)
    if packed < 0 or stream_id >> _STREAM_BITS:
        return None
    return SequenceNumber(
        stream_id, packed >> _SHARD_BITS & _NUMBER_MASK, packed & _SHARD_MASK
    )
