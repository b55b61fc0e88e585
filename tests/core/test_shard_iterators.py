"""Shard iterators come back as they were sealed, for five minutes, and only ours."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond import limits
from millpond.core import shard_iterators
from millpond.core.shard_iterators import ShardIterator
from millpond.core.tokens import PageTokens
from millpond.errors import ExpiredIteratorException, InvalidArgumentException

PAGES = PageTokens(b"k" * 32)
CREATED_MS = 1_421_889_722_000  # Thu Jan 22 01:22:02 UTC 2015
LIFETIME_MS = limits.SHARD_ITERATOR_LIFETIME_S * 1000
ITERATOR = ShardIterator("changes", 7, 3, 42, CREATED_MS)
BIG = 2**63 - 1


@given(
    st.text(min_size=1, max_size=128, alphabet="abcXYZ019._-"),
    st.integers(1, BIG),
    st.integers(0, limits.SHARDS_PER_STREAM_MAX - 1),
    st.integers(0, BIG),
)
def test_an_iterator_is_read_back(name, stream_id, shard, after):
    """Whatever position is sealed is read back."""
    iterator = ShardIterator(name, stream_id, shard, after, CREATED_MS)
    text = shard_iterators.seal(PAGES, iterator)

    assert shard_iterators.read(PAGES, text, now_ms=CREATED_MS) == iterator


def test_the_longest_iterator_fits_the_api():
    """The API allows 512 characters; the largest values need no more."""
    longest = ShardIterator("x" * limits.STREAM_NAME_CHARS_MAX, BIG, 499, BIG, BIG)

    assert len(shard_iterators.seal(PAGES, longest)) <= 512


def test_an_iterator_lasts_five_minutes():
    """The last millisecond of the five minutes still counts; the next does not."""
    text = shard_iterators.seal(PAGES, ITERATOR)
    last_ms = CREATED_MS + LIFETIME_MS

    assert shard_iterators.read(PAGES, text, now_ms=last_ms) == ITERATOR
    with pytest.raises(ExpiredIteratorException) as caught:
        shard_iterators.read(PAGES, text, now_ms=last_ms + 1)

    assert caught.value.message == (
        "Iterator expired. The iterator was created at time Thu Jan 22 01:22:02 UTC "
        "2015 while right now it is Thu Jan 22 01:27:02 UTC 2015 which is further in "
        "the future than the tolerated delay of 300000 milliseconds."
    )


def test_an_iterator_from_a_clock_that_was_ahead_is_good():
    """A server whose clock steps back does not refuse what it gave out."""
    text = shard_iterators.seal(PAGES, ITERATOR)

    assert shard_iterators.read(PAGES, text, now_ms=CREATED_MS - 10_000) == ITERATOR


SEALED = shard_iterators.seal(PAGES, ITERATOR)


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "AAAA",
        "not base64!",
        "\u2603",
        SEALED[:-1],
        SEALED + "=",
        SEALED.swapcase(),
        base64.b64encode(bytes(160)).decode(),
        PAGES.seal(ITERATOR, "ListShards"),
        shard_iterators.seal(PageTokens(b"o" * 32), ITERATOR),
    ],
)
def test_what_is_not_an_iterator_of_ours_is_refused(text):
    """Damaged iterators, other tokens and those of other servers are refused."""
    with pytest.raises(InvalidArgumentException, match=r"^Invalid ShardIterator\.$"):
        shard_iterators.read(PAGES, text, now_ms=CREATED_MS)
