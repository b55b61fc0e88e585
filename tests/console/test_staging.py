"""What a stage makes of values: JSON that is set out, and what it refuses to."""

from __future__ import annotations

import json

import pytest

from millpond.console import staging
from millpond.core.sync import StoredRecord


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2, {"b": None}], "c": "[[[[{{{{,,,,"},
        [[[["deep", ["er", ['\\"', "]]]]"]]]]]],
        [{"id": n, "name": "x", "tags": ["a", "b"]} for n in range(500)],
        "text",
        12,
        [],
    ],
)
def test_json_is_set_out(value: object) -> None:
    """As everybody does, with two spaces."""
    compact = json.dumps(value, separators=(",", ":"))

    assert staging.format_json(compact) == json.dumps(value, indent=2)


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "NaN", "[1,]", "[" * 5000])
def test_what_is_not_json_is_left_alone(text: str) -> None:
    """It is shown as it is."""
    assert staging.format_json(text) is None


def test_json_is_not_set_out_to_many_times_its_length() -> None:
    """Brackets within brackets cost spaces on each line that is in them."""
    deep = "[" * 400 + ",".join("1" * 100_000) + "]" * 400
    disguised = "[" * 400 + '"]]]]"' * 1 + ",1" * 100_000 + "]" * 400

    assert staging.format_json(deep) is None
    assert staging.format_json(disguised) is None


@pytest.mark.parametrize(
    "value", ["", "a", "a\nb\n", "a\r\nb", "\r\n", "a\rb", "\n\nx", "\u202e \t"]
)
def test_a_value_comes_back_from_a_form_as_it_was(value: str) -> None:
    """Whatever its line ends are: a form sends all of them as CR LF."""
    begun = staging.begin("k", StoredRecord("k", value, 3, 1, "by", None))
    sent = begun.value.replace("\n", "\r\n").replace("\r\n", "\n")
    back = staging.Staged(seen=begun.seen, value=sent)

    assert not back.is_changed
    assert back.sent_value == value
    assert staging.Staged(seen=begun.seen, value=sent + "x").is_changed
