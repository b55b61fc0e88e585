"""
The help pages of the program and of our own commands.

A page of a command is written from its parser, in the form that the pages of the APIs
have: `X help`, `help X` and `X --help` show the same one.
"""

from __future__ import annotations

import argparse

from millpond.cli.api.arguments import COMMON_OPTIONS, GLOBAL_OPTIONS
from millpond.cli.api.faults import PROGRAM
from millpond.cli.api.help import VERSIONS, versions
from millpond.cli.commands import AWS_APIS, COMMANDS, GROUPS
from millpond.cli.page import STEP, page, prose, section, terms
from millpond.client.api import models
from millpond.client.api.ways import V1

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType
    from typing import Final

_SYNOPSIS_INDENT = 3

EXIT_STATUSES: Final = (
    ("0", "It is done."),
    ("1", "It was refused or failed, or something was found; it says what."),
    ("2", "The command line is wrong."),
    ("130", "Ctrl-C."),
    ("255", "A call was not answered, or the server said no."),
)


def program_page() -> str:
    """Describe the program: its commands by groups, and the options of calls."""
    about = (
        "Keeps per-user data in step across devices: the server, and the commands of "
        "its APIs as the AWS CLI has them."
    )
    return page(
        section("NAME", prose(PROGRAM)),
        section("DESCRIPTION", prose(about)),
        section(
            "SYNOPSIS",
            [
                f"{PROGRAM} <command> [<subcommand>] [options]",
                f"{PROGRAM} help <command> [<subcommand>]",
            ],
        ),
        section("AVAILABLE COMMANDS", _commands()),
        section("GLOBAL OPTIONS", _global_options()),
        section("EXIT STATUS", [*terms(EXIT_STATUSES)]),
        section(VERSIONS, versions(COMMON_OPTIONS, V1)),
    )


def _commands() -> Iterator[str]:
    rows = {name: (each.group, each.about) for name, each in COMMANDS.items()}
    rows |= {name: (AWS_APIS, f"Call {name}.") for name in models.CONTRACTS}
    for group, about in GROUPS.items():
        yield from prose(f"{group}: {about}")
        found = [(n, text) for n, (of, text) in rows.items() if of == group]
        yield from (f"  {line}" for line in terms(found, inner=2))
        yield ""


def _global_options() -> Iterator[str]:
    yield from prose("Of the AWS APIs; commands of our own have options of their own.")
    for option in GLOBAL_OPTIONS:
        yield f"--{option.name} ({option.kind})"
        choices = f" One of: {', '.join(option.choices)}." if option.choices else ""
        yield from prose(option.help + choices, STEP)


def command_page(parser: argparse.ArgumentParser, module: ModuleType) -> str:
    """
    Describe one of our own commands, or a group of them.

    Args:
        module: of the command; what its `help_sections()` gives, if it has one, stands
            at the end of the page of the command itself.
    """
    top = module.make_parser()
    description = parser.description or _about(top, parser.prog)
    arguments = [each for each in parser._actions if not each.option_strings]
    options = [each for each in parser._actions if each.option_strings]
    groups = [each for each in arguments if is_group(each)]
    words = [each for each in arguments if not is_group(each)]
    more = getattr(module, "help_sections", list) if parser.prog == top.prog else list
    return page(
        section("NAME", prose(parser.prog)),
        section("DESCRIPTION", prose(sentence(description))),
        section("SYNOPSIS", _synopsis(parser, arguments, options)),
        section("AVAILABLE COMMANDS", _nested(groups)),
        section("ARGUMENTS", _described(words)),
        section("OPTIONS", _described(options)),
        *_epilog(parser.epilog or ""),
        *(section(*each) for each in more()),
    )


def _about(parser: argparse.ArgumentParser, prog: str) -> str:
    """Find the line that a group has on the command of that name; empty: none has."""
    for group in filter(is_group, parser._actions):
        abouts = one_line_each(group)
        for name, inner in dict(group.choices or {}).items():
            if inner.prog == prog:
                return abouts.get(name, "")
            if prog.startswith(f"{inner.prog} "):
                return _about(inner, prog)
    return ""


def sentence(text: str) -> str:
    """Write a description as a sentence; lines in lists have no capital and no stop."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith(".") or not text else f"{text}."


def is_group(action: argparse.Action) -> bool:
    """Tell whether an argument is the word of a command."""
    return isinstance(action, argparse._SubParsersAction)


def _synopsis(
    parser: argparse.ArgumentParser,
    arguments: list[argparse.Action],
    options: list[argparse.Action],
) -> Iterator[str]:
    yield parser.prog
    exclusive = {
        id(action): (group._group_actions, group.required)
        for group in parser._mutually_exclusive_groups
        for action in group._group_actions
    }
    for action in (*arguments, *options):
        if action.dest == "help":
            continue
        together, required = exclusive.get(id(action), ([action], action.required))
        if action is not together[0]:
            continue
        usage = " | ".join(usage_of(each) for each in together)
        yield f"{'':{_SYNOPSIS_INDENT}}{usage if required else f'[{usage}]'}"


def usage_of(action: argparse.Action) -> str:
    """Write an argument, or an option with its value, as it stands on a line."""
    if is_group(action):
        return f"{action.metavar or action.dest} [options]"
    if action.nargs == 0:
        return action.option_strings[-1]
    value = _value(action)
    more = " ..." if action.nargs in ("+", "*") else ""
    if not action.option_strings:
        return f"{value}{more}"
    return f"{action.option_strings[-1]} {value}{more}"


def _value(action: argparse.Action) -> str:
    if action.choices is not None:
        return "|".join(map(str, action.choices))
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest
    return metavar.upper() if action.option_strings else metavar


def _nested(groups: list[argparse.Action]) -> Iterator[str]:
    for group in groups:
        abouts = one_line_each(group)
        yield from terms([(name, abouts.get(name, "")) for name in group.choices or ()])


def one_line_each(group: argparse.Action) -> dict[str, str]:
    """What the parser of a group says of each command in it."""
    choices: list[argparse.Action] = getattr(group, "_choices_actions", [])
    return {each.dest: each.help or "" for each in choices}


def _described(actions: list[argparse.Action]) -> Iterator[str]:
    for action in actions:
        if action.help == argparse.SUPPRESS:
            continue
        yield "--help" if action.dest == "help" else usage_of(action)
        about = "show this page" if action.dest == "help" else action.help or ""
        if "%(" in about:
            about %= {**vars(action)}
        yield from prose(about.replace("%%", "%"), STEP) if about else [""]


def _epilog(text: str) -> list[str]:
    """Show what a parser has at its end; a heading of its own stands before a colon."""
    if not text:
        return []
    title, colon, rest = text.partition(":")
    return [section(title.upper(), prose(rest if colon else text))]
