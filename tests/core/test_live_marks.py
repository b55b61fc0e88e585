"""Live marks: whoever comes back with one is told of every dataset that has changed."""

from __future__ import annotations

import string
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond import limits
from millpond.core import live_marks
from millpond.core.live_marks import CELLS, NOTHING
from millpond.core.sync import DatasetState, gone

NAMES = st.text(string.ascii_letters + string.digits + "_.:-", min_size=1, max_size=8)
WEIGHTS = st.dictionaries(NAMES, st.integers(1, 2**64), max_size=40)
SAME_CELL = ("a", "kk")  # by their CRC-32


def state(sync_count: int = 5, **others: Any) -> DatasetState:
    """Make a dataset."""
    fields: dict[str, Any] = {
        "exists": True,
        "creation_date_ms": 1,
        "last_modified_date_ms": 1,
        "last_modified_by": "somebody",
        "num_records": 1,
        "data_storage": 1,
    }
    return DatasetState(sync_count=sync_count, **(fields | others))


def back_and_forth(weights: dict[str, int]) -> live_marks.Mark:
    """Make a mark and send it over the wire, both ways."""
    return live_marks.read(live_marks.spell(live_marks.mark_of(weights)))


def test_an_update_weighs_more():
    """A dataset with a higher count weighs more."""
    assert live_marks.weight(state(5)) < live_marks.weight(state(6))


def test_a_deletion_weighs_more():
    """What a deleted dataset leaves behind weighs more than the dataset did."""
    assert live_marks.weight(state(5)) < live_marks.weight(gone(state(5), now_ms=2))


def test_a_merge_weighs_more():
    """A dataset that moves to where another was deleted weighs more, at one count."""
    left = gone(state(5), now_ms=2)
    moved = msgspec.structs.replace(left, exists=True)

    assert live_marks.weight(left) < live_marks.weight(moved)


@given(WEIGHTS)
def test_nothing_changed(weights):
    """Whoever has got everything is told of nothing."""
    assert not live_marks.changed_since(back_and_forth(weights), weights)


@given(WEIGHTS, st.data())
def test_nothing_is_missed(before, data):
    """Whatever was made or changed since is told of."""
    changed = data.draw(st.dictionaries(NAMES, st.integers(1, 1000), max_size=10))
    after = {**before, **{k: before.get(k, 0) + v for k, v in changed.items()}}

    told = live_marks.changed_since(back_and_forth(before), after)

    assert set(changed) <= set(told) <= set(after)


def test_little_else_is_told():
    """A dataset that shares its cell with none that changed is not told of again."""
    before = {"a": 1, "b": 1, "c": 1}

    assert live_marks.changed_since(back_and_forth(before), {**before, "b": 3}) == ["b"]


def test_one_cell():
    """Two datasets in one cell are both told of when one of them has changed."""
    one, other = SAME_CELL
    assert set(live_marks.mark_of(dict.fromkeys(SAME_CELL, 1)).values()) == {2}

    told = live_marks.changed_since(
        back_and_forth({one: 1, other: 3}), {one: 3, other: 3}
    )

    assert set(told) == {one, other}


def test_whoever_knows_nothing():
    """Without anything known, every dataset is told of."""
    assert set(live_marks.changed_since(NOTHING, {"a": 1, "b": 2})) == {"a", "b"}


def test_never_empty():
    """The mark of an identity without datasets is a word: an empty id is not sent."""
    assert live_marks.spell(NOTHING)


@given(WEIGHTS)
def test_plain_characters(weights):
    """An event id needs no escaping, in a header or in a query."""
    allowed = set(string.ascii_lowercase + string.digits + "-.")

    assert set(live_marks.spell(live_marks.mark_of(weights))) <= allowed


def test_bounded():
    """However many datasets there were, an event id can be sent back."""
    weights = {f"dataset-{n}": 2 * limits.LONG_MAX + 1 for n in range(100 * CELLS)}

    event_id = live_marks.spell(live_marks.mark_of(weights))

    assert len(event_id) <= limits.EVENT_ID_CHARS_MAX
    assert not live_marks.changed_since(live_marks.read(event_id), weights)


@pytest.mark.parametrize(
    "event_id",
    [
        *("", "0", "1-", "2-a7.12", "1-a7", "1-a7.", "1-A7.1", "1-100.1", "1-a7.-1"),
        *(" 1-a7.12", "1-a7.12\n", "1-a7.12-", "1a7.12", "\u0661-a7.12", "1-a7.\uff11"),
        "1" + "-a7.1" * (CELLS + 1),
    ],
)
def test_ids_of_others(event_id):
    """An id that is none of ours stands for a reader that knows nothing."""
    assert live_marks.read(event_id) == NOTHING
