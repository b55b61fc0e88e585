"""`millpond pool adopt`: pools under ids that apps have built in."""

from __future__ import annotations

import json
from typing import Any

import pytest

POOL = "eu-west-1:0f0e0d0c-0b0a-4908-8706-050403020100"


@pytest.fixture
def adopt(run, home):
    """Run `millpond pool adopt` on a store of its own."""
    run("store", "create", "--data", str(home / "data"))

    def run_command(*words: str) -> Any:
        return run("pool", "adopt", *words, "--data", str(home / "data"))

    return run_command


def test_a_pool_gets_the_id_that_is_given(adopt):
    """The pool is created under its id, once."""
    first = adopt(POOL, "--name", "Players", "--output", "json")
    again = adopt(POOL, "--name", "Players")

    assert (first.code, json.loads(first.out)) == (0, {"IdentityPoolId": POOL})
    assert again.code == 1
    assert again.err == f"millpond pool: identity pool '{POOL}' exists already.\n"


@pytest.mark.parametrize("words", [("no-id", "--name", "x"), (POOL, "--name", "a/b")])
def test_what_the_api_would_refuse_is_refused(adopt, words):
    """Ids and names have the form that the API gives them."""
    result = adopt(*words)

    assert result.code == 1
    assert result.err.startswith("millpond pool: it cannot be created: ")
    assert "is not the " in result.err
    assert "matching" not in result.err
    assert "`" not in result.err


def test_an_id_in_capitals_is_none(adopt):
    """No app has a pool like this, and no server has its region."""
    result = adopt(POOL.replace("eu-west-1", "EU-WEST-1"), "--name", "x")

    assert (result.code, result.out) == (1, "")
    assert f"'{POOL}' may be meant" in result.err


def test_the_limit_of_pools_counts(adopt, monkeypatch):
    """The setting that bounds the number of pools bounds these, too."""
    monkeypatch.setenv("MILLPOND_IDENTITY_POOLS_MAX", "1")
    adopt(POOL, "--name", "one")

    result = adopt(f"{POOL[:-1]}1", "--name", "two")

    assert result.code == 1
    assert "1 identity pools already" in result.err


def test_a_pool_of_another_region_is_created_with_a_warning(adopt):
    """It says what apps would run into, and what to set, on standard error."""
    result = adopt(POOL, "--name", "Players", "--output", "json")

    assert (result.code, json.loads(result.out)) == (0, {"IdentityPoolId": POOL})
    assert "signed for eu-west-1 are refused" in result.err
    assert "ids of us-east-1" in result.err
    assert 'region = "eu-west-1"' in result.err
    assert "MILLPOND_REGION=eu-west-1" in result.err
    assert 'accepted_regions = ["eu-west-1"]' in result.err


@pytest.mark.parametrize("accepted", ['["eu-west-1"]', '["*"]'])
def test_a_region_that_is_accepted_refuses_no_calls(adopt, monkeypatch, accepted):
    """What is left to say is which ids new identities get."""
    monkeypatch.setenv("MILLPOND_ACCEPTED_REGIONS", accepted)

    result = adopt(POOL, "--name", "Players")

    assert "are refused" not in result.err
    assert "ids of us-east-1" in result.err


def test_a_pool_of_the_same_region_is_created_without_a_word(adopt, monkeypatch):
    """There is nothing to warn of."""
    monkeypatch.setenv("MILLPOND_REGION", "eu-west-1")

    assert adopt(POOL, "--name", "Players").err == ""
