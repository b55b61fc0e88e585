"""`millpond token-key`: keys are listed, rotated, retired; wrong words refused."""

from __future__ import annotations

import json
import os
import re
import secrets
from typing import Any

import pytest


@pytest.fixture
def token_key(run, home):
    """Run `millpond token-key` on a store of its own."""
    run("store", "create", "--data", str(home / "data"))

    def run_command(*words: str) -> Any:
        return run("token-key", *words, "--data", str(home / "data"))

    return run_command


@pytest.fixture
def listed(token_key):
    """List the keys as (id, status, whether there is a date to retire)."""

    def list_keys():
        result = token_key("list", "--output", "json")
        assert result.code == 0
        return [
            (each["KeyId"], each["Status"], "RetireDate" in each)
            for each in json.loads(result.out)["Keys"]
        ]

    return list_keys


def test_a_rotation_makes_a_key_that_signs(token_key, listed):
    """The new key is named and signs; the one before is still published."""
    first, second = token_key("rotate"), token_key("rotate", "--output", "json")

    assert first.out == "us-east-1-1 signs from now on.\n"
    assert json.loads(second.out) == {"KeyId": "us-east-1-2"}
    assert listed() == [
        ("us-east-1-2", "SIGNS", False),
        ("us-east-1-1", "PUBLISHED", True),
    ]


def test_a_key_that_is_retired_is_replaced(token_key, listed):
    """The key that signs is retired at once, and another one signs."""
    token_key("rotate")

    result = token_key("retire", "us-east-1-1")

    assert (result.code, result.out) == (0, "Retired us-east-1-1.\n")
    assert listed() == [
        ("us-east-1-2", "SIGNS", False),
        ("us-east-1-1", "RETIRED", True),
    ]


def test_a_new_key_names_the_region(token_key, listed, monkeypatch):
    """The id of a key is the region of the settings and the next number."""
    token_key("rotate")
    monkeypatch.setenv("MILLPOND_REGION", "eu-west-3")

    token_key("rotate")

    assert [each[0] for each in listed()] == ["eu-west-3-2", "us-east-1-1"]


def test_the_list_is_read_by_people_and_tools(token_key):
    """A line for each key, with tabs between what is known of it; none at first."""
    assert token_key("list").out == ""
    token_key("rotate")
    token_key("rotate")

    new, old = token_key("list").out.splitlines()

    date = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"
    assert re.fullmatch(rf"us-east-1-2\t{date}\tSIGNS", new)
    assert re.fullmatch(rf"us-east-1-1\t{date}\tPUBLISHED\t{date}", old)


def test_on_a_terminal_the_list_is_a_table(token_key, monkeypatch):
    """With headings, in local time as everywhere."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    token_key("rotate")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    titles, row = token_key("list").out.splitlines()

    assert titles.split() == ["KEY", "ID", "CREATED", "STATUS", "RETIRED"]
    assert "+00:00" not in row
    assert row.split()[0] == "us-east-1-1"


def test_a_key_that_is_not_there_is_an_error(token_key, listed):
    """Retiring an unknown key changes nothing and says so."""
    token_key("rotate")

    result = token_key("retire", "us-east-1-9")

    assert result.code == 1
    assert result.err == "millpond token-key: there is no key 'us-east-1-9'.\n"
    assert listed() == [("us-east-1-1", "SIGNS", False)]


def test_with_another_secret_nothing_is_made(token_key, listed, monkeypatch):
    """A rotation that the server could not read is refused, and names a way out."""
    token_key("rotate")
    monkeypatch.setenv("MILLPOND_SECRET_KEY", secrets.token_hex(32))

    result = token_key("rotate")

    assert result.code == 1
    (line,) = result.err.splitlines()
    assert line.startswith("millpond token-key: ")
    assert line.endswith("millpond token-key retire us-east-1-1")
    assert listed() == [("us-east-1-1", "SIGNS", False)]


def test_no_secret_is_shown(token_key, home):
    """Nothing that is printed or stored holds a private key in the clear."""
    printed = [token_key(*words).out for words in (["rotate"], ["list"])]
    stored = [each.read_bytes() for each in (home / "data").iterdir()]

    assert not any("PRIVATE" in each for each in printed)
    assert not any(b"PRIVATE KEY" in each for each in stored)
    assert "secret.key" in os.listdir(home / "data")


@pytest.mark.parametrize("words", [["create"], ["retire"], ["list", "--color"]])
def test_wrong_words_are_a_usage_error(run, words):
    """What the command does not know is refused with status 2."""
    result = run("token-key", *words)

    assert (result.code, result.out) == (2, "")
    assert "usage: millpond token-key" in result.err
