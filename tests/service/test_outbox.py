"""Looking at the outbox and at the newest stream records, and mending the former."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from millpond.core.streaming import update_event
from millpond.core.sync import DatasetId
from millpond.errors import NotFoundError
from millpond.service.looking import newest_records, outbox
from millpond.service.looking.newest_records import NewestRecord
from millpond.service.outbox import discard_parked, retry_parked
from millpond.stores.base import NewStreamRecord, Store
from millpond.stores.sqlite import SqliteStore
from millpond.testing.store_contract.bench import (
    ALICE,
    NOW_MS,
    OTHER_POOL,
    POOL,
    a_pool,
    put,
)

Scene = Callable[[Store], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Scene], None]:
    """Run a scene on a store with a pool."""

    def run(scene: Scene) -> None:
        async def on_store() -> None:
            store = SqliteStore(tmp_path)
            await store.open()
            await store.create_identity_pool(a_pool(), pools_max=9)
            try:
                await scene(store)
            finally:
                await store.aclose()

        asyncio.run(on_store())

    return run


def an_event(dataset_name: str, *, pool: str = POOL, identity: str = ALICE) -> bytes:
    """Encode a change without records."""
    dataset_id = DatasetId(pool, identity, dataset_name)
    return update_event(dataset_id, [], sync_count=1, last_modified_date_ms=NOW_MS)


async def park(store: Store, *events: bytes) -> list[int]:
    """Park changes; return their ids."""
    for each in events:
        await put(store, DatasetId(POOL, ALICE, "d"), {"k": "v"}, event=each)
    entries = await store.list_outbox(POOL, limit=99, bytes_max=2**24)
    await store.park_outbox(POOL, [(each, "no") for each in entries], now_ms=NOW_MS)
    return [each.outbox_id for each in entries]


def test_entries_are_listed_with_the_names_of_their_datasets(play):
    """Whatever the names are; of what is no event of ours there is none."""
    odd = 'a"},"dataSetName":"b\\\u202e'
    events = [
        an_event("prefs"),
        an_event(odd, identity='x"\\'),
        b"no event",
        an_event("cut")[:90],
        b'{"identityPoolId":"p","identityId":"i","dataSetName":"\\ud800"}',
        b"",
    ]

    async def scene(store: Store) -> None:
        await park(store, *events)
        first = await outbox.list_entries(store, POOL, parked=True, after=0, limit=4)
        assert first.next_position is not None
        rest = await outbox.list_entries(
            store, POOL, parked=True, after=first.next_position, limit=4
        )

        names = [each.dataset_name for each in (*first.items, *rest.items)]
        assert names == ["prefs", odd, None, None, None, None]
        assert rest.next_position is None

    play(scene)


def test_counts_go_no_further_than_they_are_shown(play, monkeypatch):
    """Beyond the bound it is said that there are more."""
    monkeypatch.setattr(outbox, "COUNT_MAX", 2)

    async def scene(store: Store) -> None:
        await park(store, b"1", b"2", b"3")
        await put(store, DatasetId(POOL, ALICE, "d"), {"k": "v"}, event=b"4")
        (listed,) = (await outbox.list_outboxes(store, after=None, limit=9)).items

        assert listed == await outbox.describe_outbox(store, POOL)
        assert listed.parked == outbox.BoundedCount(2, more=True)
        assert listed.waiting == outbox.BoundedCount(1, more=False)

    play(scene)


@pytest.mark.parametrize("number", [0, -1, 2**63 - 1, 2**63, 2**70])
def test_an_id_that_is_not_parked_is_not_found(play, number):
    """Whatever number it is; and nothing is done to those that were named beside it."""

    async def scene(store: Store) -> None:
        (parked,) = await park(store, b"x")
        with pytest.raises(NotFoundError, match=f"{number} is not parked"):
            await outbox.find_parked(store, POOL, number)
        for change in (retry_parked, discard_parked):
            with pytest.raises(NotFoundError, match=f"{number} is not parked"):
                await change(store, POOL, [parked, number])
            with pytest.raises(NotFoundError, match="no identity pool"):
                await change(store, OTHER_POOL, None)
        assert (await outbox.find_parked(store, POOL, parked)).reason == "no"

    play(scene)


def test_the_newest_records_of_a_stream_are_read_from_its_end(play):
    """Some of each shard, by their arrival; then back in one of them to its first."""

    async def scene(store: Store) -> None:
        await store.create_stream("changes", shard_count=2, now_ms=NOW_MS)
        stream = await newest_records.find_stream(store, "changes")
        for number in range(10):
            record = NewStreamRecord(number % 2, "key", b"%d" % number)
            if number == 9:
                record = NewStreamRecord(1, ALICE, an_event("prefs"))
            await store.put_stream_records(
                stream.stream_id, [record], now_ms=NOW_MS + number
            )

        def arrivals(found: list[NewestRecord]) -> list[int]:
            return [each.arrival_ms - NOW_MS for each in found]

        found = await newest_records.list_newest(store, stream, limit=4)
        assert arrivals(found) == [9, 8, 7, 6]
        assert found[0].event is not None
        assert (found[0].event.data_set_name, found[1].event) == ("prefs", None)
        before, pages = None, []
        while True:
            page = await newest_records.look_back_in_shard(
                store, stream, 1, before=before, limit=2
            )
            pages.append(arrivals([*page.items]))
            if (before := page.next_position) is None:
                break
        assert pages == [[9, 7], [5, 3], [1]]

    play(scene)


def test_large_records_of_a_stream_are_a_few_at_a_time(play, monkeypatch):
    """A page ends early when its bytes are spent, and the next one goes on there."""
    monkeypatch.setattr(newest_records, "BYTES_AT_ONCE", 5)

    async def scene(store: Store) -> None:
        await store.create_stream("changes", shard_count=1, now_ms=NOW_MS)
        stream = await newest_records.find_stream(store, "changes")
        records = [NewStreamRecord(0, "key", b"%d" % n * 4) for n in range(3)]
        await store.put_stream_records(stream.stream_id, records, now_ms=NOW_MS)
        before, seen = None, 0
        while True:
            page = await newest_records.look_back_in_shard(
                store, stream, 0, before=before, limit=9
            )
            seen += len(page.items)
            assert len(page.items) <= 2
            if (before := page.next_position) is None:
                break

        assert seen == 3

    play(scene)
