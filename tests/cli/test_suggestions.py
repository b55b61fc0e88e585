"""A wrong word has the near one proposed, in the form of the AWS CLI."""

from __future__ import annotations

import pytest

PROPOSAL = "Invalid choice: {!r}, maybe you meant:\n\n  * {}\n"


@pytest.mark.parametrize(
    ("words", "wrong", "near"),
    [
        (("serv",), "serv", "serve"),
        (("cognito-synk", "help"), "cognito-synk", "cognito-sync"),
        (("cognito-sync", "bulk-publsh"), "bulk-publsh", "bulk-publish"),
        (("cognito-sync", "list-records", "--output", "jsn"), "jsn", "json"),
        (("serve", "--prot", "8"), "--prot", "--port"),
        (("serve", "--dta=x"), "--dta", "--data"),
        (("key", "creat"), "creat", "create"),
        (("key", "create", "--nmae", "x"), "--nmae", "--name"),
        (("key", "create", "--nam", "x"), "--nam", "--name"),
        (("outbox", "drop", "--identity-pool-id", "x", "--al"), "--al", "--all"),
        (("key", "list", "--output", "jason"), "jason", "json"),
        (("doctor", "--output=txt"), "txt", "text"),
        (("install-model", "--undoo"), "--undoo", "--undo"),
        (("completion", "bsh"), "bsh", "bash"),
        (("Pool", "list"), "Pool", "pool"),
        (("HELP",), "HELP", "help"),
        (("pool", "List"), "List", "list"),
        (("settings", "shwo"), "shwo", "show"),
        (("token_key", "list"), "token_key", "token-key"),
        (("key", "create", "--Scope", "full"), "--Scope", "--scope"),
        (("key", "create", "--scope", "READ_ONLY"), "READ_ONLY", "read-only"),
        (("version",), "version", "--version"),
        (("pool", "list", "--out", "json"), "--out", "--output"),
        (("outbox", "list", "--pool-id", "x"), "--pool-id", "--identity-pool-id"),
    ],
)
def test_the_near_word_is_proposed(run, words, wrong, near):
    """Commands, operations, options and choices; the exit status is the parser's."""
    result = run(*words)

    assert (result.code, result.out) == (2, "")
    assert PROPOSAL.format(wrong, near) in result.err


@pytest.mark.parametrize(
    ("words", "missing", "near"),
    [
        (("--verison",), "command", "--version"),
        (("-Help",), "command", "--help"),
        (
            ("cognito-sync", "bulk-publish", "--identity_pool_id", "x"),
            *("--identity-pool-id", "--identity-pool-id"),
        ),
        (
            ("cognito-sync", "bulk-publish", "--IdentityPoolId=x"),
            *("--identity-pool-id", "--identity-pool-id"),
        ),
    ],
)
def test_an_option_that_is_missing_is_proposed_to_people(
    run, monkeypatch, words, missing, near
):
    """A program reads what the AWS CLI writes: what is missing, and nothing else."""
    wrong = next(each for each in words if each[0] == "-").partition("=")[0]
    says = f"the following arguments are required: {missing}"

    assert run(*words).err.rstrip().endswith(says)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    told = run(*words).err

    assert says in told
    assert PROPOSAL.format(wrong, near) in told


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("GetBulkPublishDetails",), "get-bulk-publish-details"),
        (("bulk", "--identity-pool-id", "x"), "bulk-publish"),
        (("help", "ListDataset"), "list-datasets"),
    ],
)
def test_an_operation_further_off_is_proposed_to_people(run, monkeypatch, words, near):
    """The AWS CLI proposes nothing for it, and so nothing is told to a program."""
    word = next(each for each in words if each != "help")
    words = ("cognito-sync", *words)

    assert "maybe you meant" not in run(*words).err
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)

    assert PROPOSAL.format(word, near) in run(*words).err


@pytest.mark.parametrize(
    ("words", "wrong", "near"),
    [
        (("--max-reslts", "3"), "--max-reslts", "--max-results"),
        (("--nxt-token=3",), "--nxt-token", "--next-token"),
        (("--reigon", "x"), "--reigon", "--region"),
        (("--cli-input-jsn", "{}"), "--cli-input-jsn", "--cli-input-json"),
    ],
)
def test_the_near_option_of_an_operation_is_proposed(run, pool, words, wrong, near):
    """Behind the line of the AWS CLI, which has no proposal for options."""
    result = run(
        *("cognito-sync", "list-identity-pool-usage"),
        *words,
    )

    assert result.code == 255
    assert f"\nUnknown options: {words[0]}" in result.err
    assert PROPOSAL.format(wrong, near) in result.err


def test_an_option_that_is_given_is_not_what_was_meant(run, pool):
    """The option of another operation is not taken for a given one."""
    result = run(
        *("cognito-sync", "get-bulk-publish-details"),
        *("--identity-pool-id", pool, "--identity-id", "x"),
    )

    assert result.code == 255
    assert result.err.endswith("\nUnknown options: --identity-id, x\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("pool", "--data", "x", "list"), "millpond pool list|show|adopt ... --data\n"),
        (("audit", "--settings=x"), "millpond audit list ... --settings\n"),
        (("serve", "--log_level", "x"), "log_level is a setting: "),
        (("pool", "list", "--REGION=x"), "in the variable MILLPOND_REGION, or"),
    ],
)
def test_the_right_place_of_an_option_is_said(run, words, says):
    """It is known, and stands before its command, or is a setting and no option."""
    result = run(*words)

    assert (result.code, result.out) == (2, "")
    assert says in result.err


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("serve", "--nonsense"),
        ("key", "nonsense"),
        ("serve", "--port"),
        ("key", "--nonsense"),
    ],
)
def test_nothing_is_proposed_for_what_is_like_nothing(run, words):
    """Without a near word the message is as it was."""
    result = run(*words)

    assert result.code == 2
    assert "maybe you meant" not in result.err


def test_the_options_of_a_command_that_there_is_not_are_not_looked_at(run):
    """They are known to whichever command was meant."""
    result = run("pool", "lst", "--data", "x")

    assert PROPOSAL.format("lst", "list") in result.err
    assert "--data stands" not in result.err


def test_a_variable_of_calls_has_a_near_name(run, monkeypatch):
    """A call is not made in other ways than were asked for."""
    monkeypatch.setenv("MILLPOND_CLI_COMPTA", "v2")

    result = run("cognito-sync", "list-identity-pool-usage")

    assert result.code == 255
    assert "MILLPOND_CLI_COMPTA. Is 'MILLPOND_CLI_COMPAT' meant?" in result.err


def test_the_value_of_an_option_is_no_command(run):
    """What follows an option is not looked at as a word of its own."""
    result = run("key", "create", "--data", "lst", "--nmae")

    assert PROPOSAL.format("--nmae", "--name") in result.err
    assert "'lst'" not in result.err


@pytest.mark.parametrize(
    "words", [("settings", "show"), ("data", "list"), ("key", "list"), ("doctor",)]
)
def test_half_an_option_of_our_own_commands_is_proposed(run, words):
    """None of them takes it, so a script goes on when another option comes."""
    result = run(*words, "--outp", "json")

    assert (result.code, result.out) == (2, "")
    assert "  * --output\n" in result.err
