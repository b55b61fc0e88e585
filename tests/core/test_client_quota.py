"""What a device refuses to queue is what the server would refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.client_sync_world import NAME, Server
from millpond.core import sync
from millpond.core.client_sync import quota
from millpond.errors import InvalidParameterException, LimitExceededException

CASES = Path(__file__).parents[1] / "client_cases"


def cases(name: str) -> list[Any]:
    """Read the cases of a file."""
    found = json.loads((CASES / f"{name}.json").read_text("utf-8"))
    return [pytest.param(each, id=each["case"]) for each in found]


def text(told: Any) -> Any:
    """Write out a long text."""
    return told["repeat"][0] * told["repeat"][1] if isinstance(told, dict) else told


def limits(case: dict[str, Any]) -> quota.Limits:
    """Read the limits of a case."""
    return msgspec.convert(case.get("limits", {}), quota.Limits)


def told(excess: quota.Excess | None) -> Any:
    """Write what is told as the cases have it."""
    return None if excess is None else msgspec.to_builtins(excess)


@pytest.mark.parametrize("case", cases("quota"))
def test_write(case):
    """A write is refused, or is not, with the limit and the counts of the case."""
    held = case.get("held", {})
    if "many" in held:
        held = {f"k{number}": "1" for number in range(held["many"])}
    live = {key: value for key, value in held.items() if value is not None}
    key, before, after = map(text, case["write"])
    assert before == live.get(key)

    found = quota.excess(quota.usage(live.items()), key, before, after, limits(case))

    assert told(found) == case["excess"]


@pytest.mark.parametrize("case", cases("quota_datasets"))
def test_dataset(case):
    """A new dataset is refused, or is not."""
    others = case["others"]
    if isinstance(others, dict):
        others = [f"d{number}" for number in range(others["many"])]

    found = quota.dataset_excess(text(case["name"]), others, limits(case))

    assert told(found) == case["excess"]


MOST = {"record_value_chars": 5, "records_per_dataset": 3, "dataset_bytes": 14}
TEXTS = st.text(alphabet="aä𝄞", max_size=7)


@given(
    writes=st.lists(
        st.tuples(st.sampled_from(["a", "bb", "ccc", "d", "ä"]), st.none() | TEXTS),
        max_size=12,
    )
)
def test_the_device_and_the_server_count_alike(writes):
    """Of writes one after the other, each refuses what the other one refuses."""
    server = Server(limits=sync.SyncLimits(**MOST))
    held = quota.Usage()
    values: dict[str, str] = {}
    for key, value in writes:
        before = values.get(key)
        found = quota.excess(
            held, key, before, value, quota.Limits(**MOST, any_key=True)
        )
        if value is None:
            assert found is None
            continue
        try:
            server.put(NAME, {key: value})
        except (InvalidParameterException, LimitExceededException):
            assert found is not None
            continue
        assert found is None
        held = quota.written(held, key, before, value)
        values[key] = value
        state = server.datasets[NAME]
        assert held == quota.Usage(state.num_records, state.data_storage)
        assert held == quota.usage(values.items())
