"""Payloads of large stream records are put side by side, and none is left behind."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from millpond.core.streaming import StreamRecord
from millpond.errors import SinkError
from millpond.service.stream_payloads import PUT_S_MAX, PUTS_AT_ONCE, fit
from millpond.settings import Settings
from millpond.sinks.embedded import EmbeddedSink
from millpond.stores.sqlite import SqliteStore
from millpond.testing.deadlines import seconds
from service.stage import make_context

LIMIT = 1000


class Sink(EmbeddedSink):
    """A sink that takes little."""

    record_bytes_max = LIMIT  # type: ignore[misc]


class Payloads:
    """A payload store in which puts wait until as many are there as are expected."""

    def __init__(self, expected: int, *, failing: frozenset[int] = frozenset()) -> None:
        self.lifetimes_s: set[int] = set()
        self.running = 0
        self.most = 0
        self._expected = expected
        self._failing = failing
        self._all_here = asyncio.Event()

    async def put(self, data: bytes, *, name: str, lifetime_s: int) -> str:
        number = json.loads(data)[0]["n"]
        self.lifetimes_s.add(lifetime_s)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self.running == self._expected:
                self._all_here.set()
            async with asyncio.timeout(seconds(10)):
                await self._all_here.wait()
            if number in self._failing:
                raise SinkError(f"Payload {number} cannot be kept.")
            if self._failing:
                await asyncio.Event().wait()
            await asyncio.sleep(0)
        finally:
            self.running -= 1
        return f"http://pond.test/{number}"

    async def aclose(self) -> None:
        """Nothing is open."""


def event(number: int, *, is_large: bool) -> StreamRecord:
    records = [{"n": number, "value": "x" * (LIMIT if is_large else 1)}]
    data = {"kinesisSyncRecords": records, "kinesisSyncRecordsURL": None}
    return StreamRecord("key", json.dumps(data).encode(), f"id-{number}")


async def fitted(
    tmp_path: Path,
    payloads: Payloads,
    records: list[StreamRecord],
    *,
    retention_hours: int | None = None,
) -> list[StreamRecord]:
    store = SqliteStore(tmp_path)
    sink = Sink("changes", store=store, now_ms=lambda: 0)
    context = make_context(store, Settings(), lambda: 0, payloads=payloads)
    await store.open()
    try:
        if retention_hours is not None:
            await store.create_stream("changes", shard_count=1, now_ms=0)
            stream = await store.find_stream("changes")
            assert stream is not None
            await store.update_stream(
                stream.stream_id,
                lambda each: msgspec.structs.replace(
                    each, retention_hours=retention_hours
                ),
            )
        return list(await fit(context, sink, records))
    finally:
        await store.aclose()


def test_payloads_are_put_side_by_side_and_records_keep_their_order(tmp_path):
    """As many puts as are allowed run at once, and each record gets its own link."""
    records = [event(n, is_large=n % 3 > 0) for n in range(60)]

    async def main() -> None:
        payloads = Payloads(PUTS_AT_ONCE)
        found = await fitted(tmp_path, payloads, records)

        assert payloads.most == PUTS_AT_ONCE
        assert [each.message_id for each in found] == [f"id-{n}" for n in range(60)]
        for number, (before, after) in enumerate(zip(records, found, strict=True)):
            if number % 3 == 0:
                assert after is before
            else:
                url = json.loads(after.data)["kinesisSyncRecordsURL"]
                assert url == f"http://pond.test/{number}"

    asyncio.run(main())


@pytest.mark.parametrize(("hours", "least"), [(None, 24), (24, 24), (8760, 8760)])
def test_a_link_lives_as_long_as_a_record_may(tmp_path, hours, least):
    """Also where a stream keeps its records for longer than the settings say."""

    async def main() -> None:
        payloads = Payloads(1)
        records = [event(0, is_large=True)]
        await fitted(tmp_path, payloads, records, retention_hours=hours)

        assert payloads.lifetimes_s == {least * 3600 + PUT_S_MAX}

    asyncio.run(main())


def test_the_first_failure_ends_all_puts(tmp_path):
    """It is raised as it is, and no put goes on behind the caller's back."""
    records = [event(n, is_large=True) for n in range(60)]

    async def main() -> None:
        payloads = Payloads(PUTS_AT_ONCE, failing=frozenset({3}))
        with pytest.raises(SinkError, match="Payload 3"):
            await fitted(tmp_path, payloads, records)

        assert payloads.running == 0

    asyncio.run(main())
