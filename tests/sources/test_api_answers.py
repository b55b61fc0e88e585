"""What no API answers is refused before it is near a store, which would fail on it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from millpond.core.sync import SyncLimits
from millpond.errors import SourceError
from millpond.sources import api_datasets
from millpond.sources.api_answers import Dataset, Datasets, Record, Records, read

RECORD = {"Key": "k", "SyncCount": 1, "Value": "v", "LastModifiedDate": 1.7e9}


@pytest.mark.parametrize(
    "garbage",
    [
        {"DatasetSyncCount": 2**70},
        {"DatasetSyncCount": -1},
        {"DatasetSyncCount": None},
        {"Records": "none"},
        {"Records": [None]},
        {"Records": [RECORD | {"SyncCount": 2**63}]},
        {"Records": [RECORD | {"SyncCount": -1}]},
        {"Records": [RECORD | {"SyncCount": 1.5}]},
        {"Records": [RECORD | {"Value": 5}]},
        {"Records": [RECORD | {"Value": "\ud800"}]},
        {"Records": [RECORD | {"LastModifiedDate": 1e300}]},
        {"Records": [RECORD | {"DeviceLastModifiedDate": -1e17}]},
    ],
)
def test_records_that_are_none(garbage: dict[str, Any]) -> None:
    """Counts and dates that no store has room for, and other types."""
    good = {"DatasetSyncCount": 5, "Records": [RECORD]}
    assert read(json.dumps(good).encode(), Records, "ListRecords").records

    with pytest.raises(SourceError, match="The answer to ListRecords cannot be read"):
        read(json.dumps(good | garbage).encode(), Records, "ListRecords")


@pytest.mark.parametrize(
    "garbage",
    [
        {"DatasetName": ""},
        {"DatasetName": "a/b"},
        {"DatasetName": "a\0b"},
        {"DatasetName": None},
        {"NumRecords": -4},
        {"DataStorage": 2**80},
        {"CreationDate": 1e18},
        {"LastModifiedDate": "yesterday"},
    ],
)
def test_datasets_that_are_none(garbage: dict[str, Any]) -> None:
    """Names that no path can hold, and sizes that nothing has."""
    good = {"DatasetName": "prefs", "NumRecords": 1, "DataStorage": 2}
    assert read(json.dumps({"Datasets": [good]}).encode(), Datasets, "it").datasets

    with pytest.raises(SourceError, match="cannot be read"):
        read(json.dumps({"Datasets": [good | garbage]}).encode(), Datasets, "it")


@pytest.mark.parametrize("member", ["key", "value", "last_modified_by"])
def test_nul_is_kept_aside(member: str) -> None:
    """No store keeps the character; the record is named."""
    given: dict[str, Any] = {"key": "k", "value": "v", "sync_count": 1, member: "\0"}
    fetched = api_datasets.Fetched(1, {"k": Record(**given)}, [], 0, 0.0)
    dataset = api_datasets.arriving(
        "us-east-1:p", "us-east-1:i", Dataset(dataset_name="prefs"), fetched, None
    )
    assert "NUL" in api_datasets.why_not(dataset, SyncLimits())
