"""
The sink contract: what every sink must do, as a suite to inherit.

    class TestMySink(SinkContract):
        @contextlib.asynccontextmanager
        async def bench(self, tmp_path):
            yield SinkBench(sink, delivered=..., remove_stream=...)

Each test asks for a bench of its own: a sink, not yet open, on an existing and empty
stream, with a way to read back what arrived.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from millpond.core import targets
from millpond.core.streaming import StreamRecord
from millpond.errors import (
    SinkUnavailableError,
    StreamGoneError,
    StreamUnfitError,
)
from millpond.sinks.base import Sink
from millpond.testing.deadlines import Deadline


@dataclass(frozen=True, kw_only=True)
class SinkBench:
    """A sink under test and its surroundings."""

    sink: Sink
    delivered: Callable[[], Awaitable[Sequence[StreamRecord]]]
    """Read all that has arrived, in order for each partition key."""
    remove_stream: Callable[[], Awaitable[None]] | None = None
    """Remove the stream for good; None when that cannot happen to the sink."""
    disconnect: Callable[[], Awaitable[None]] | None = None
    """Make the stream unreachable; None when that cannot be arranged."""
    spoil: Callable[[], Awaitable[None]] | None = None
    """Let the stream keep less than it acknowledges; None when that cannot be arranged.
    """
    recreate: Callable[[], Awaitable[None]] | None = None
    """Remove the stream and create another of its name; None: that cannot be arranged.
    """


class SinkContract:
    """The promises of `millpond.sinks.base`, one test each."""

    def bench(self, tmp_path: Path) -> AbstractAsyncContextManager[SinkBench]:
        """Set up a bench; the suite enters it once in every test."""
        raise NotImplementedError

    def play(
        self, tmp_path: Path, scene: Callable[[SinkBench], Awaitable[None]]
    ) -> None:
        """Run a scene on a fresh bench."""

        async def run() -> None:
            async with self.bench(tmp_path) as bench:
                try:
                    await scene(bench)
                finally:
                    await bench.sink.aclose()

        asyncio.run(run())

    # --- Delivery -------------------------------------------------------------------

    def test_records_arrive_as_they_were_put(self, tmp_path: Path) -> None:
        """Keys and bytes arrive unchanged, whatever they are."""
        records = [
            StreamRecord("plain", b'{"a": 1}'),
            StreamRecord("k\u00e4se \u2603 \U0001f9c0", "\u2603".encode()),
            StreamRecord("binary", bytes(range(256))),
            StreamRecord("empty", b""),
            StreamRecord("x" * 256, b"long key"),
        ]

        async def scene(bench: SinkBench) -> None:
            await bench.sink.open()
            repeats = await put_all(bench.sink, records)

            assert by_key(records) == by_key(await _arrived(bench, repeats))

        self.play(tmp_path, scene)

    def test_records_of_a_key_keep_their_order(self, tmp_path: Path) -> None:
        """Records of one partition key arrive in the order they were put."""

        async def scene(bench: SinkBench) -> None:
            await bench.sink.open()
            put: list[StreamRecord] = []
            repeats = 0
            for batch in _batches(bench.sink, batches=3):
                repeats += await put_all(bench.sink, batch)
                put += batch

            assert by_key(put) == by_key(await _arrived(bench, repeats))

        self.play(tmp_path, scene)

    def test_a_repeated_put_arrives_again(self, tmp_path: Path) -> None:
        """What is put twice arrives at least once, in order, and never as a gap."""
        records = [StreamRecord("a", b"1"), StreamRecord("a", b"2")]

        async def scene(bench: SinkBench) -> None:
            await bench.sink.open()
            await put_all(bench.sink, records)
            await put_all(bench.sink, records)
            seen = [each.data for each in await bench.delivered()]

            assert seen[:2] == [b"1", b"2"]
            assert set(seen) == {b"1", b"2"}

        self.play(tmp_path, scene)

    def test_an_empty_put_does_nothing(self, tmp_path: Path) -> None:
        """No records are no error."""

        async def scene(bench: SinkBench) -> None:
            await bench.sink.open()

            assert (await bench.sink.put([])).failed == ()
            assert list(await bench.delivered()) == []

        self.play(tmp_path, scene)

    # --- Sizes ----------------------------------------------------------------------

    def test_a_put_may_hold_as_many_records_as_the_sink_says(
        self, tmp_path: Path
    ) -> None:
        """`records_max` records fit into one put."""

        async def scene(bench: SinkBench) -> None:
            await bench.sink.open()
            records = [
                StreamRecord(f"key-{n % 7}", str(n).encode())
                for n in range(bench.sink.records_max)
            ]

            repeats = await put_all(bench.sink, records)

            assert by_key(records) == by_key(await _arrived(bench, repeats))

        self.play(tmp_path, scene)

    def test_a_put_may_hold_as_many_bytes_as_the_sink_says(
        self, tmp_path: Path
    ) -> None:
        """`bytes_max` bytes fit into one put, in records of the largest size."""

        async def scene(bench: SinkBench) -> None:
            sink = bench.sink
            await sink.open()
            records: list[StreamRecord] = []
            room = sink.bytes_max
            while room > 0 and len(records) < sink.records_max:
                size = min(room, sink.record_bytes_max)
                records.append(_record_of(size, f"{len(records):04d}"))
                room -= size

            repeats = await put_all(sink, records)

            assert _digests(records) == _digests(await _arrived(bench, repeats))

        self.play(tmp_path, scene)

    def test_a_record_that_is_too_large_is_reported(self, tmp_path: Path) -> None:
        """The record is reported by index, with a reason; the others arrive."""

        async def scene(bench: SinkBench) -> None:
            sink = bench.sink
            await sink.open()
            small = StreamRecord("small", b"1")
            large = _record_of(sink.record_bytes_max + 1, "large")
            behind = StreamRecord("large", b"behind")
            (first, second) = (await sink.put([small, large, behind, small])).failed

            assert (first.index, first.retryable) == (1, False)
            assert first.reason
            # It must not overtake the record before it.
            assert (second.index, second.retryable) == (2, True)
            assert list(await bench.delivered()) == [small, small]

        self.play(tmp_path, scene)

    # --- Opening, closing, failing --------------------------------------------------

    def test_open_and_aclose_may_be_repeated(self, tmp_path: Path) -> None:
        """Opening twice is opening once; so is closing, open or not."""

        async def scene(bench: SinkBench) -> None:
            sink = bench.sink
            await sink.aclose()
            await sink.open()
            await sink.open()
            await put_all(sink, [StreamRecord("a", b"1")])
            await sink.aclose()
            await sink.aclose()

            assert list(await bench.delivered()) == [StreamRecord("a", b"1")]

        self.play(tmp_path, scene)

    def test_a_closed_sink_can_be_opened_again(self, tmp_path: Path) -> None:
        """After closing and opening, records go on behind the earlier ones."""

        async def scene(bench: SinkBench) -> None:
            sink = bench.sink
            for data in (b"1", b"2"):
                await sink.open()
                await put_all(sink, [StreamRecord("a", data)])
                await sink.aclose()

            assert [r.data for r in await bench.delivered()] == [b"1", b"2"]

        self.play(tmp_path, scene)

    def test_putting_into_a_closed_sink_is_worth_another_try(
        self, tmp_path: Path
    ) -> None:
        """Who shares a sink may close it; the put succeeds or asks to be repeated."""

        async def scene(bench: SinkBench) -> None:
            sink = bench.sink
            await sink.open()
            await sink.aclose()
            try:
                assert (await sink.put([StreamRecord("a", b"1")])).failed == ()
            except SinkUnavailableError:
                assert list(await bench.delivered()) == []
            else:
                assert list(await bench.delivered()) == [StreamRecord("a", b"1")]

        self.play(tmp_path, scene)

    def test_closing_under_a_put_makes_it_worth_another_try(
        self, tmp_path: Path
    ) -> None:
        """A put that loses its sink succeeds, or leaves out what may be repeated."""
        records = [StreamRecord(f"key-{n % 7}", str(n).encode()) for n in range(50)]

        async def scene(bench: SinkBench) -> None:
            sink = bench.sink
            await sink.open()
            putting = asyncio.create_task(sink.put(records))
            await asyncio.sleep(0)
            await sink.aclose()
            left = records
            with contextlib.suppress(SinkUnavailableError):
                failed = (await putting).failed
                assert all(each.retryable for each in failed)
                left = [records[each.index] for each in failed]
            await sink.open()
            await put_all(sink, left)

            assert set(records) == set(await bench.delivered())

        self.play(tmp_path, scene)

    def test_a_stream_that_is_gone_cannot_be_opened(self, tmp_path: Path) -> None:
        """Opening a stream that does not exist is a StreamGoneError."""

        async def scene(bench: SinkBench) -> None:
            await _given(bench.remove_stream)()
            with pytest.raises(StreamGoneError) as caught:
                await bench.sink.open()

            assert not caught.value.retryable

        self.play(tmp_path, scene)

    def test_a_stream_that_goes_while_it_is_open_is_noticed(
        self, tmp_path: Path
    ) -> None:
        """Putting into a stream that is gone is a StreamGoneError, and stays one."""

        async def scene(bench: SinkBench) -> None:
            await bench.sink.open()
            await put_all(bench.sink, [StreamRecord("a", b"1")])
            await _given(bench.remove_stream)()
            for _ in range(2):
                with pytest.raises(StreamGoneError):
                    await bench.sink.put([StreamRecord("a", b"2")])

        self.play(tmp_path, scene)

    def test_a_stream_out_of_reach_is_worth_another_try(self, tmp_path: Path) -> None:
        """Putting into a stream that cannot be reached is a SinkUnavailableError."""

        async def scene(bench: SinkBench) -> None:
            await bench.sink.open()
            await _given(bench.disconnect)()
            with pytest.raises(SinkUnavailableError) as caught:
                await bench.sink.put([StreamRecord("a", b"1")])

            assert caught.value.retryable

        self.play(tmp_path, scene)

    # --- What an acknowledgement is worth -------------------------------------------

    def test_what_was_put_is_still_there(self, tmp_path: Path) -> None:
        """A good stream has no flaw, and has lost nothing of what was just put."""

        async def scene(bench: SinkBench) -> None:
            await bench.sink.open()
            mark = targets.mark(await bench.sink.look())
            await bench.sink.put([StreamRecord("a", b"1"), StreamRecord("b", b"2")])
            target = await bench.sink.look()

            assert targets.flaw(target) is None
            assert targets.loss(mark, target, elapsed_ms=1000) is None

        self.play(tmp_path, scene)

    def test_a_stream_that_would_not_keep_its_records_is_refused(
        self, tmp_path: Path
    ) -> None:
        """Opening it is a StreamUnfitError that says why, and what to change."""

        async def scene(bench: SinkBench) -> None:
            await _given(bench.spoil)()
            with pytest.raises(StreamUnfitError) as caught:
                await bench.sink.open()

            assert not caught.value.retryable
            assert caught.value.hint

        self.play(tmp_path, scene)

    def test_an_open_stream_is_seen_to_keep_less(self, tmp_path: Path) -> None:
        """A look tells what has become of a stream since it was opened."""

        async def scene(bench: SinkBench) -> None:
            await bench.sink.open()
            assert targets.flaw(await bench.sink.look()) is None
            await _given(bench.spoil)()

            assert targets.flaw(await bench.sink.look()) is not None

        self.play(tmp_path, scene)

    def test_another_stream_of_the_same_name_is_told_from_the_first(
        self, tmp_path: Path
    ) -> None:
        """What came before it was created again is known to be lost."""

        async def scene(bench: SinkBench) -> None:
            sink = bench.sink
            await sink.open()
            mark = targets.mark(await sink.look())
            await sink.put([StreamRecord("a", b"1")])
            await sink.aclose()
            await _given(bench.recreate)()
            await sink.open()
            fault = targets.loss(mark, await sink.look(), elapsed_ms=1000)

            assert fault is not None
            assert "created again" in fault.cause

        self.play(tmp_path, scene)

    def test_a_look_at_a_stream_that_is_gone_says_so(self, tmp_path: Path) -> None:
        """Asking for a stream that does not exist any more is a StreamGoneError."""

        async def scene(bench: SinkBench) -> None:
            await bench.sink.open()
            await _given(bench.remove_stream)()
            with pytest.raises(StreamGoneError):
                await bench.sink.look()

        self.play(tmp_path, scene)


async def put_all(
    sink: Sink, records: Sequence[StreamRecord], *, size: int | None = None
) -> int:
    """
    Put records as every caller does: what failed goes again before what comes later.

    Args:
        size: how many records a put has at the most; all of them when left out.

    Returns:
        how many puts had to be repeated. Where there are any, some records may have
        arrived more than once.
    """
    repeats = 0
    deadline = Deadline(60)
    for start in range(0, len(records), size or len(records) or 1):
        left = list(records[start : start + (size or len(records))])
        while left:
            assert not deadline.passed(), "The sink does not recover."
            try:
                failed = (await sink.put(left)).failed
            except SinkUnavailableError:
                repeats += 1
                continue
            assert all(each.retryable for each in failed), failed
            repeats += bool(failed)
            left = [left[each.index] for each in failed]
    return repeats


def by_key(records: Sequence[StreamRecord]) -> dict[str, list[bytes]]:
    """Give what each partition key has, in order."""
    found: defaultdict[str, list[bytes]] = defaultdict(list)
    for record in records:
        found[record.partition_key].append(record.data)
    return dict(found)


async def _arrived(bench: SinkBench, repeats: int) -> Sequence[StreamRecord]:
    """Read what arrived: each record once, where some had to be sent again."""
    delivered = await bench.delivered()
    return list(dict.fromkeys(delivered)) if repeats else delivered


def _given(
    action: Callable[[], Awaitable[None]] | None,
) -> Callable[[], Awaitable[None]]:
    if action is None:
        pytest.skip("This cannot be arranged for this sink.")
    return action


def _batches(sink: Sink, *, batches: int) -> Iterator[list[StreamRecord]]:
    """Make batches in which a few keys take turns."""
    size = min(sink.records_max, 50)
    for batch in range(batches):
        numbers = range(batch * size, (batch + 1) * size)
        yield [StreamRecord(f"key-{n * n % 11}", str(n).encode()) for n in numbers]


def _record_of(size: int, partition_key: str) -> StreamRecord:
    return StreamRecord(partition_key, b"x" * (size - len(partition_key)))


def _digests(records: Sequence[StreamRecord]) -> dict[str, list[str]]:
    """Sum up large records, so that a failing comparison stays readable."""
    return {
        key: [hashlib.sha256(data).hexdigest() for data in values]
        for key, values in by_key(records).items()
    }
