"""A consumer comes to the state of the pool, in whatever order it reads the stream."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.core import streaming
from millpond.core.stream_consumer import (
    DatasetView,
    KnownDataset,
    ReadRecord,
    decode_event,
    decode_records,
    take,
)
from millpond.core.sync import DatasetId, StoredRecord

DATASET = DatasetId("us-east-1:pool", "us-east-1:ann", "prefs")
KEYS = "abc"


class Pool:
    """One dataset of a pool, with what it has told its stream."""

    def __init__(self) -> None:
        self.count = 0
        self.live: dict[str, StoredRecord] | None = None  # tombstones, too
        self.events: list[bytes] = []
        self.snapshots: list[bytes] = []

    def update(self, patches: dict[str, str | None]) -> None:
        self.count += 1
        changed = [
            StoredRecord(key, value, self.count, 7, "me", None)
            for key, value in patches.items()
        ]
        self.live = {**(self.live or {}), **{each.key: each for each in changed}}
        self.events.append(
            streaming.update_event(
                DATASET, changed, sync_count=self.count, last_modified_date_ms=7
            )
        )

    def delete(self) -> None:
        if self.live is None:
            return
        self.count += 1
        self.live = None
        self.events.append(
            streaming.deletion_event(
                DATASET, sync_count=self.count, last_modified_date_ms=7
            )
        )

    def publish(self) -> None:
        if self.live is None:
            return
        records = [
            {"key": each.key, "value": each.value, "syncCount": each.sync_count}
            for each in self.live.values()
            if each.value is not None
        ]
        self.snapshots.append(
            streaming.snapshot_event(
                DATASET,
                msgspec.json.encode(records),
                sync_count=self.count,
                last_modified_date_ms=7,
            )
        )

    @property
    def values(self) -> dict[str, str]:
        return {
            key: each.value
            for key, each in (self.live or {}).items()
            if each.value is not None
        }


patches = st.dictionaries(
    st.sampled_from(KEYS), st.one_of(st.none(), st.text(max_size=2)), min_size=1
)
steps = st.lists(
    st.one_of(patches, st.just("delete"), st.just("publish")), min_size=1, max_size=14
)


def play(history: list) -> Pool:
    pool = Pool()
    for step in history:
        if step == "delete":
            pool.delete()
        elif step == "publish":
            pool.publish()
        else:
            pool.update(step)
    return pool


def read(view: DatasetView, data: bytes) -> bool:
    event = decode_event(data)
    assert event is not None
    return view.take(event, event.kinesis_sync_records or [])


def assert_same(pool: Pool, view: DatasetView) -> None:
    assert pool.values == view.values
    assert view.known.exists == (pool.live is not None)


@given(history=steps, data=st.data())
def test_any_order_with_repeats_comes_to_the_state_of_the_pool(history, data):
    """Everything arrives at least once, snapshots overtake or come late; no matter."""
    pool = play(history)
    told = [*pool.events, *pool.snapshots]
    repeats = data.draw(st.lists(st.sampled_from(told), max_size=8)) if told else []
    view = DatasetView()
    for each in data.draw(st.permutations([*told, *repeats])):
        read(view, each)

    assert_same(pool, view)


@given(history=steps, data=st.data())
@settings(max_examples=50)
def test_what_was_read_is_no_news(history, data):
    """When everything was read, nothing of it changes anything any more."""
    pool = play(history)
    view = DatasetView()
    for each in pool.events:
        assert read(view, each)
    before = view.known, dict(view.records)

    told = data.draw(st.permutations([*pool.events, *pool.snapshots]))
    assert not any(read(view, each) for each in told)
    assert (view.known, view.records) == before


@given(before=steps, after=steps)
def test_a_snapshot_alone_is_the_state(before, after):
    """A consumer that begins with a bulk publish, and reads on, misses nothing."""
    pool = play([*before, {"a": "1"}, "publish"])
    already = len(pool.events)
    view = DatasetView()
    assert read(view, pool.snapshots[-1])
    assert_same(pool, view)
    for step in after:
        if step == "delete":
            pool.delete()
        elif step != "publish":
            pool.update(step)
    for each in pool.events[already:]:
        read(view, each)

    assert_same(pool, view)


def test_a_deleted_dataset_is_not_resurrected():
    """Neither a repeat nor a late bulk publish brings it back; a new one is new."""
    pool = play([{"a": "1", "b": "1"}, "publish", {"b": None}, "delete"])
    view = DatasetView()
    for each in [*pool.events, *pool.snapshots, *pool.events]:
        read(view, each)

    assert view.values == {}
    assert not view.known.exists
    pool.update({"a": "2"})
    read(view, pool.events[-1])

    assert view.values == {"a": "2"}
    assert view.known == KnownDataset(seen=4, removed=3)


def test_an_empty_dataset_is_known():
    """A snapshot without records tells that there is a dataset."""
    pool = play([{"a": None}, "publish"])
    view = DatasetView()

    assert read(view, pool.snapshots[0])
    assert view.known.exists
    assert not read(view, pool.snapshots[0])


def test_a_link_is_named():
    """Records that stand aside are named by their link alone."""
    pool = play([{"a": "1"}])
    moved = streaming.move_records_out(pool.events[0], "http://here/x")
    event = decode_event(moved)
    assert event is not None

    assert event.records_url == "http://here/x"
    assert event.kinesis_sync_records is None
    records = decode_records(streaming.records_of(pool.events[0]))
    assert records == [ReadRecord("a", 1, "1", 7, 7)]
    assert take(event, records, known=KnownDataset(), sync_counts={}) is not None


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"\xff", b"[1]", b'{"identityPoolId": 1}', b"[" * 100_000]
)
def test_what_is_no_event_is_none(data):
    """Anybody may put records into a stream."""
    assert decode_event(data) is None
    assert decode_records(data) is None
