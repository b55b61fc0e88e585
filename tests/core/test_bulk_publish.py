"""Bulk publish: states, when a run may start, slices that miss nobody."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.core import bulk_publish
from millpond.core.bulk_publish import (
    TRANSITIONS,
    BulkPublishRun,
    BulkPublishStatus,
    Counts,
    LeasedSlice,
    Slice,
    Step,
)
from millpond.core.identity_pools import StreamConfiguration
from millpond.errors import (
    AlreadyStreamedException,
    DuplicateRequestException,
    InvalidParameterException,
)

POOL = "us-east-1:aa"
STEADY = settings(derandomize=True, database=None, deadline=None)
NOW_MS = 1_750_000_000_000
DAY_MS = 24 * 3600 * 1000
NEVER = BulkPublishRun(identity_pool_id=POOL)


def start(
    run: BulkPublishRun = NEVER,
    *,
    stream_name: str | None = "changes",
    streaming: bool = True,
    now_ms: int = NOW_MS,
    **options: int,
) -> BulkPublishRun:
    stream = StreamConfiguration(
        stream_name=stream_name,
        streaming_status="ENABLED" if streaming else "DISABLED",
        switches=3,
    )
    return bulk_publish.start(
        run, run_id="next", stream=stream, now_ms=now_ms, **options
    )


def test_a_run_starts_finishes_and_starts_again() -> None:
    """NOT_STARTED, IN_PROGRESS, SUCCEEDED, and a day later IN_PROGRESS again."""
    running = start()
    assert running == BulkPublishRun(
        identity_pool_id=POOL,
        run_id="next",
        status=BulkPublishStatus.IN_PROGRESS,
        stream_name="changes",
        stream_switches=3,
        start_time_ms=NOW_MS,
    )
    done = bulk_publish.finish(running, now_ms=NOW_MS + 5)
    assert done.status is BulkPublishStatus.SUCCEEDED
    assert (done.complete_time_ms, done.last_success_ms) == (NOW_MS + 5, NOW_MS + 5)
    assert done.failure_message is None

    again = start(done, now_ms=NOW_MS + 5 + DAY_MS)
    assert again.status is BulkPublishStatus.IN_PROGRESS
    assert again.complete_time_ms is None
    assert again.last_success_ms == NOW_MS + 5


def test_a_failed_run_starts_again_at_once() -> None:
    """A failure has a message and no completion, and blocks nothing."""
    failed = bulk_publish.fail(start(), message="The stream is gone.")
    assert failed.status is BulkPublishStatus.FAILED
    assert failed.failure_message == "The stream is gone."
    assert failed.complete_time_ms is None

    again = start(failed)
    assert again.status is BulkPublishStatus.IN_PROGRESS
    assert again.failure_message is None


def test_the_day_counts_from_the_last_success() -> None:
    """A failure after a success does not shorten the wait."""
    done = bulk_publish.finish(start(), now_ms=NOW_MS)
    running = start(done, now_ms=NOW_MS + DAY_MS)
    again = bulk_publish.finish(running, now_ms=NOW_MS + DAY_MS + 1)
    failed = msgspec.structs.replace(again, status=BulkPublishStatus.FAILED)
    with pytest.raises(AlreadyStreamedException):
        start(failed, now_ms=NOW_MS + 2 * DAY_MS)
    start(failed, now_ms=NOW_MS + 2 * DAY_MS + 1)


@pytest.mark.parametrize(
    ("elapsed_ms", "left"),
    [
        (0, "24 h 00 min"),
        (1000, "24 h 00 min"),
        (60_000, "23 h 59 min"),
        (DAY_MS - 3600_000, "1 h 00 min"),
        (DAY_MS - 1, "0 h 01 min"),
    ],
)
def test_a_pool_is_published_once_a_day(elapsed_ms: int, left: str) -> None:
    """Within 24 hours of a success the start is refused and told how long it takes."""
    done = bulk_publish.finish(start(), now_ms=NOW_MS)
    with pytest.raises(AlreadyStreamedException) as caught:
        start(done, now_ms=NOW_MS + elapsed_ms)

    assert left in caught.value.message
    assert POOL in caught.value.message
    assert caught.value.http_status == 400


@pytest.mark.parametrize(
    ("pause_s", "said", "left"),
    [
        (7200, "in the last 2 hours", "2 h 00 min"),
        (3600, "in the last 1 hour;", "1 h 00 min"),
        (90, "in the last 90 seconds", "0 h 02 min"),
        (60, "in the last 1 minute;", "0 h 01 min"),
        (1, "in the last second", "0 h 01 min"),
        (30 * 24 * 3600, "in the last 720 hours", "720 h 00 min"),
    ],
)
def test_the_pause_is_a_setting(pause_s: int, said: str, left: str) -> None:
    """Its owner shortens or lengthens it, and the refusal names it."""
    done = bulk_publish.finish(start(), now_ms=NOW_MS)
    with pytest.raises(AlreadyStreamedException) as caught:
        start(done, now_ms=NOW_MS, pause_s=pause_s)

    assert said in caught.value.message
    assert f"in {left}" in caught.value.message
    assert "'bulk_publish_pause_s'" in caught.value.message
    start(done, now_ms=NOW_MS + pause_s * 1000, pause_s=pause_s)


@pytest.mark.parametrize("now_ms", [NOW_MS, NOW_MS - DAY_MS, NOW_MS + 1])
def test_without_a_pause_a_run_starts_at_once(now_ms: int) -> None:
    """A pause of 0 refuses nothing, whatever the clock says."""
    done = bulk_publish.finish(start(), now_ms=NOW_MS)

    start(done, now_ms=now_ms, pause_s=0)


def test_a_clock_that_steps_back_keeps_the_wait() -> None:
    """A time before the last success is within its 24 hours."""
    done = bulk_publish.finish(start(), now_ms=NOW_MS)
    with pytest.raises(AlreadyStreamedException):
        start(done, now_ms=NOW_MS - DAY_MS)


def test_one_run_at_a_time() -> None:
    """Starting while one is in progress is a DuplicateRequestException."""
    with pytest.raises(DuplicateRequestException, match=POOL):
        start(start(), now_ms=NOW_MS + 10 * DAY_MS)


@pytest.mark.parametrize(
    ("stream_name", "streaming", "text"),
    [(None, True, "no stream"), (None, False, "no stream"), ("s", False, "disabled")],
)
def test_a_run_needs_an_enabled_stream(
    stream_name: str | None, streaming: bool, text: str
) -> None:
    """Without one the start is refused, whatever the last run was."""
    done = bulk_publish.finish(start(), now_ms=NOW_MS)
    for run in (NEVER, start(), done):
        with pytest.raises(InvalidParameterException, match=text):
            start(run, stream_name=stream_name, streaming=streaming)


def test_what_is_not_in_the_table_cannot_happen() -> None:
    """Every pair of status and step is in the table or raises."""
    for status, step in itertools.product(BulkPublishStatus, Step):
        run = msgspec.structs.replace(NEVER, status=status)
        if (status, step) in TRANSITIONS:
            bulk_publish.advance(run, step)
        else:
            with pytest.raises(KeyError):
                bulk_publish.advance(run, step)
    assert len(TRANSITIONS) == 5


def test_a_failure_tells_where_and_how_far() -> None:
    """The message names stream, slice, cause and what was delivered before."""
    leased = LeasedSlice(
        identity_pool_id=POOL,
        run_id="r",
        stream_name="changes",
        slice=Slice(2, None, None),
        slices=16,
        fence=1,
        position=None,
        counts=Counts(),
    )
    text = bulk_publish.failure_message(leased, "It is full.", Counts(3, 40, 500), 12)

    assert text == (
        "Stream 'changes', slice 3 of 16: It is full. Delivered before that: 3 of 12 "
        "datasets (40 records, 500 bytes)."
    )


def test_counts_add_up() -> None:
    """Counts are added member by member."""
    assert Counts(1, 2, 3).plus(Counts(10, 20, 30)) == Counts(11, 22, 33)


# --- Slices ---------------------------------------------------------------------------


@STEADY
@given(st.integers(1, 256), st.text(st.characters(max_codepoint=127), max_size=60))
def test_every_id_is_in_one_slice(count: int, identity_id: str) -> None:
    """The slices cover the whole space of ids, whatever an id looks like."""
    slices = bulk_publish.cut_slices("us-east-1", count)
    having = [
        each.number
        for each in slices
        if (each.first is None or each.first <= identity_id)
        and (each.end is None or identity_id < each.end)
    ]

    assert len(having) == 1
    assert [each.number for each in slices] == list(range(count))


@pytest.mark.parametrize("count", [1, 2, 3, 16, 100, 256])
def test_slices_part_the_space_evenly(count: int) -> None:
    """Of ids spread evenly, no slice has many more than another."""
    slices = bulk_publish.cut_slices("us-east-1", count)
    sizes = [0] * count
    for n in range(4096):
        identity_id = f"us-east-1:{n:03x}00000-0000-4000-8000-000000000000"
        (which,) = [
            each.number
            for each in slices
            if (each.first is None or each.first <= identity_id)
            and (each.end is None or identity_id < each.end)
        ]
        sizes[which] += 1

    assert min(sizes) > 0
    assert max(sizes) - min(sizes) <= 16
