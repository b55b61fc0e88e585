"""Sharding agrees with Kinesis, and what is spelled can be read back."""

from __future__ import annotations

import hashlib
import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from millpond import limits
from millpond.core import shards

shard_counts = st.integers(1, limits.SHARDS_PER_STREAM_MAX)


@given(shard_counts)
def test_the_ranges_of_all_shards_part_the_hash_space(shard_count):
    """Ranges follow each other without gap or overlap and cover everything."""
    ranges = [shards.hash_key_range(n, shard_count) for n in range(shard_count)]

    assert ranges[0][0] == 0
    assert ranges[-1][1] == shards.HASH_SPACE - 1
    for (_, last), (first, _) in itertools.pairwise(ranges):
        assert last + 1 == first


@given(st.text(max_size=256), shard_counts)
def test_a_record_goes_to_the_shard_whose_range_holds_its_hash(key, shard_count):
    """A partition key's MD5 lies within the range of the shard it is placed in."""
    digest = int(hashlib.md5(key.encode()).hexdigest(), 16)
    place = shards.place(key, shard_count)
    first, last = shards.hash_key_range(place, shard_count)

    assert first <= digest <= last
    assert shards.places([key, key], shard_count) == [place, place]


@given(st.integers(0, shards.HASH_SPACE - 1), shard_counts)
@example(shards.HASH_SPACE - 1, 3)
@example(0, 500)
def test_an_explicit_hash_key_overrides_the_partition_key(hash_key, shard_count):
    """The shard is the one whose range holds the hash key that was named."""
    shard = shards.place("ignored", shard_count, explicit_hash_key=hash_key)
    first, last = shards.hash_key_range(shard, shard_count)

    assert first <= hash_key <= last


def test_the_ranges_are_those_that_kinesis_shows():
    """Three shards have the ranges that a new Kinesis stream of three has."""
    assert [shards.hash_key_range(n, 3) for n in range(3)] == [
        (0, 113427455640312821154458202477256070484),
        (
            113427455640312821154458202477256070485,
            226854911280625642308916404954512140969,
        ),
        (
            226854911280625642308916404954512140970,
            340282366920938463463374607431768211455,
        ),
    ]


@given(shard_counts.flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
def test_a_shard_id_is_read_back(shard_and_count):
    """Every shard id that is spelled names its shard again."""
    shard, shard_count = shard_and_count

    assert shards.parse_shard_id(shards.shard_id(shard), shard_count) == shard


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2",
        "-",
        "-1",
        "shardId-",
        "shardId",
        "shardId-x",
        "shardId-1.0",
        "shardId-0x1",
        "shardId-000000000002",
        "shardId--00000000001",
        "shardId-1-1",
        "shardId-00000000000\u0661",
        "shardId-" + "9" * 100,
    ],
)
def test_what_is_not_a_shard_id_is_refused(text):
    """Malformed ids and those of shards that a stream of two does not have are None."""
    assert None is shards.parse_shard_id(text, 2)


@pytest.mark.parametrize(
    "text",
    ["1", "01", "000000000001", "shardId-1", "shardId-0000000000001", "shard-1"],
)
def test_short_forms_of_a_shard_id_are_read(text):
    """What kinesalite reads is read: digits, with or without a word before them."""
    assert shards.parse_shard_id(text, 2) == 1


ids = st.integers(0, 2**63 - 1)


@given(ids, ids, st.integers(0, limits.SHARDS_PER_STREAM_MAX - 1))
@example(2**63 - 1, 2**63 - 1, limits.SHARDS_PER_STREAM_MAX - 1)
@example(0, 0, 0)
def test_a_sequence_number_is_read_back(stream_id, number, shard):
    """A sequence number says stream, number and shard, always in 56 digits."""
    text = shards.sequence_number(stream_id, number, shard)

    assert len(text) == 56
    assert shards.parse_sequence_number(text) == (stream_id, number, shard)


@given(ids, st.tuples(ids, ids), st.integers(0, 499), st.integers(0, 499))
def test_sequence_numbers_grow_within_a_stream(stream_id, numbers, one, other):
    """A later record has a higher number, in whatever shard, as text too."""
    low, high = sorted(numbers)
    if low < high:
        assert shards.sequence_number(stream_id, low, one) < shards.sequence_number(
            stream_id, high, other
        )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "1",
        "48" + "9" * 54,
        "49" + "9" * 54,
        "49" + "0" * 53,
        "49" + "0" * 55,
        "4" * 129,
        "-9" + "0" * 54,
        "49" + "0" * 53 + "\u0661",
        "49590338271490256608559692538361571095921575989136588898",  # of Kinesis
    ],
)
def test_what_is_not_a_sequence_number_of_ours_is_refused(text):
    """Numbers of other systems, or no numbers at all, are None."""
    assert None is shards.parse_sequence_number(text)


def test_the_size_of_a_record_is_that_of_data_and_key_in_utf_8():
    """The partition key counts in bytes, not in characters."""
    assert shards.record_bytes("\u2603\u2603", b"abc") == 3 + 6
