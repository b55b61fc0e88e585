"""
Bulk publish: the states of a run, when one may start, and how it is cut into slices.

Theory of operation
-------------------
A run publishes every dataset of an identity pool once. It is cut into slices of the
identity space: half-open ranges of identity ids, compared as text, the first open below
and the last open above, so that no identity can fall between them, whatever its id. A
slice is leased by one worker at a time, scanned in (identity id, dataset name) order
and checkpointed after every batch that the stream has acknowledged. A run is over when
all its slices are done. A store that is spread over servers parts identities by a hash
of theirs; there a slice is one shard, or a range of ids within it, so that each page of
it comes from one server, and while one is away the slices of the others go on.

States are data. What is not in `TRANSITIONS` cannot happen:

    NOT_STARTED  start  -> IN_PROGRESS
    IN_PROGRESS  finish -> SUCCEEDED       the last slice is done
    IN_PROGRESS  fail   -> FAILED          retries are spent, or the stream is gone
    SUCCEEDED    start  -> IN_PROGRESS     24 hours after it completed, or as set
    FAILED       start  -> IN_PROGRESS     at once; it publishes everything again

Source: rulings 16 to 18; GetBulkPublishDetails of the API.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final

import msgspec

from millpond import limits
from millpond.core.identity_pools import StreamConfiguration
from millpond.core.targets import Mark
from millpond.errors import (
    AlreadyStreamedException,
    DuplicateRequestException,
    InvalidParameterException,
)

EARLIER_RUNS_MAX: Final = 20  # they are read with the run, and so are few
MESSAGE_CHARS_MAX: Final = 1000  # of a failure message that is remembered


class BulkPublishStatus(enum.StrEnum):
    """The status of a run, as the API spells it."""

    NOT_STARTED = "NOT_STARTED"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class Step(enum.Enum):
    """What can happen to a run."""

    START = "start"
    FINISH = "finish"
    FAIL = "fail"


TRANSITIONS: Final = {
    (BulkPublishStatus.NOT_STARTED, Step.START): BulkPublishStatus.IN_PROGRESS,
    (BulkPublishStatus.IN_PROGRESS, Step.FINISH): BulkPublishStatus.SUCCEEDED,
    (BulkPublishStatus.IN_PROGRESS, Step.FAIL): BulkPublishStatus.FAILED,
    (BulkPublishStatus.SUCCEEDED, Step.START): BulkPublishStatus.IN_PROGRESS,
    (BulkPublishStatus.FAILED, Step.START): BulkPublishStatus.IN_PROGRESS,
}


class Counts(msgspec.Struct, frozen=True, gc=False):
    """How much a slice or a run has delivered."""

    datasets: int = 0
    records: int = 0
    data_bytes: int = 0

    def plus(self, other: Counts) -> Counts:
        """Add two counts."""
        return Counts(
            self.datasets + other.datasets,
            self.records + other.records,
            self.data_bytes + other.data_bytes,
        )


class EarlierRun(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a run when another one has followed it."""

    run_id: str
    status: BulkPublishStatus
    stream_name: str
    start_time_ms: int | None
    complete_time_ms: int | None
    failure_message: str | None  # its beginning, when it is long
    delivered: Counts


class BulkPublishRun(msgspec.Struct, frozen=True, kw_only=True):
    """The last run of a pool."""

    identity_pool_id: str
    run_id: str = ""
    status: BulkPublishStatus = BulkPublishStatus.NOT_STARTED
    stream_name: str = ""
    start_time_ms: int | None = None
    complete_time_ms: int | None = None
    failure_message: str | None = None
    last_success_ms: int | None = None  # outlives later failures
    stream_switches: int = 0  # `StreamConfiguration.switches` when it started
    stream_mark: Mark | None = None  # before its first record; None: not known yet
    delivered: Counts = Counts()  # filled in when the next one is to start
    earlier: tuple[EarlierRun, ...] = ()  # `EARLIER_RUNS_MAX` at most, the latest first


class HashRange(msgspec.Struct, frozen=True, gc=False):
    """Identities by the hash with which a store parts them; both ends belong to it."""

    lowest: int
    highest: int


class Slice(msgspec.Struct, frozen=True, gc=False):
    """
    A half-open range of identity ids: first <= id < end; None is unbounded. With
    `hashes`, those of a shard alone; a store that is spread reads it from one server.
    """

    number: int
    first: str | None
    end: str | None
    hashes: HashRange | None = None


class Position(msgspec.Struct, frozen=True, gc=False):
    """A checkpoint: the last dataset that the stream has acknowledged."""

    identity_id: str
    dataset_name: str


class LeasedSlice(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A slice in the hands of one worker until the lease ends or is taken over."""

    identity_pool_id: str
    run_id: str
    stream_name: str
    stream_switches: int = 0  # of the run
    stream_mark: Mark | None = None  # of the run
    start_time_ms: int = 0  # of the run
    slice: Slice
    slices: int  # of the run
    fence: int  # grows with each lease; an older one may not write any more
    position: Position | None
    counts: Counts


def whole_pool(identity_pool_id: str) -> LeasedSlice:
    """Make a slice that covers a pool, for reading it all without a run or a lease."""
    return LeasedSlice(
        identity_pool_id=identity_pool_id,
        run_id="",
        stream_name="",
        slice=Slice(0, None, None),
        slices=1,
        fence=0,
        position=None,
        counts=Counts(),
    )


def advance(run: BulkPublishRun, step: Step) -> BulkPublishStatus:
    """Give the status after a step; a step that cannot happen is a bug."""
    return TRANSITIONS[run.status, step]


def start(
    run: BulkPublishRun,
    *,
    run_id: str,
    stream: StreamConfiguration,
    now_ms: int,
    pause_s: int = limits.BULK_PUBLISH_INTERVAL_S,
) -> BulkPublishRun:
    """
    Start a run, if one may start.

    Args:
        run: the last run of the pool, NOT_STARTED when there was none.
        stream: that of the pool.
        pause_s: how long after a success the next run may start.
    Raises:
        InvalidParameterException: no stream, or it is disabled.
        DuplicateRequestException: a run is in progress.
        AlreadyStreamedException: one succeeded less than `pause_s` ago.
    """
    pool = run.identity_pool_id
    if stream.stream_name is None:
        raise InvalidParameterException(
            f"Identity pool '{pool}' has no stream configured."
        )
    if not stream.streaming:
        raise InvalidParameterException(
            f"The stream '{stream.stream_name}' of identity pool '{pool}' is disabled."
        )
    if run.status is BulkPublishStatus.IN_PROGRESS:
        raise DuplicateRequestException(
            f"A bulk publish of identity pool '{pool}' is already in progress."
        )
    if run.last_success_ms is not None:
        _check_pause(pool, pause_s, elapsed_ms=now_ms - run.last_success_ms)
    return BulkPublishRun(
        identity_pool_id=pool,
        run_id=run_id,
        status=advance(run, Step.START),
        stream_name=stream.stream_name,
        stream_switches=stream.switches,
        start_time_ms=now_ms,
        last_success_ms=run.last_success_ms,
        earlier=_remember(run),
    )


def _remember(run: BulkPublishRun) -> tuple[EarlierRun, ...]:
    """Put a run that is over in front of those before it; the oldest are forgotten."""
    if run.status is BulkPublishStatus.NOT_STARTED:
        return run.earlier
    message = run.failure_message
    latest = EarlierRun(
        run_id=run.run_id,
        status=run.status,
        stream_name=run.stream_name,
        start_time_ms=run.start_time_ms,
        complete_time_ms=run.complete_time_ms,
        failure_message=message if message is None else message[:MESSAGE_CHARS_MAX],
        delivered=run.delivered,
    )
    return (latest, *run.earlier)[:EARLIER_RUNS_MAX]


def _check_pause(pool: str, pause_s: int, *, elapsed_ms: int) -> None:
    # By a clock that was set back, a success may lie ahead; no wait is longer than one.
    remaining_s = min(pause_s - elapsed_ms // 1000, pause_s)
    if remaining_s > 0:
        hours, minutes = divmod(-(-remaining_s // 60), 60)
        raise AlreadyStreamedException(
            f"Identity pool '{pool}' was published in the last {_duration(pause_s)}; "
            f"the next bulk publish can start in {hours} h {minutes:02d} min. Whoever "
            "runs the server may shorten that with the setting 'bulk_publish_pause_s'."
        )


def note_stream(run: BulkPublishRun, mark: Mark) -> BulkPublishRun:
    """Note where the stream of a run stands; the first to do so is right."""
    if run.stream_mark is not None:
        return run
    return msgspec.structs.replace(run, stream_mark=mark)


def _duration(seconds: int) -> str:
    for unit, name in ((3600, "hour"), (60, "minute")):
        if seconds % unit == 0:
            count = seconds // unit
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    return "second" if seconds == 1 else f"{seconds} seconds"


def finish(run: BulkPublishRun, *, now_ms: int) -> BulkPublishRun:
    """End a run whose slices are all done; never before it began, by any clock."""
    complete_time_ms = max(now_ms, run.start_time_ms or now_ms)
    return msgspec.structs.replace(
        run,
        status=advance(run, Step.FINISH),
        complete_time_ms=complete_time_ms,
        last_success_ms=complete_time_ms,
    )


def fail(run: BulkPublishRun, *, message: str) -> BulkPublishRun:
    """End a run that cannot go on."""
    return msgspec.structs.replace(
        run, status=advance(run, Step.FAIL), failure_message=message
    )


def failure_message(slice: LeasedSlice, cause: str, done: Counts, total: int) -> str:
    """Say what went wrong, where, and how far the run got."""
    return (
        f"Stream '{slice.stream_name}', slice {slice.slice.number + 1} of "
        f"{slice.slices}: {cause} Delivered before that: {done.datasets} of {total} "
        f"datasets ({done.records} records, {done.data_bytes} bytes)."
    )


def cut_slices(region: str, count: int) -> list[Slice]:
    """
    Cut the space of identity ids into `count` slices (1 to 256).

    Ids are `<region>:<hex>`, so two hex digits after the region part them evenly. An id
    of another form sorts into some slice all the same.
    """
    assert 1 <= count <= 256
    bounds = [f"{region}:{256 * n // count:02x}" for n in range(1, count)]
    firsts: list[str | None] = [None, *bounds]
    ends: list[str | None] = [*bounds, None]
    return [
        Slice(n, first, end)
        for n, (first, end) in enumerate(zip(firsts, ends, strict=True))
    ]


def cut_shards(region: str, count: int, shards: Sequence[HashRange]) -> list[Slice]:
    """
    Cut what is parted by hashes already: at least one slice for each shard, and about
    `count` in all when that is more.

    Args:
        shards: all that there are, one or more.
    """
    ranges = cut_slices(region, max(1, min(count // len(shards), 256)))
    parts = [(hashes, each) for each in ranges for hashes in shards]
    return [
        Slice(n, each.first, each.end, hashes) for n, (hashes, each) in enumerate(parts)
    ]
