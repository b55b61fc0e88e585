"""What a dataset does with values: codecs, limits, and what it cannot read."""

from __future__ import annotations

import json as standard_json
from collections.abc import Iterator
from typing import Any

import pytest

from millpond.client import (
    CodecError,
    DecryptionError,
    Limits,
    Memory,
    NewerVersionError,
    QuotaError,
    encrypted,
    fixed,
    json,
    newest,
    open_sync_blocking,
)

POOL = "us-east-1:00000000-0000-4000-8000-000000000001"
KEY, OTHER_KEY = bytes(range(32)), bytes(range(32, 64))


@pytest.fixture
def opened() -> Iterator[Any]:
    """What opens a device that no server answers, over one storage."""
    storage = Memory()
    syncs = []

    def make(**options: Any) -> Any:
        sync = open_sync_blocking(
            "http://127.0.0.1:9",
            POOL,
            storage=storage,
            credentials=fixed(
                "us-east-1:0f2c3a5e-91c4-4c39-8ac8-0123456789ab", "a", "s"
            ),
            **options,
        )
        syncs.append(sync)
        return sync

    yield make
    for each in syncs:
        each.close()


def migrate(value: Any, version: int) -> Any:
    """Make version 2 of what an old app wrote."""
    return {"size": value} if version == 0 else value


def test_numbers_and_objects(opened):
    """A codec makes texts of values; what is older is migrated as it is read."""
    opened().dataset("prefs")["old"] = "7"

    prefs = opened().dataset("prefs", codec=json(version=2, migrate=migrate))
    prefs["new"] = {"size": 8, "tags": ["a", None]}

    assert dict(prefs) == {"old": {"size": 7}, "new": {"size": 8, "tags": ["a", None]}}
    stored = dict(opened().dataset("prefs"))
    assert stored == {"old": "7", "new": '#v2:{"size":8,"tags":["a",null]}'}


def test_what_is_newer_is_not_written_over(opened):
    """A value of a newer app is not read, and stays until it is lost knowingly."""
    opened().dataset("prefs", codec=json(version=3))["size"] = 7
    prefs = opened().dataset("prefs", codec=json(version=2))

    with pytest.raises(NewerVersionError) as caught:
        prefs["size"]
    assert (caught.value.key, caught.value.version, caught.value.known) == (
        "size",
        3,
        2,
    )
    for turn in (
        lambda: prefs.update(size=8, other=1),
        lambda: prefs.pop("size"),
        lambda: prefs.remove("size"),
        prefs.clear,
    ):
        with pytest.raises(NewerVersionError):
            turn()
    assert dict(opened().dataset("prefs")) == {"size": "#v3:7"}

    prefs.set("size", 8, overwrite=True)
    assert prefs["size"] == 8


def test_a_wrong_key_destroys_nothing(opened):
    """With another key nothing is read and nothing written over; others go on."""
    opened().dataset("prefs", codec=encrypted(json(), KEY))["size"] = 7
    prefs = opened().dataset("prefs", codec=encrypted(json(), OTHER_KEY))
    prefs["other"] = 1

    with pytest.raises(DecryptionError):
        prefs["size"] = 8

    assert prefs["other"] == 1
    assert opened().dataset("prefs", codec=encrypted(json(), KEY))["size"] == 7
    prefs.remove("size", overwrite=True)
    assert [*prefs] == ["other"]


def test_the_device_has_ciphertext(opened):
    """What is stored is what travels; the same written again is the same text."""
    prefs = opened().dataset("prefs", codec=encrypted(json(), KEY))
    prefs["size"] = 7
    before = opened().dataset("prefs")["size"]

    prefs["size"] = 7

    assert before.startswith("mpe1.1.")
    assert opened().dataset("prefs")["size"] == before


@pytest.mark.parametrize(
    ("limits", "values", "limit", "number", "most"),
    [
        ({}, {"größe": "1"}, "record_key_characters", 2, 0),
        ({"records_per_dataset": 2}, {"b": "1", "c": "1"}, "records_per_dataset", 3, 2),
        ({"dataset_bytes": 6}, {"b": "äa", "c": ""}, "dataset_bytes", 7, 6),
        ({"record_value_chars": 2}, {"b": "abc"}, "record_value_chars", 3, 2),
        ({}, {"b": "a\0"}, "record_value_characters", 1, 0),
    ],
)
def test_quota(opened, limits, values, limit, number, most):
    """A write that would pass a limit is not queued, nor is what came with it."""
    prefs = opened(limits=Limits(**limits)).dataset("prefs")
    prefs["a"] = "1"

    with pytest.raises(QuotaError) as caught:
        prefs.update(values)

    error = caught.value
    assert (error.dataset_name, error.key) == ("prefs", [*values][-1])
    assert (error.limit, error.number, error.most) == (limit, number, most)
    assert dict(prefs) == {"a": "1"}


def test_quota_counts_the_ciphertext(opened):
    """What counts is what travels."""
    sync = opened(limits=Limits(dataset_bytes=40))
    prefs = sync.dataset("prefs", codec=encrypted(json(), KEY))

    with pytest.raises(QuotaError) as caught:
        prefs["a"] = 7

    assert caught.value.number == 1 + 7 + 39


def test_quota_of_datasets(opened):
    """A dataset too many is refused as it gets its first record; a full one is not."""
    sync = opened(limits=Limits(datasets_per_identity=2))
    for name in ("one", "two", "three"):
        sync.dataset(name)
    sync.dataset("one")["a"] = "1"
    sync.dataset("two")["a"] = "1"

    with pytest.raises(QuotaError) as caught:
        sync.dataset("three")["a"] = "1"
    assert (caught.value.dataset_name, caught.value.key) == ("three", None)
    assert (caught.value.limit, caught.value.number) == ("datasets_per_identity", 3)

    sync.dataset("one").clear()
    sync.dataset("three")["a"] = "1"
    sync.dataset("two")["b"] = "1"


def test_listeners_hear_what_can_be_read(opened):
    """A value that cannot be read is told to nobody, and keeps nobody from the rest."""
    reader = opened().dataset("prefs", codec=json(version=2))
    heard: list[Any] = []
    reader.subscribe(None, heard.append)
    opened().dataset("prefs").update(bad="#v3:1", good="#v2:1")

    reader.look()

    assert heard == [{"good": 1}]


def test_no_value_is_told(opened):
    """Errors about values do not tell them."""
    opened().dataset("prefs")["a"] = "my secret"
    prefs = opened().dataset("prefs", codec=json())

    with pytest.raises(CodecError) as caught:
        prefs["a"]

    assert "secret" not in repr(caught.value)
    assert "secret" not in standard_json.dumps(vars(caught.value), default=str)


def test_merges_know_values(opened):
    """The rules that look at times are those that are given."""
    prefs = opened().dataset("prefs", merge=newest)
    assert prefs.rule is newest
