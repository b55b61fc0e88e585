"""Every operation is a command, with options and a help page out of the contract."""

from __future__ import annotations

import re

import botocore
import pytest

from millpond.cli.api.arguments import GLOBAL_OPTIONS
from millpond.client.api.model import ServiceModel, command_name
from millpond.contract.cognito_sync import API
from millpond.contract.shapes import members

SERVICE = ServiceModel.load("cognito-sync")


def test_each_operation_of_the_contract_is_a_command():
    """There is one command for each operation, in the contract's order."""
    assert [command_name(each.name) for each in API.operations] == SERVICE.commands


@pytest.mark.parametrize(
    "name",
    [
        "GetBulkPublishDetails",
        "ApplicationArns",
        "DatasetDeletedAfterRequestedSyncCount",
        "HTTPServer",
        "A",
    ],
)
def test_names_are_written_as_botocore_writes_them(name):
    """CamelCase turns into the words that existing commands have."""
    assert botocore.xform_name(name, "-") == command_name(name)


@pytest.mark.parametrize("operation", API.operations, ids=lambda each: each.name)
def test_a_help_page_has_every_section_option_and_member(run, operation):
    """The page names all options, all outputs, all errors and who may call."""
    result = run("cognito-sync", command_name(operation.name), "help")

    assert (result.code, result.err) == (0, "")
    headings = re.findall(r"(?m)^[A-Z][A-Z ]+$", result.out)
    assert headings == [
        *("NAME", "DESCRIPTION", "SYNOPSIS", "OPTIONS", "GLOBAL OPTIONS", "OUTPUT")
    ]
    assert re.findall(r"(?m)^[A-Z][a-z]+$", result.out) == ["Errors", "Examples"]
    synopsis, _, rest = result.out.partition("\nOPTIONS\n")
    own = [command_name(each.name) for each in members(operation.request)]
    shared = [
        *("cli-input-json", "generate-cli-skeleton"),
        *(each.name for each in GLOBAL_OPTIONS),
    ]
    for option in (*own, *shared):
        assert re.search(rf"(?m)^\s+\[?--{option}\b", synopsis)
        assert re.search(rf"(?m)^\s+--{option} \(", rest)
    for member in members(operation.response) if operation.response else ():
        assert f"{member.name} -> (" in rest
    errors = rest.partition("\nErrors\n")[2].partition("\nExamples\n")[0]
    for error in operation.errors:
        assert f"       {error.__name__} ({error.http_status})\n" in errors
    assert operation.callers.value in " ".join(result.out.split())


def test_required_options_stand_without_brackets(run):
    """The synopsis tells required options from the others."""
    page = run("cognito-sync", "list-datasets", "help").out

    assert "\n          --identity-pool-id <value>\n" in page
    assert "\n          [--max-results <value>]\n" in page


def test_a_page_shows_how_to_write_composed_values(run):
    """Structures, lists and maps are shown in shorthand and in JSON."""
    page = run("cognito-sync", "update-records", "help").out

    assert "Op=string,Key=string,Value=string,SyncCount=long" in page
    assert '"Op": "replace|remove"' in page
    assert "ApplicationArns=string,string,RoleArn=string" in (
        run("cognito-sync", "set-identity-pool-configuration", "help").out
    )
    assert "KeyName1=string,KeyName2=string" in (
        run("cognito-sync", "set-cognito-events", "help").out
    )


def test_the_page_of_the_api_lists_its_commands(run):
    """`millpond cognito-sync help` names every operation."""
    result = run("cognito-sync", "help")

    assert result.code == 0
    assert all(f"* {each}\n" in result.out for each in SERVICE.commands)


def test_help_may_stand_before_other_options(run, pool):
    """The word `help` wins over options that are known and complete."""
    words = ("get-bulk-publish-details", "help", "--identity-pool-id", pool)

    assert run("cognito-sync", *words).out.startswith("NAME")


def test_help_after_something_unknown_is_a_usage_error(run):
    """Help with an unknown option reports what is missing instead."""
    result = run("cognito-sync", "get-bulk-publish-details", "help", "--nope")

    assert result.code == 2
    assert "the following arguments are required: --identity-pool-id" in result.err


@pytest.mark.parametrize(
    "words",
    [
        ("cognito-sync", "help", "nonsense"),
        ("help", "--nope"),
        (
            *("cognito-sync", "get-cognito-events", "--identity-pool-id", "a"),
            *("--nope", "help"),
        ),
    ],
)
def test_other_words_beside_help_do_no_harm(run, words):
    """Once help is understood, it is shown, whatever else was written."""
    assert run(*words).code == 0


def test_a_page_on_a_terminal_goes_through_the_pager(run, monkeypatch):
    """On a terminal, MANPAGER gets the page, before PAGER."""
    pages = []
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("MANPAGER", "show --all")
    monkeypatch.setenv("PAGER", "other")
    monkeypatch.setattr(
        "subprocess.run", lambda words, input, **_: pages.append((words, input))
    )

    run("cognito-sync", "help")

    assert pages[0][0] == ["show", "--all"]
    assert pages[0][1].startswith(b"NAME\n")


def test_a_terminal_shows_headings_and_options_bold(run, monkeypatch):
    """Headings and options stand out where a terminal can show it."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("PAGER", "no-such-pager-anywhere")
    monkeypatch.delenv("NO_COLOR", raising=False)
    words = ("cognito-sync", "bulk-publish", "help")

    monkeypatch.setenv("TERM", "xterm")
    bold = run(*words).out
    monkeypatch.setenv("TERM", "dumb")
    plain = run(*words).out
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")

    assert "\x1b[1mNAME\x1b[m\n" in bold
    assert "\n       \x1b[1m--identity-pool-id\x1b[m (string)\n" in bold
    assert plain == re.sub(r"\x1b\[1?m", "", bold) == run(*words).out


def test_a_page_on_a_pipe_is_plain_text(run):
    """No control characters, and nothing wider than a terminal but what is copied."""
    page = run("cognito-sync", "list-records", "help").out

    assert not re.search(r"[^\n\x20-\x7e]", page)
    described = page.partition("\nExamples\n")[0]
    assert max(map(len, described.splitlines())) <= 80


def test_a_pager_that_is_missing_does_no_harm(run, monkeypatch):
    """Without the pager, the page is printed."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("MANPAGER", "no-such-pager-anywhere")

    assert run("cognito-sync", "help").out.startswith("NAME\n")


def test_the_version_names_program_and_python(run):
    """--version prints one line, wherever it stands."""
    result = run("cognito-sync", "--version")

    assert result.code == 0
    assert re.fullmatch(r"millpond/\d+\.\d+\S* Python/\d+\.\d+\.\d+.*\n", result.out)


def test_a_local_command_gets_all_words_after_its_name(run, monkeypatch):
    """`serve`, `key` and `demo` parse their own options."""
    import sys
    import types

    module = types.ModuleType("millpond.cli.serve")
    module.main = lambda words: len(words)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "millpond.cli.serve", module)

    assert run("serve", "--region", "x").code == 2


def test_a_local_command_comes_first(run):
    """Global options do not apply to local commands."""
    result = run("--region", "x", "serve")

    assert result.code == 2
    assert "serve must be the first word" in result.err
