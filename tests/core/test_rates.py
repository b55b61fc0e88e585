"""Token buckets: what they let through, and that nobody gets a fresh one."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.core.rates import BURST_S, CELLS, Buckets


def taken(buckets: Buckets, key: str, now_s: float, calls: int) -> int:
    """Call so often at one moment; count what was let through."""
    return sum(buckets.take(key, now_s) == 0 for _ in range(calls))


def test_a_minute_at_once_and_then_the_rate() -> None:
    """A full bucket holds what comes in a minute; then each second brings its part."""
    buckets = Buckets(10)

    assert taken(buckets, "a", 0.0, 1000) == 600
    assert taken(buckets, "a", 1.0, 1000) == 10
    assert taken(buckets, "a", 1.0 + BURST_S, 1000) == 600


def test_the_wait_is_until_there_is_one() -> None:
    """Who waits as long as he is told gets through; asking earlier costs nothing."""
    buckets = Buckets(0.5)
    taken(buckets, "a", 5.0, 100)

    wait_s = buckets.take("a", 5.5)

    assert wait_s == pytest.approx(1.5)
    assert buckets.take("a", 6.0) == pytest.approx(1.0)
    assert buckets.take("a", 7.0001) == 0


def test_others_have_their_own() -> None:
    """One key over its rate takes nothing from the others."""
    buckets = Buckets(1)
    taken(buckets, "a", 0.0, 1000)

    others = [taken(buckets, str(n), 0.0, 100) for n in range(1000)]

    # Two keys share both cells by chance one time in four billion.
    assert min(others) == 60


def test_nobody_gets_a_fresh_bucket_by_filling_the_table() -> None:
    """However many keys come in between, who is over the rate stays over it."""
    buckets = Buckets(1)
    size = sys.getsizeof(buckets)
    taken(buckets, "a", 0.0, 100)

    for number in range(3 * CELLS):
        buckets.take(str(number), 0.0)

    assert buckets.take("a", 0.0) > 0
    assert sys.getsizeof(buckets) == size <= 2 * 1_048_576


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.floats(0, 20, allow_nan=False)),
        max_size=200,
    )
)
def test_never_more_than_the_rate(calls: list[tuple[str, float]]) -> None:
    """In no stretch of time does a key get more than a full bucket and the rate."""
    buckets = Buckets(0.05)  # three at once
    now_s = 0.0
    through: dict[str, list[float]] = {}
    for key, pause_s in calls:
        now_s += pause_s
        if buckets.take(key, now_s) == 0:
            through.setdefault(key, []).append(now_s)
    for times in through.values():
        for first, since_s in enumerate(times):
            for last in range(first, len(times)):
                allowed = 0.05 * (BURST_S + times[last] - since_s)
                assert last - first + 1 <= allowed + 1e-6
