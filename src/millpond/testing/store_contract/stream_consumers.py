"""The store contract, consumers of embedded streams."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from millpond.stores.base import Store, Stream, StreamConsumer
from millpond.testing.store_contract.bench import NOW_MS, StoreBench
from millpond.testing.store_contract.streams import a_stream


def a_consumer(
    stream_id: int, name: str = "app", *, tags: dict[str, str] | None = None
) -> StreamConsumer:
    """Make a consumer."""
    return StreamConsumer(
        stream_id=stream_id,
        consumer_name=name,
        creation_date_ms=NOW_MS,
        tags=tags or {},
    )


def anyhow(others: Sequence[StreamConsumer]) -> None:
    """Register it whoever else there is."""


async def register_all(
    store: Store, stream: Stream, *names: str, tags: dict[str, str] | None = None
) -> None:
    """Register consumers."""
    for name in names:
        consumer = a_consumer(stream.stream_id, name, tags=tags)
        assert await store.create_stream_consumer(consumer, anyhow)


class StreamConsumerContract(StoreBench):
    """Consumers that are registered with embedded streams."""

    def test_a_consumer_is_found_as_it_was_registered(self, tmp_path: Path) -> None:
        """By its stream and its name, with its tags."""
        tags = {"team": "é", "empty": ""}

        async def scene(store: Store) -> None:
            one, two = await a_stream(store, "one"), await a_stream(store, "two")
            await register_all(store, one, "app", tags=tags)
            find = store.find_stream_consumer

            assert await find(one.stream_id, "app") == a_consumer(
                one.stream_id, tags=tags
            )
            assert await find(one.stream_id, "App") is None
            assert await find(two.stream_id, "app") is None

        self.play(tmp_path, scene)

    def test_who_is_there_decides(self, tmp_path: Path) -> None:
        """Of many at once, each is told of those before it; none slips in between."""

        async def scene(store: Store) -> None:
            stream = await a_stream(store)

            def at_most_three(others: Sequence[StreamConsumer]) -> None:
                if len(others) >= 3:
                    raise LookupError

            async def register(name: str) -> bool:
                consumer = a_consumer(stream.stream_id, name)
                return await store.create_stream_consumer(consumer, at_most_three)

            answers = await asyncio.gather(
                *(register(f"app-{n}") for n in range(6)), return_exceptions=True
            )
            listed = await store.list_stream_consumers(
                stream.stream_id, after=None, limit=9
            )

            assert answers.count(True) == len(listed) == 3
            assert sum(isinstance(each, LookupError) for each in answers) == 3

        self.play(tmp_path, scene)

    def test_consumers_are_listed_by_name(self, tmp_path: Path) -> None:
        """They stand in the order of their names, in pages."""

        async def scene(store: Store) -> None:
            stream = await a_stream(store)
            await register_all(store, stream, "b", "a", "C", "a.b")
            listing = store.list_stream_consumers

            listed = await listing(stream.stream_id, after=None, limit=9)
            assert [each.consumer_name for each in listed] == ["C", "a", "a.b", "b"]
            assert listed[1:3] == await listing(stream.stream_id, after="C", limit=2)
            assert await listing(stream.stream_id, after="b", limit=2) == []

        self.play(tmp_path, scene)

    def test_tags_of_a_consumer_change(self, tmp_path: Path) -> None:
        """The change is kept; a consumer that is gone has none."""

        async def scene(store: Store) -> None:
            stream = await a_stream(store)
            await register_all(store, stream, "app", "other")

            def tag(consumer: StreamConsumer) -> StreamConsumer:
                return msgspec.structs.replace(consumer, tags={"k": "v"})

            changed = await store.update_stream_consumer(stream.stream_id, "app", tag)

            find = store.find_stream_consumer
            assert changed == await find(stream.stream_id, "app")
            assert changed is not None
            assert changed.tags == {"k": "v"}
            other = await find(stream.stream_id, "other")
            assert other == a_consumer(stream.stream_id, "other")
            missing = await store.update_stream_consumer(stream.stream_id, "none", tag)
            assert missing is None

        self.play(tmp_path, scene)

    def test_a_consumer_is_forgotten_once(self, tmp_path: Path) -> None:
        """Then its name is free."""

        async def scene(store: Store) -> None:
            stream = await a_stream(store)
            await register_all(store, stream, "app")
            delete = store.delete_stream_consumer

            assert await delete(stream.stream_id, "app")
            assert not await delete(stream.stream_id, "app")
            assert await store.find_stream_consumer(stream.stream_id, "app") is None
            await register_all(store, stream, "app")

        self.play(tmp_path, scene)

    @pytest.mark.parametrize("deleted", [True, False])
    def test_a_stream_that_is_gone_has_no_consumers(
        self, tmp_path: Path, deleted: bool
    ) -> None:
        """Nobody is registered with a stream that was deleted, or never was."""

        async def scene(store: Store) -> None:
            stream_id = 7
            if deleted:
                stream = await a_stream(store)
                await register_all(store, stream, "early")
                stream_id = stream.stream_id
                await store.delete_stream("changes")

            late = a_consumer(stream_id, "late")
            assert not await store.create_stream_consumer(late, anyhow)
            for name in ("early", "late"):
                assert await store.find_stream_consumer(stream_id, name) is None

        self.play(tmp_path, scene)
