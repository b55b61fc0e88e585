"""Places in lists: what links lead to the next page, and what people make of them."""

from __future__ import annotations

from typing import Any

import pytest

from millpond.console.base import Ask, Fields, Refused
from millpond.console.places import read_cursor, spell_cursor
from millpond.service.looking.datasets import RecordPosition


@pytest.mark.parametrize(
    ("kind", "place"),
    [(str, "é\U0001f600"), (int, 2**63 - 1), (RecordPosition, RecordPosition(-1, "k"))],
)
def test_a_place_is_read_as_it_was_spelt(kind: type[Any], place: Any) -> None:
    """Of each kind, to its bounds."""
    ask = Ask({}, Fields({"after": [spell_cursor(place)]}))

    assert read_cursor(ask, "after", kind) == place


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        (str, "a\0"),
        (int, 2**63),
        (int, -(2**63) - 1),
        (RecordPosition, [1, "\0"]),
        (RecordPosition, [2**70, "k"]),
        (tuple[str, str], ["a", "\0"]),
        (str, 1),
    ],
)
def test_a_place_that_no_store_can_look_for(kind: type[Any], place: Any) -> None:
    """It was made by hand: that is said, and no store is asked."""
    ask = Ask({}, Fields({"after": [spell_cursor(place)]}))

    with pytest.raises(Refused) as refused:
        read_cursor(ask, "after", kind)

    assert refused.value.status == 400
