"""The store contract, embedded streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from millpond.stores.base import NewStreamRecord, Store, Stream, StreamsUsage
from millpond.testing.store_contract.bench import AWKWARD_TEXTS, NOW_MS, StoreBench


async def a_stream(
    store: Store, stream_name: str = "changes", *, shard_count: int = 2
) -> Stream:
    """Create a stream."""
    assert await store.create_stream(
        stream_name, shard_count=shard_count, now_ms=NOW_MS
    )
    stream = await store.find_stream(stream_name)
    assert stream is not None
    return stream


def keep_longer(stream: Stream) -> Stream:
    """Give a stream everything that can be said of it."""
    return msgspec.structs.replace(
        stream, retention_hours=48, stream_mode="ON_DEMAND", tags={"team": "é"}
    )


async def append(
    store: Store, stream: Stream, *data: bytes, shard: int = 0, at: int = NOW_MS
) -> Sequence[int]:
    """Put records into a shard; return their sequence numbers."""
    records = [NewStreamRecord(shard, "key", each) for each in data]
    numbers = await store.put_stream_records(stream.stream_id, records, now_ms=at)
    assert numbers is not None
    return numbers


async def data_of(store: Store, stream: Stream, shard: int = 0) -> list[bytes]:
    """Read all data of a shard."""
    found = await store.list_stream_records(
        stream.stream_id, shard, after=0, limit=1000, bytes_max=2**20
    )
    return [each.data for each in found]


class StreamContract(StoreBench):
    """Embedded streams and the payloads that were too large for them."""

    # --- Streams ----------------------------------------------------------------------

    def test_a_stream_is_created_once(self, tmp_path: Path) -> None:
        """A name can be taken once; the stream keeps what it was created with."""

        async def scene(store: Store) -> None:
            stream = await a_stream(store, shard_count=5)
            again = await store.create_stream("changes", shard_count=1, now_ms=1)

            assert not again
            assert stream == await store.find_stream("changes")
            assert (
                stream.stream_name,
                stream.shard_count,
                stream.creation_date_ms,
            ) == ("changes", 5, NOW_MS)
            assert await store.find_stream("Changes") is None

        self.play(tmp_path, scene)

    def test_streams_are_listed_by_name(self, tmp_path: Path) -> None:
        """Streams stand in the order of their names, in pages."""
        names = ["b", "a", "C", "a.b"]

        async def scene(store: Store) -> None:
            for name in names:
                await a_stream(store, name)
            wanted = sorted(names)
            listed = await store.list_streams(after=None, limit=10)

            assert wanted == [each.stream_name for each in listed]
            assert listed[1:3] == await store.list_streams(after=wanted[0], limit=2)
            assert await store.list_streams(after=wanted[-1], limit=2) == []

        self.play(tmp_path, scene)

    def test_what_is_said_of_a_stream_is_kept(self, tmp_path: Path) -> None:
        """Retention, mode and tags change together or not at all."""

        async def scene(store: Store) -> None:
            stream = await a_stream(store)
            assert (stream.retention_hours, stream.stream_mode, stream.tags) == (
                None,
                "PROVISIONED",
                {},
            )
            changed = await store.update_stream(stream.stream_id, keep_longer)

            assert changed == keep_longer(stream) == await store.find_stream("changes")
            assert await store.list_streams(after=None, limit=9) == [changed]

            def refuse(stream: Stream) -> Stream:
                raise LookupError

            with pytest.raises(LookupError):
                await store.update_stream(stream.stream_id, refuse)
            assert changed == await store.find_stream("changes")
            await store.delete_stream("changes")
            assert await store.update_stream(stream.stream_id, keep_longer) is None
            assert await store.update_stream(7, keep_longer) is None

        self.play(tmp_path, scene)

    def test_changes_of_a_stream_do_not_get_lost(self, tmp_path: Path) -> None:
        """Of many at once, each sees what the one before it has made."""

        async def scene(store: Store) -> None:
            stream = await a_stream(store)

            def tagging(key: str) -> Callable[[Stream], Stream]:
                return lambda each: msgspec.structs.replace(
                    each, tags=each.tags | {key: "v"}
                )

            keys = [f"k{n}" for n in range(8)]
            await asyncio.gather(
                *(store.update_stream(stream.stream_id, tagging(key)) for key in keys)
            )

            found = await store.find_stream("changes")
            assert found is not None
            assert sorted(found.tags) == keys

        self.play(tmp_path, scene)

    def test_streams_are_counted(self, tmp_path: Path) -> None:
        """Shards of all streams, and the streams of the other mode."""

        async def scene(store: Store) -> None:
            assert await store.measure_streams() == StreamsUsage(0, 0, None)
            await a_stream(store, "one", shard_count=3)
            await a_stream(store, "gone", shard_count=100)
            await store.create_stream(
                "two", shard_count=4, now_ms=1, stream_mode="ON_DEMAND", tags={"k": "v"}
            )
            await store.delete_stream("gone")
            found = await store.find_stream("two")
            assert found is not None
            await store.update_stream(found.stream_id, keep_longer)
            one = await store.find_stream("one")

            assert await store.measure_streams() == StreamsUsage(7, 1, 48)
            assert one is not None
            assert one.retention_hours is None
            assert (found.stream_mode, found.tags) == ("ON_DEMAND", {"k": "v"})

        self.play(tmp_path, scene)

    def test_a_deleted_stream_does_not_exist(self, tmp_path: Path) -> None:
        """It takes no records any more; its name is free for an empty one."""

        async def scene(store: Store) -> None:
            old = await a_stream(store)
            await append(store, old, b"old")
            assert await store.delete_stream("changes")
            put = await store.put_stream_records(
                old.stream_id, [NewStreamRecord(0, "k", b"x")], now_ms=NOW_MS
            )

            assert put is None
            assert not await store.delete_stream("changes")
            assert await store.find_stream("changes") is None
            assert await store.list_streams(after=None, limit=10) == []
            new = await a_stream(store)
            assert new.stream_id != old.stream_id
            assert await data_of(store, new) == []

        self.play(tmp_path, scene)

    def test_an_unknown_stream_takes_no_records(self, tmp_path: Path) -> None:
        """Putting into a stream that never was answers None."""

        async def scene(store: Store) -> None:
            records = [NewStreamRecord(0, "k", b"x")]

            assert await store.put_stream_records(7, records, now_ms=1) is None
            assert await store.find_stream("changes") is None
            assert not await store.delete_stream("changes")

        self.play(tmp_path, scene)

    # --- Records ----------------------------------------------------------------------

    def test_records_come_back_as_they_went_in(self, tmp_path: Path) -> None:
        """Keys and bytes are unchanged, in order, with the time of their arrival."""
        keys = [*AWKWARD_TEXTS, ""]

        async def scene(store: Store) -> None:
            stream = await a_stream(store)
            put = [NewStreamRecord(0, key, key.encode() + b"\0\xff") for key in keys]
            numbers = await store.put_stream_records(
                stream.stream_id, put, now_ms=NOW_MS
            )
            found = await store.list_stream_records(
                stream.stream_id, 0, after=0, limit=100, bytes_max=2**20
            )

            assert numbers == [each.sequence_number for each in found]
            assert keys == [each.partition_key for each in found]
            assert [each.data for each in put] == [each.data for each in found]
            assert {NOW_MS} == {each.arrival_ms for each in found}

        self.play(tmp_path, scene)

    def test_shards_part_a_stream(self, tmp_path: Path) -> None:
        """A record is in the shard it was put into, and in no other stream."""

        async def scene(store: Store) -> None:
            one, two = await a_stream(store, "one"), await a_stream(store, "two")
            await append(store, one, b"1", b"2", shard=0)
            await append(store, one, b"3", shard=1)
            await append(store, two, b"4", shard=0)
            await append(store, one, b"5", shard=0)

            assert await data_of(store, one, 0) == [b"1", b"2", b"5"]
            assert await data_of(store, one, 1) == [b"3"]
            assert await data_of(store, two, 0) == [b"4"]
            assert await data_of(store, two, 1) == []

        self.play(tmp_path, scene)

    def test_sequence_numbers_grow_and_are_unique(self, tmp_path: Path) -> None:
        """Many puts at once get numbers of their own, in the order of each put."""

        async def scene(store: Store) -> None:
            stream = await a_stream(store)
            answers = await asyncio.gather(
                *(append(store, stream, b"a", b"b", b"c") for _ in range(20))
            )
            numbers = [number for answer in answers for number in answer]

            assert len(set(numbers)) == 60
            assert min(numbers) > 0
            for answer in answers:
                assert sorted(answer) == list(answer)

        self.play(tmp_path, scene)

    def test_an_empty_put_puts_nothing(self, tmp_path: Path) -> None:
        """No records get no numbers."""

        async def scene(store: Store) -> None:
            stream = await a_stream(store)

            assert await append(store, stream) == []
            assert await data_of(store, stream) == []

        self.play(tmp_path, scene)

    def test_reading_goes_on_behind_a_number(self, tmp_path: Path) -> None:
        """`after` is exclusive, `limit` and `bytes_max` bound, one comes at least."""

        async def scene(store: Store) -> None:
            stream = await a_stream(store)
            data = [b"aaaa", b"bbbb", b"cccc", b"ddddddddd", b"e"]
            numbers = await append(store, stream, *data)

            async def read(after: int, limit: int, bytes_max: int) -> list[bytes]:
                found = await store.list_stream_records(
                    stream.stream_id, 0, after=after, limit=limit, bytes_max=bytes_max
                )
                return [each.data for each in found]

            assert data == await read(0, 9, 22)
            assert data[:4] == await read(0, 9, 21)
            assert data[1:] == await read(numbers[0], 9, 99)
            assert data[1:3] == await read(numbers[0], 2, 99)
            assert data[:2] == await read(0, 9, 8)
            assert data[:1] == await read(0, 9, 1)
            assert await read(numbers[-1], 9, 99) == []

        self.play(tmp_path, scene)

    # --- Time -------------------------------------------------------------------------

    def test_arrival_never_falls(self, tmp_path: Path) -> None:
        """When the clock steps back, records arrive at the last time and not before."""

        async def scene(store: Store) -> None:
            stream = await a_stream(store)
            for at in (NOW_MS, NOW_MS - 5000, NOW_MS + 1, NOW_MS - 1, NOW_MS + 2):
                await append(store, stream, b"x", at=at)
            found = await store.list_stream_records(
                stream.stream_id, 0, after=0, limit=9, bytes_max=99
            )
            arrivals = [each.arrival_ms - NOW_MS for each in found]

            assert arrivals == [0, 0, 1, 1, 2]

        self.play(tmp_path, scene)

    def test_the_last_sequence_number_is_found(self, tmp_path: Path) -> None:
        """It is that of the shard's last record; 0 when there is none."""

        async def scene(store: Store) -> None:
            stream = await a_stream(store)
            find = store.find_sequence_number
            assert await find(stream.stream_id, 0) == 0
            (first, second) = await append(store, stream, b"1", b"2", shard=0)
            (third,) = await append(store, stream, b"3", shard=1)

            assert first < second < third
            assert second == await find(stream.stream_id, 0)
            assert third == await find(stream.stream_id, 1)

        self.play(tmp_path, scene)

    def test_a_sequence_number_is_found_by_time(self, tmp_path: Path) -> None:
        """It is the last of the shard that arrived before the time, exclusive."""
        # Other streams and the other shard stand between, as in a busy store.
        plan = [
            (s, shard, t) for t in range(0, 40, 4) for s in (0, 1) for shard in (0, 1)
        ]

        async def scene(store: Store) -> None:
            streams = [await a_stream(store, "one"), await a_stream(store, "two")]
            arrived: dict[tuple[int, int], list[tuple[int, int]]] = {}
            for which, shard, time in plan:
                if (which + shard + time // 4) % 3 == 0:
                    continue
                (number,) = await append(
                    store, streams[which], b"x", shard=shard, at=NOW_MS + time
                )
                arrived.setdefault((which, shard), []).append((time, number))
            for (which, shard), records in arrived.items():
                for time in range(-2, 44):
                    wanted = max((n for t, n in records if t < time), default=0)
                    found = await store.find_sequence_number(
                        streams[which].stream_id, shard, arrived_before_ms=NOW_MS + time
                    )

                    assert wanted == found

        self.play(tmp_path, scene)

    def test_time_in_an_empty_stream_finds_nothing(self, tmp_path: Path) -> None:
        """Without records every time answers 0."""

        async def scene(store: Store) -> None:
            stream = await a_stream(store)
            for time in (0, NOW_MS, 2**52):
                found = await store.find_sequence_number(
                    stream.stream_id, 0, arrived_before_ms=time
                )
                assert found == 0

        self.play(tmp_path, scene)

    # --- Payloads ---------------------------------------------------------------------

    def test_a_payload_is_found_until_it_expires(self, tmp_path: Path) -> None:
        """It comes back whole before its time and not at it."""
        data = bytes(range(256)) * 8192

        async def scene(store: Store) -> None:
            await store.put_stream_payload("one", data, expires_ms=NOW_MS)
            await store.put_stream_payload("two", b"", expires_ms=NOW_MS + 1)
            find = store.find_stream_payload

            assert data == await find("one", now_ms=NOW_MS - 1)
            assert await find("one", now_ms=NOW_MS) is None
            assert await find("two", now_ms=NOW_MS) == b""
            assert await find("three", now_ms=NOW_MS) is None
            await store.put_stream_payload("one", b"again", expires_ms=NOW_MS + 9)
            assert await find("one", now_ms=NOW_MS + 8) == b"again"

        self.play(tmp_path, scene)
