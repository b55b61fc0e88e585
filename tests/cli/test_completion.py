"""Completion: real shells ask for words and get those of the contract."""

from __future__ import annotations

import argparse
import importlib
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import millpond
from cli.shells import Shell
from millpond.cli.commands import COMMANDS
from millpond.cli.completion import SHELLS, bash_line, local, script, words
from millpond.client.api.model import ServiceModel, command_name
from millpond.contract.cognito_sync import API
from millpond.testing.deadlines import seconds

SOURCE = str(Path(millpond.__file__).parent.parent)
SYNC = "millpond cognito-sync"


def texts(*typed: str) -> list[str]:
    """What is proposed for the last of some words."""
    return [each.text for each in words.propose(typed)]


# --- Which words --------------------------------------------------------------------


def test_commands():
    """The first word is an API, one of our commands, or help."""
    found = texts("")

    assert found[0] == "cognito-sync"
    assert {*COMMANDS, "help"} < set(found)
    assert texts("cog")[0] == "cognito-sync"


def test_our_own_commands_come_first_or_not_at_all():
    """Behind a global option there are only the APIs."""
    assert "serve" not in texts("--region", "x", "")
    assert "cognito-sync" in texts("--region", "x", "")


def test_operations():
    """Every operation of the contract is proposed."""
    found = texts("cognito-sync", "")

    assert found == [*(command_name(each.name) for each in API.operations), "help"]
    assert texts("cognito-sync", "get-b") == ["get-bulk-publish-details"]
    assert texts("--output", "text", "cognito-sync", "bul") == ["bulk-publish"]


@pytest.mark.parametrize("name", [command_name(each.name) for each in API.operations])
def test_options(name):
    """Every option of an operation is proposed, and the global ones."""
    members = ServiceModel.load("cognito-sync").operation(name).input.members

    found = texts("cognito-sync", name, "--")

    own = [f"--{command_name(each)}" for each in members]
    assert found[: len(own)] == own
    assert {"--cli-input-json", "--generate-cli-skeleton", "--query"} < set(found)


def test_an_option_is_proposed_once():
    """What is on the line already is not proposed again."""
    before = ("cognito-sync", "list-datasets", "--identity-id", "x", "--output=text")

    found = texts(*before, "--")

    assert "--identity-pool-id" in found
    assert not {"--identity-id", "--output"} & set(found)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (
            ("cognito-sync", "--output", ""),
            ["json", "text", "table", "yaml", "yaml-stream"],
        ),
        (("--output", "t"), ["text", "table"]),
        (("--output=t",), ["--output=text", "--output=table"]),
        (("--color", ""), ["on", "off", "auto"]),
        (("--v",), ["--version", "--v2-debug", "--v1", "--v2"]),
        (("--cli-binary-format", ""), ["base64", "raw-in-base64-out"]),
        (
            ("cognito-sync", "register-device", "--platform", ""),
            ["APNS", "APNS_SANDBOX", "GCM", "ADM"],
        ),
        (
            ("cognito-sync", "bulk-publish", "--generate-cli-skeleton", ""),
            ["input", "output", "yaml-input"],
        ),
        (("cognito-sync", "bulk-publish", "--identity-pool-id", ""), []),
    ],
)
def test_values(typed, expected):
    """An option with a few values proposes them; one with any value, none."""
    assert expected == texts(*typed)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", ["StreamName=", "RoleArn=", "StreamingStatus="]),
        ("Streaming", ["StreamingStatus="]),
        ("StreamingStatus=", ["StreamingStatus=ENABLED", "StreamingStatus=DISABLED"]),
        ("StreamName=x,R", ["StreamName=x,RoleArn="]),
        ("StreamName=x,StreamN", []),
        ("StreamName=x,StreamingStatus=D", ["StreamName=x,StreamingStatus=DISABLED"]),
    ],
)
def test_shorthand(typed, expected):
    """The members of a structure are proposed as they are written in shorthand."""
    before = ("cognito-sync", "set-identity-pool-configuration", "--cognito-streams")

    assert expected == texts(*before, typed)


def test_several_values():
    """An option that takes several goes on until another option begins."""
    before = ("cognito-sync", "update-records", "--record-patches", "Op=remove,Key=k")

    assert texts(*before, "Op=") == ["Op=replace", "Op=remove"]
    assert "--dataset-name" in texts(*before, "--d")


def test_files(tmp_path, monkeypatch):
    """Behind file:// stand files and folders, hidden ones when asked for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name in ("file one.json", ".hidden", "folder/inside"):
        (tmp_path / name).write_text("")
    before = ("cognito-sync", "update-records", "--cli-input-json")

    assert texts(*before, "f") == ["file://", "fileb://"]
    assert texts(*before, "file://f") == ["file://file one.json", "file://folder/"]
    assert texts(*before, "file://folder/") == ["file://folder/inside"]
    assert texts(*before, f"file://{tmp_path}/.h") == [f"file://{tmp_path}/.hidden"]
    assert texts(*before, "fileb://nowhere/") == []
    assert texts("--ca-bundle", "fi") == ["file one.json"]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert texts(*before, "file://~/fo") == ["file://~/folder/"]


def test_profiles(home):
    """--profile proposes those of the files; a broken file proposes none."""
    (home / ".aws" / "config").write_text("[default]\n[profile work]\n")
    assert texts("--profile", "") == ["default", "work"]

    (home / ".aws" / "config").write_text("[broken")
    assert texts("--profile", "") == []


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (("serve", "--po"), ["--port"]),
        (("key", ""), ["create", "list", "change", "delete"]),
        (("key", "create", "--output", ""), ["text", "json"]),
        (("key", "create", "--n"), ["--name"]),
        (("install-model", "--api", "cognito-s"), ["cognito-sync"]),
        (("completion", ""), [*SHELLS]),
        (("get-bulk-publish-details", "--wa"), ["--watch"]),
        (("demo", ""), ["--help"]),
        (("nonsense", ""), []),
    ],
)
def test_our_own_commands(typed, expected):
    """Our own commands complete what their parsers know."""
    found = texts(*typed)

    assert expected == [each for each in found if typed[0] != "nonsense"]


def options_of(parser: argparse.ArgumentParser) -> dict[str, object]:
    """What a parser knows, in the form of the table."""
    known: dict[str, object] = {}
    for action in parser._actions:
        for name in action.option_strings:
            if name.startswith("--"):
                values = tuple(action.choices) if action.choices else local.TEXT
                known[name] = local.FLAG if action.nargs == 0 else values
    return known


def words_of(parser: argparse.ArgumentParser) -> dict[str, object]:
    """The words that may stand alone, and the parsers of those that are commands."""
    known: dict[str, object] = {}
    for action in parser._actions:
        if not action.option_strings and action.choices is not None:
            plain = dict.fromkeys(action.choices)
            known |= action.choices if isinstance(action.choices, dict) else plain
    return known


def agree(command: local.Command, parser: argparse.ArgumentParser) -> None:
    table = {
        name: local.TEXT if kind == local.PATH else kind
        for name, kind in command.options.items()
    }
    assert table == options_of(parser)
    known = words_of(parser)
    assert set(command.words) == set(known)
    for name, nested in command.words.items():
        inner = known[name]
        if nested is not None:
            assert isinstance(inner, argparse.ArgumentParser)
            agree(nested, inner)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_of_our_own_commands_is_right(name):
    """Completion knows what the parser of each command knows: see completion/local."""
    parser = importlib.import_module(COMMANDS[name].module).make_parser()

    agree(local.COMMANDS[name], parser)


# --- The line of bash ---------------------------------------------------------------

BREAKS = " \t\n\"'><=;|&(:"


@pytest.mark.parametrize(
    ("line", "before", "current"),
    [
        ("millpond ", [], ""),
        ("millpond a  b", ["a"], "b"),
        ("millpond 'a b' c", ["a b"], "c"),
        ("millpond a\\ b", [], "a b"),
        ('millpond "a b', [], "a b"),
        ("millpond '' b", [""], "b"),
        ("millpond a'b c'd", [], "ab cd"),
        ("millpond a\\", [], "a"),
        ("mill", [], "mill"),
        ("", [], ""),
    ],
)
def test_a_line_is_cut_as_bash_does(line, before, current):
    """Quotes and escapes are undone; one that is still open does no harm."""
    found = bash_line.split(line, breaks=BREAKS)

    assert (before, current) == (found.before, found.current)


@pytest.mark.parametrize(
    ("line", "word", "expected"),
    [
        ("m get-", "get-b", "get-b"),
        ("m file://a", "file://abc", "//abc"),
        ("m --output=t", "--output=text", "text"),
        ("m A=1,B=", "A=1,B=x", "x"),
        ("m fi", "file://", "file://"),
        ("m file://a", "file://a b", "//a\\ b"),
        ("m 'file://a", "file://a b", "file://a b"),
        ("m file\\:a", "file:ab", "file:ab"),
    ],
)
def test_bash_gets_the_piece_that_it_replaces(line, word, expected):
    """What bash has in earlier pieces is left out, blanks are escaped."""
    assert expected == bash_line.split(line, breaks=BREAKS).spell(word)


# --- Real shells --------------------------------------------------------------------


@pytest.fixture
def environment(home) -> dict[str, str]:
    """The environment of a shell that finds `millpond`."""
    folder = home / "bin"
    folder.mkdir()
    program = folder / "millpond"
    python = shlex.quote(sys.executable)
    program.write_text(f'#!/bin/sh\nexec {python} -m millpond "$@"\n')
    program.chmod(0o755)
    (home / "patches.json").write_text("[]")
    return {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHONPATH": SOURCE,
        "TERM": "dumb",
        "PS1": "$ ",
        "COLUMNS": "300",
    }


LINES = [
    (f"{SYNC} get-b", f"{SYNC} get-bulk-publish-details "),
    (f"{SYNC} get-bulk-publish-details --id", None),
    (
        f"{SYNC} register-device --platform AD",
        f"{SYNC} register-device --platform ADM ",
    ),
    (
        f"{SYNC} register-device --platform=AD",
        f"{SYNC} register-device --platform=ADM ",
    ),
    (
        f"{SYNC} update-records --record-patches file://pat",
        f"{SYNC} update-records --record-patches file://patches.json ",
    ),
    (
        f"{SYNC} set-identity-pool-configuration --cognito-streams StreamName=x,St",
        f"{SYNC} set-identity-pool-configuration --cognito-streams "
        "StreamName=x,StreamingStatus=",
    ),
    ("millpond key cr", "millpond key create "),
    ("millpond serve --da", "millpond serve --data "),
]


def completed(line: str, expected: str | None) -> str:
    """`None`: the option with this beginning."""
    return expected or line.replace("--id", "--identity-pool-id ")


def needs(shell: str) -> str:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed: apt-get install {shell}")
    return shell


@pytest.fixture
def bash(environment):
    """An interactive bash with our completion."""
    command = [needs("bash"), "--norc", "--noprofile", "-i"]
    shell = Shell(command, environment, "source <(millpond completion bash)")
    yield shell
    shell.close()


@pytest.fixture
def zsh(environment):
    """An interactive zsh with our completion."""
    setup = (
        "autoload -Uz compinit && compinit -u -D",
        "source <(millpond completion zsh)",
    )
    shell = Shell([needs("zsh"), "-f", "-i"], environment, *setup)
    yield shell
    shell.close()


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_bash_completes(bash, line, expected):
    """A line is completed on a terminal, by the key that does that."""
    assert completed(line, expected) == bash.complete(line)


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_zsh_completes(zsh, line, expected):
    """The same in zsh, which removes the last blank when the line ends there."""
    assert completed(line, expected).rstrip() == zsh.complete(line).rstrip()


@pytest.fixture
def fish(environment):
    """What fish proposes for a line."""
    program = needs("fish")

    def propose(line: str) -> list[str]:
        done = subprocess.run(
            [
                *(program, "--no-config", "-c"),
                "millpond completion fish | source; complete -C $argv[1]",
                line,
            ],
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds(60),
            check=True,
        )
        assert done.stderr == ""
        return done.stdout.splitlines()

    return propose


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_fish_proposes(fish, line, expected):
    """fish shows the word that the others put into the line, and what it is."""
    (proposed,) = fish(line)

    last = completed(line, expected).rstrip().rpartition(" ")[2]
    assert last == proposed.partition("\t")[0]


def test_fish_says_what_a_word_is(fish):
    """The first sentence of the documents stands beside an operation."""
    (proposed,) = fish(f"{SYNC} bulk")

    word, about = proposed.split("\t")
    assert word == "bulk-publish"
    assert about


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_printed(run, shell):
    """`millpond completion` prints the script, and says what shells there are."""
    result = run("completion", shell)

    assert (result.code, result.err) == (0, "")
    assert result.out == script(shell)
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=result.out.encode(), check=True)


def test_another_shell_is_a_usage_error(run):
    """A shell that we know nothing of is refused; a near name is proposed."""
    result = run("completion", "bsh")

    assert result.code == 2
    assert "  * bash\n" in result.err
