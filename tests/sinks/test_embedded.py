"""The embedded sink keeps the sink contract; the registry opens and keeps sinks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from millpond.core import targets
from millpond.core.streaming import StreamRecord
from millpond.errors import (
    SettingsError,
    SinkError,
    SinkUnavailableError,
    StoreError,
    StoreUnavailableError,
    StreamGoneError,
)
from millpond.sinks import (
    Destination,
    SinkRegistry,
    make_sink,
    open_sink,
    sink_factories,
)
from millpond.sinks.base import (
    FailedRecord,
    Sink,
    hold_back_followers,
    is_embedded,
    sink_url,
)
from millpond.sinks.embedded import EmbeddedSink
from millpond.stores.base import NewStreamRecord
from millpond.stores.sqlite import SqliteStore
from millpond.testing.deadlines import seconds
from millpond.testing.fakes import ScriptedSink, scripted_factories
from millpond.testing.sink_contract import SinkBench, SinkContract

NOW_MS = 1_750_000_000_000


class BreakableStore(SqliteStore):
    """A store whose stream writes can be made to fail."""

    failure: StoreError | None = None

    async def put_stream_records(
        self, stream_id: int, records: Sequence[NewStreamRecord], *, now_ms: int
    ) -> list[int] | None:
        if self.failure is not None:
            raise self.failure
        return await super().put_stream_records(stream_id, records, now_ms=now_ms)


@contextlib.asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[BreakableStore]:
    store = BreakableStore(tmp_path)
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


def with_store(
    tmp_path: Path, scene: Callable[[BreakableStore], Awaitable[None]]
) -> None:
    async def run() -> None:
        async with opened(tmp_path) as store:
            await scene(store)

    asyncio.run(run())


async def read_all(store: SqliteStore, stream_name: str) -> list[StreamRecord]:
    stream = await store.find_stream(stream_name)
    assert stream is not None
    found: list[StreamRecord] = []
    for shard in range(stream.shard_count):
        records = await store.list_stream_records(
            stream.stream_id, shard, after=0, limit=10_000, bytes_max=2**30
        )
        found += [StreamRecord(r.partition_key, r.data) for r in records]
    return found


def embedded(store: SqliteStore, stream_name: str = "changes") -> EmbeddedSink:
    return EmbeddedSink(stream_name, store=store, now_ms=lambda: NOW_MS)


class TestEmbeddedSink(SinkContract):
    """The embedded sink keeps the sink contract."""

    @contextlib.asynccontextmanager
    async def bench(self, tmp_path: Path) -> AsyncIterator[SinkBench]:
        async with opened(tmp_path) as store:
            await store.create_stream("changes", shard_count=3, now_ms=NOW_MS)

            async def delivered() -> list[StreamRecord]:
                return await read_all(store, "changes")

            async def remove_stream() -> None:
                await store.delete_stream("changes")

            async def disconnect() -> None:
                store.failure = StoreUnavailableError("The disk is full.")

            async def recreate() -> None:
                await store.delete_stream("changes")
                await store.create_stream("changes", shard_count=3, now_ms=NOW_MS)

            yield SinkBench(
                sink=embedded(store),
                delivered=delivered,
                remove_stream=remove_stream,
                disconnect=disconnect,
                recreate=recreate,
            )


def test_a_stream_created_again_is_found_with_its_new_shards(tmp_path):
    """A sink goes on when its stream is deleted and created with other shards."""

    async def scene(store: BreakableStore) -> None:
        sink = embedded(store)
        await store.create_stream("changes", shard_count=8, now_ms=NOW_MS)
        await sink.open()
        await store.delete_stream("changes")
        await store.create_stream("changes", shard_count=1, now_ms=NOW_MS)
        records = [StreamRecord(f"key-{n}", b"x") for n in range(20)]

        assert (await sink.put(records)).failed == ()
        assert await read_all(store, "changes") == records

    with_store(tmp_path, scene)


def test_a_store_that_fails_for_good_is_not_worth_another_try(tmp_path):
    """A store error that is not retryable is a plain sink error, with its advice."""

    async def scene(store: BreakableStore) -> None:
        await store.create_stream("changes", shard_count=1, now_ms=NOW_MS)
        sink = embedded(store)
        await sink.open()
        store.failure = StoreError("It is broken.", op="write", hint="Look at it.")
        with pytest.raises(SinkError) as caught:
            await sink.put([StreamRecord("a", b"1")])

        assert not caught.value.retryable
        assert (
            str(caught.value)
            == "write: Stream 'changes' cannot be written: It is broken. Look at it."
        )

    with_store(tmp_path, scene)


def test_the_repr_tells_name_and_state(tmp_path):
    """A sink shows which stream it is and whether it is open."""

    async def scene(store: BreakableStore) -> None:
        await store.create_stream("changes", shard_count=1, now_ms=NOW_MS)
        sink = embedded(store)

        assert repr(sink) == "<EmbeddedSink embedded:changes, closed>"
        await sink.open()

        assert repr(sink) == "<EmbeddedSink embedded:changes, open>"

    with_store(tmp_path, scene)


def test_the_registry_opens_a_sink_once_and_keeps_it(tmp_path):
    """Everybody who asks for a stream, also at once, gets the same open sink."""

    async def scene(store: BreakableStore) -> None:
        await store.create_stream("changes", shard_count=1, now_ms=NOW_MS)
        registry = SinkRegistry({}, sink_factories(store=store, now_ms=lambda: NOW_MS))
        first, second = await asyncio.gather(
            registry.get(Destination("changes")), registry.get(Destination("changes"))
        )

        assert first is second
        assert repr(registry) == "<SinkRegistry open: changes>"
        await registry.aclose()
        await registry.aclose()

        assert repr(registry) == "<SinkRegistry open: none>"
        assert first is not await registry.get(Destination("changes"))

    with_store(tmp_path, scene)


def test_the_registry_keeps_no_sink_that_did_not_open(tmp_path):
    """A stream that is created after the first try is found by the next one."""

    async def scene(store: BreakableStore) -> None:
        registry = SinkRegistry({}, sink_factories(store=store, now_ms=lambda: NOW_MS))
        with pytest.raises(StreamGoneError, match="'changes' does not exist"):
            await registry.get(Destination("changes"))
        await store.create_stream("changes", shard_count=1, now_ms=NOW_MS)

        assert await registry.get(Destination("changes"))

    with_store(tmp_path, scene)


def test_only_the_sink_that_failed_is_discarded(tmp_path):
    """One that was opened since by somebody else stays open."""

    async def scene(store: BreakableStore) -> None:
        await store.create_stream("changes", shard_count=1, now_ms=NOW_MS)
        registry = SinkRegistry({}, sink_factories(store=store, now_ms=lambda: NOW_MS))
        destination = Destination("changes")
        failed = await registry.get(destination)
        await registry.discard(destination, failed)
        newer = await registry.get(destination)
        await registry.discard(destination, failed)

        assert newer is not failed
        assert await registry.get(destination) is newer

    with_store(tmp_path, scene)


def test_a_sink_that_does_not_close_holds_nobody_up(monkeypatch):
    """It is left to itself after a time."""
    monkeypatch.setattr("millpond.sinks.CLOSE_S_MAX", 0.01)

    class Stuck(ScriptedSink):
        async def aclose(self) -> None:
            await asyncio.Event().wait()

    async def main() -> None:
        registry = SinkRegistry(
            {"s": "scripted:"}, scripted_factories([], scripted=Stuck())
        )
        await registry.get(Destination("s"))
        async with asyncio.timeout(seconds(20)):
            await registry.aclose()

        assert repr(registry) == "<SinkRegistry open: none>"

    asyncio.run(main())


def test_a_name_may_stand_for_another_embedded_stream(tmp_path):
    """An entry of the table leads to the stream that its URL names."""

    async def scene(store: BreakableStore) -> None:
        await store.create_stream("real", shard_count=1, now_ms=NOW_MS)
        factories = sink_factories(store=store, now_ms=lambda: NOW_MS)
        registry = SinkRegistry({"alias": "embedded:real"}, factories)
        sink = await registry.get(Destination("alias"))
        await sink.put([StreamRecord("a", b"1")])

        assert await read_all(store, "real") == [StreamRecord("a", b"1")]

    with_store(tmp_path, scene)


def test_a_sink_that_fails_to_open_is_closed():
    """`open_sink` lets go of a sink that it could not open."""

    class Unreachable:
        records_max = bytes_max = record_bytes_max = 1
        closed = False

        async def open(self) -> None:
            raise SinkUnavailableError("No route.")

        async def look(self) -> Any:
            raise AssertionError

        async def put(self, records: Sequence[StreamRecord]) -> Any:
            raise AssertionError

        async def aclose(self) -> None:
            self.closed = True

    sink = Unreachable()

    def factory(url: str, role_arn: str | None) -> Sink:
        return sink

    with pytest.raises(SinkUnavailableError):
        asyncio.run(open_sink("far:away", {"far": factory}))

    assert sink.closed


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("kafka://user:secret@host/topic", "begins with embedded, not 'kafka'."),
        ("secret", "begins with embedded, and this one has no scheme."),
        ("", "begins with embedded, and this one has no scheme."),
    ],
)
def test_an_unknown_kind_of_sink_is_refused_at_the_start(url, complaint):
    """The error names the entry and the kinds there are, and repeats no password."""
    with pytest.raises(SettingsError) as caught:
        SinkRegistry(
            {"changes": url}, {"embedded": lambda url, role_arn: pytest.fail(url)}
        )

    message = str(caught.value)

    assert message.startswith("Setting 'streams', entry 'changes': ")
    assert message.endswith(complaint)
    assert "secret" not in message


def test_the_scheme_of_a_url_may_be_in_capitals(tmp_path):
    """Schemes are read as URLs are: capitals make no difference."""
    factories = sink_factories(store=SqliteStore(tmp_path), now_ms=lambda: NOW_MS)

    assert (
        repr(make_sink("EMBEDDED:a:b", factories))
        == "<EmbeddedSink embedded:a:b, closed>"
    )


def test_a_stream_without_an_entry_is_embedded():
    """The table alone says whether a name is an embedded stream."""
    streams = {"own": "embedded:own", "alias": "embedded:own", "far": "kinesis://far"}

    assert sink_url(streams, "none") == "embedded:none"
    assert sink_url(streams, "far") == "kinesis://far"
    assert [
        name for name in ("own", "alias", "far", "none") if is_embedded(streams, name)
    ] == ["own", "none"]


def test_followers_of_a_failed_record_are_held_back():
    """Only records of the same key behind the failed one count as failed too."""
    records = [StreamRecord(key, b"") for key in "abab"]
    failed = FailedRecord(1, "No.", retryable=True)

    assert hold_back_followers(records, []).failed == ()
    assert (
        failed,
        FailedRecord(3, "It stands behind record 1.", retryable=True),
    ) == hold_back_followers(records, [failed]).failed


def test_a_stream_is_kept_as_long_as_it_says_itself_or_the_setting(tmp_path):
    """Its own retention counts before that of the setting."""

    async def scene(store: BreakableStore) -> None:
        await store.create_stream("changes", shard_count=1, now_ms=NOW_MS)
        sink = EmbeddedSink(
            "changes", store=store, now_ms=lambda: NOW_MS, retention_ms=90_000
        )
        await sink.open()
        target = await sink.look()
        assert target.keeps_ms == 90_000
        fault = targets.loss(targets.mark(target), target, elapsed_ms=90_000)
        assert fault is not None
        assert "stream_retention_s=90" in fault.cause
        stream = await store.find_stream("changes")
        assert stream is not None
        await store.update_stream(
            stream.stream_id, lambda s: msgspec.structs.replace(s, retention_hours=48)
        )

        assert (await sink.look()).keeps_ms == 48 * 3_600_000

    with_store(tmp_path, scene)
