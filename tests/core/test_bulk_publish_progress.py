"""How fast a bulk publish goes, and when it may be done."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.core.bulk_publish import BulkPublishRun, Counts
from millpond.core.bulk_publish_progress import (
    LOOK_INTERVAL_MS,
    WINDOW_MS,
    Look,
    SlicedRun,
    SliceProgress,
    SliceState,
    Speed,
    add_look,
    estimate_remaining_s,
    measure_speed,
)

STEADY = settings(derandomize=True, database=None, deadline=None)
NOW_MS = 1_750_000_000_000
HOUR_MS = 3_600_000


def look(at_ms: int, datasets: int, run_id: str = "run") -> Look:
    """Look at a run, so long after its start; each dataset has three records."""
    return Look(run_id, NOW_MS + at_ms, Counts(datasets, 3 * datasets, 100 * datasets))


def gather(*looks: Look) -> tuple[Look, ...]:
    """Look again and again."""
    kept: tuple[Look, ...] = ()
    for each in looks:
        kept = add_look(kept, each)
    return kept


def test_the_counts_of_a_run_are_those_of_its_slices() -> None:
    """What all slices have delivered, done or not; a run without slices has nothing."""
    run = BulkPublishRun(identity_pool_id="us-east-1:a")
    states = (SliceState.DONE, SliceState.LEASED, SliceState.WAITING)
    slices = [SliceProgress(n, s, Counts(n, 2, 3)) for n, s in enumerate(states)]

    assert SlicedRun(run, slices).delivered == Counts(3, 6, 9)
    assert SlicedRun(run).delivered == Counts()


def test_speed_is_what_was_delivered_in_the_time() -> None:
    """Datasets and records a second, from the first look kept to the last."""
    speed = measure_speed(gather(look(0, 0), look(2000, 30), look(10_000, 50)))

    assert speed == Speed(datasets=5.0, records=15.0)


@pytest.mark.parametrize("looks", [[], [look(0, 5)], [look(0, 5), look(499, 50)]])
def test_a_moment_tells_no_speed(looks: list[Look]) -> None:
    """No look, one look, or two within half a second: nobody knows."""
    assert measure_speed(gather(*looks)) is None


def test_no_time_at_all_between_two_looks() -> None:
    """Zero elapsed time is not divided by."""
    assert measure_speed(gather(look(7, 0), look(7, 100))) is None


def test_nothing_delivered_yet() -> None:
    """A run that has only begun has the speed 0, and no end in sight."""
    speed = measure_speed(gather(look(0, 0), look(3000, 0)))

    assert speed == Speed(0.0, 0.0)
    assert estimate_remaining_s(speed, delivered=0, datasets=10) is None


def test_an_hour_without_a_server_is_no_hour_of_work() -> None:
    """Looks from before the pause are forgotten; the next ones tell the speed."""
    before = [look(0, 0), look(1000, 100), look(2000, 200)]
    back = look(HOUR_MS, 200)

    assert measure_speed(gather(*before, back)) is None
    speed = measure_speed(gather(*before, back, look(HOUR_MS + 2000, 400)))
    assert speed == Speed(datasets=100.0, records=300.0)


def test_a_run_slows_down() -> None:
    """What was two minutes ago does not make a slow run look fast."""
    fast = [look(1000 * second, 100 * second) for second in range(60)]
    slow = [look(60_000 + 1000 * second, 6000 + second) for second in range(130)]

    assert measure_speed(gather(*fast, *slow)) == Speed(datasets=1.0, records=3.0)


def test_the_clock_is_set_back() -> None:
    """The looks begin anew, because nobody knows by how much."""
    kept = gather(look(0, 0), look(60_000, 600), look(30_000, 610))
    assert measure_speed(kept) is None

    assert measure_speed(add_look(kept, look(31_000, 620))) == Speed(10.0, 30.0)


def test_the_clock_is_set_forward() -> None:
    """A leap beyond the window forgets what was before it."""
    kept = gather(look(0, 0), look(1000, 100), look(WINDOW_MS + 1001, 200))

    assert len(kept) == 1


def test_another_run_begins_anew() -> None:
    """The looks at one run say nothing of the next."""
    kept = gather(look(0, 0), look(5000, 500), look(6000, 600, "next"))

    assert measure_speed(kept) is None


def test_counts_that_go_back_begin_anew() -> None:
    """Less than before is never a speed below 0."""
    assert measure_speed(gather(look(0, 500), look(5000, 400))) is None


def test_looks_are_kept_at_intervals() -> None:
    """Whoever asks every few milliseconds does not fill the memory."""
    kept = gather(*(look(10 * n, n) for n in range(30_000)))

    assert len(kept) <= WINDOW_MS // LOOK_INTERVAL_MS + 2
    speed = measure_speed(kept)
    assert speed is not None
    assert speed.datasets == pytest.approx(100)


@STEADY
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3 * WINDOW_MS), st.integers(0, 1000), st.sampled_from("ab")
        ),
        min_size=1,
        max_size=40,
    )
)
def test_whatever_is_looked_at(steps: list[tuple[int, int, str]]) -> None:
    """The last look is kept, all are of one run, and no speed is below 0."""
    kept = gather(*(look(*step) for step in steps))

    assert look(*steps[-1]) == kept[-1]
    times = [each.time_ms for each in kept]
    assert sorted(times) == times
    assert times[-1] - times[0] <= WINDOW_MS
    assert {kept[-1].run_id} == {each.run_id for each in kept}
    speed = measure_speed(kept)
    assert speed is None or min(speed.datasets, speed.records) >= 0


@pytest.mark.parametrize(
    ("delivered", "datasets", "expected"),
    [
        (0, 100, 25),
        (99, 100, 1),  # rounded up
        (100, 100, 0),
        (120, 100, 0),  # the pool has shrunk
        (100, 300, 50),  # the pool has grown
    ],
)
def test_the_rest_at_this_speed(delivered: int, datasets: int, expected: int) -> None:
    """What is left, at the speed of now, in whole seconds."""
    speed = Speed(datasets=4.0, records=1000.0)

    assert expected == estimate_remaining_s(
        speed, delivered=delivered, datasets=datasets
    )


def test_without_a_speed_there_is_no_estimate() -> None:
    """Unless nothing is left to do."""
    assert estimate_remaining_s(None, delivered=1, datasets=2) is None
    assert estimate_remaining_s(None, delivered=2, datasets=2) == 0
