"""Asking for help: every form of it, for all that there is, in narrow windows too."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator

import pytest

from millpond.cli.commands import COMMANDS, GROUPS
from millpond.client.api import models
from millpond.client.api.model import ServiceModel

COLUMNS = 50
OPERATIONS = [
    (api, name) for api in models.CONTRACTS for name in ServiceModel.load(api).commands
]


def parsers() -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """List our own commands and those in them, with their parsers."""
    for name, command in COMMANDS.items():
        yield from _inner((name,), importlib.import_module(command.module))


def _inner(way, module):
    todo = [(way, module.make_parser())]
    while todo:
        way, parser = todo.pop()
        yield way, parser
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                todo += [((*way, name), each) for name, each in action.choices.items()]


OWN = dict(parsers())
WAYS = [*OWN, *((api,) for api in models.CONTRACTS), *OPERATIONS]


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
def test_every_way_of_asking_shows_the_same_page(run, way):
    """`help X`, `X help`, `X --help` and `X -h`, at every depth; the status is 0."""
    page = run(*way, "help")

    assert (page.code, page.err) == (0, "")
    assert page.out.startswith("NAME\n")
    for line in (("help", *way), (*way, "--help"), (*way, "-h")):
        assert run(*line) == page


@pytest.mark.parametrize("way", [each for each in WAYS if len(each) > 1], ids=" ".join)
def test_help_may_stand_before_the_last_word(run, way):
    """`key help create` is `key create help`."""
    assert run(*way[:-1], "help", way[-1]) == run(*way, "help")


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help", "--help")])
def test_the_program_shows_its_commands(run, words):
    """Without a word and with each form, 0: what there is, by groups, ours first."""
    page = run("help")

    assert run(*words) == page
    assert (page.code, page.err) == (0, "")
    groups = [page.out.index(f"\n       {each}: ") for each in GROUPS]
    assert groups == sorted(groups)
    for name in (*COMMANDS, *models.CONTRACTS):
        assert f"\n         {name} " in page.out


@pytest.mark.parametrize(
    "way",
    [
        *(each for each, parser in OWN.items() if parser._subparsers is not None),
        ("completion",),
        *((api,) for api in models.CONTRACTS),
    ],
    ids=" ".join,
)
def test_a_group_without_a_word_lists_what_it_has(run, way):
    """It is no error to ask for nothing."""
    assert run(*way) == run(*way, "help")


@pytest.mark.parametrize(
    ("words", "way"),
    [
        (("key", "create", "--name", "x", "--help"), ("key", "create")),
        (("key", "--help", "create"), ("key", "create")),
        (("key", "create", "--name", "help", "-h"), ("key", "create")),
        (("stream", "tail", "--nope", "--help"), ("stream", "tail")),
        (("help", "data", "set", "notes", "word", "x"), ("data", "set")),
        (("data", "set", "notes", "help", "--help"), ("data", "set")),
        (("data", "get", "help", "--output", "json"), ("data", "get")),
        (
            ("--region", "x", "cognito-sync", "bulk-publish", "--help"),
            ("cognito-sync", "bulk-publish"),
        ),
        (
            ("cognito-sync", "update-records", "--identity-id", "a", "-h"),
            ("cognito-sync", "update-records"),
        ),
        (
            ("help", "cognito-sync", "bulk-publish", "-h"),
            ("cognito-sync", "bulk-publish"),
        ),
    ],
)
def test_other_words_beside_help_do_no_harm(run, words, way):
    """Options that are given, even half of a call, do not hide the page."""
    assert run(*words) == run(*way, "help")


def test_the_value_help_is_no_question(run, tmp_path):
    """What follows an option, or `--`, is a value, whatever it is."""
    data = ("--data", str(tmp_path / "data"))

    assert not run("key", "create", "--name", "help", *data).out.startswith("NAME")
    assert not run("key", "delete", *data, "--", "help").out.startswith("NAME")


def test_help_beside_words_that_a_command_takes_is_one_of_them(run, pool):
    """What a script has in a variable is written and read, also when it is `help`."""
    given = ("--file", "ours.db", "--identity-pool-id", pool)

    assert run("data", "set", "notes", "word", "help", *given).code == 0
    assert run("data", "set", "help", "help", "me", *given).code == 0
    assert run("data", "get", "notes", "word", *given).out == "help\n"
    assert run("data", "get", "help", "help", *given).out == "me\n"
    assert run("data", "get", "notes", "help", *given).code == 1  # there is none
    assert run("data", "list", "help", *given).out.startswith("NAME\n")


@pytest.mark.parametrize(
    ("words", "way"),
    [
        (("key", "delete", "AKIAONE", "help"), ("key", "delete")),
        (("pool", "show", "a:1", "--output", "json", "help"), ("pool", "show")),
    ],
)
def test_help_behind_all_that_a_command_takes_is_a_question(run, words, way):
    """There is no place for it as one of the words."""
    assert run(*words) == run(*way, "--help")


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("help", "ky"), "key"),
        (("help", "key", "creat"), "create"),
        (("key", "creat", "--help"), "create"),
        (("help", "cognito-synk"), "cognito-sync"),
        (("help", "cognito-sync", "bulk-publsh"), "bulk-publish"),
        (("cognito-sync", "bulk-publsh", "--help"), "bulk-publish"),
    ],
)
def test_help_on_what_there_is_not(run, words, near):
    """It is refused with the near name, not answered with another page."""
    result = run(*words)

    assert (result.code, result.out) == (2, "")
    assert f"  * {near}\n" in result.err


@pytest.mark.parametrize("way", OWN, ids=" ".join)
def test_a_page_has_every_option_argument_and_command(run, way):
    """Each is named with what it is for, also on a narrow terminal."""
    page = run(*way, "help").out

    for action in OWN[way]._actions:
        assert action.help or action.choices, f"{action.dest} is not described"
        for option in action.option_strings[-1:]:
            assert f"\n       {option}" in page
        if isinstance(action, argparse._SubParsersAction):
            assert all(f"\n       {name} " in page for name in action.choices)


@pytest.mark.parametrize("way", [(), *WAYS], ids=" ".join)
def test_a_page_fits_a_narrow_terminal(run, monkeypatch, way):
    """In 50 columns no line is longer, but for single words that are to be copied."""
    wide = run(*way, "help").out
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    narrow = run(*way, "help").out

    long = [line for line in narrow.splitlines() if len(line) > COLUMNS]
    assert [line for line in long if len(line.removesuffix(" \\").split()) > 1] == [
        line for line in long if line.lstrip().startswith(("'", "millpond"))
    ]
    assert len(narrow.split()) >= len(wide.split())


@pytest.mark.parametrize(
    "words",
    [
        ("stream", "create", "x", "--shards", "many"),
        ("stream", "create", "x", "--shards", "0"),
        ("stream", "tail", "x", "--count", "1.5"),
        ("stream", "verify", "--identity-pool-id", "x", "--wait", "soon"),
        ("pool", "list", "--max-items", "many"),
        ("pool", "list", "--max-items", "0"),
    ],
)
def test_a_number_that_is_none_is_refused_in_words(run, words):
    """The message says what it must be, and names no function of ours."""
    result = run(*words)

    assert (result.code, result.out) == (2, "")
    (line,) = (each for each in result.err.splitlines() if "error: " in each)
    assert f"must be a {'number' if '--wait' in words else 'whole number'}" in line
    assert repr(words[-1]) in line
