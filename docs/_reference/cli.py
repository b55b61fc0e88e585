"""
The pages of the command line: of our own commands, and of those of the AWS APIs.

Everything is read from the parsers and the registry that `millpond help` goes by.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Final

from millpond.cli import help as pages
from millpond.cli.api.arguments import (
    COMMON_OPTIONS,
    CONNECTION_OPTIONS,
    GLOBAL_OPTIONS,
    LATER_OPTIONS,
    PAGING_OPTIONS,
    WAYS_OPTIONS,
    Option,
)
from millpond.cli.commands import AWS_APIS, COMMANDS, GROUPS
from millpond.cli.environment import VARIABLES
from millpond.cli.serve import add_settings_options
from millpond.client.api import models
from millpond.client.api.model import ServiceModel, command_name
from millpond.contract.shapes import Api, members

_DEFAULT: Final = re.compile(r" ?(?:\[([^\]]+)\]|\(default ([^)]+)\))$")


def made() -> dict[str, str]:
    """Make the pages, by file name."""
    return {
        "cli.md": "\n".join(own_commands()),
        "cli-apis.md": "\n".join(api_commands()),
    }


def own_commands() -> Iterator[str]:
    """Describe our own commands, by group, and what they share."""
    yield from (
        "# The command line",
        "",
        "Every command of Millpond's own. Those that call the AWS APIs, in the words "
        "of the AWS CLI, are on [a page of their own](cli-apis.md); "
        "[The command line](../command-line.md) tells what one does with them. "
        "`millpond help COMMAND` shows the same in a terminal.",
        "",
    )
    for group, about in GROUPS.items():
        if group != AWS_APIS:
            names = [name for name, each in COMMANDS.items() if each.group == group]
            yield f"* [{group}](#{group.lower()}): {about}. {_links(names)}"
    yield from ("", "## Exit status", "", "Of every command, unless it says otherwise:")
    yield from ("", "| status | |", "|---|---|")
    yield from (f"| {status} | {about} |" for status, about in pages.EXIT_STATUSES)
    yield from ("", "## Environment", "", "| variable | |", "|---|---|")
    yield from (f"| `{name}` | {about} |" for name, about in VARIABLES.items())
    yield "| `MILLPOND_` and a name | Each [setting](settings.md), in capitals. |"
    yield from shared_options()
    for group, about in GROUPS.items():
        if group != AWS_APIS:
            yield from ("", f"## {group}", "", f"{about[:1].upper()}{about[1:]}.")
            for command in COMMANDS.values():
                if command.group == group:
                    yield from of_parser(import_module(command.module).make_parser())


def _links(names: Sequence[str]) -> str:
    return ", ".join(f"[{each}](#millpond-{each})" for each in names)


def shared_options() -> Iterator[str]:
    """Describe the options that many commands have."""
    yield from ("", "## Options of the store", "")
    yield "Of commands that work on a store, whether a server is running on it or not."
    parser = argparse.ArgumentParser(add_help=False)
    add_settings_options(parser)
    yield from table(parser._actions)
    yield from ("", "## Options of the connection", "")
    yield "Of commands that call a server; variables and the profile say the rest."
    yield from option_table(CONNECTION_OPTIONS)


def of_parser(parser: argparse.ArgumentParser, about: str = "") -> Iterator[str]:
    """Describe a command, and those below it."""
    groups = [each for each in parser._actions if pages.is_group(each)]
    words = [each for each in parser._actions if not pages.is_group(each)]
    yield from ("", f"### `{parser.prog}`", "")
    yield pages.sentence(parser.description or about)
    if not groups:
        yield from _arguments(parser, words)
    if parser.epilog:
        yield from ("", pages.sentence(parser.epilog))
    for group in groups:
        abouts = pages.one_line_each(group)
        seen: set[int] = set()
        for name, inner in dict(group.choices or {}).items():
            if id(inner) not in seen:  # a command may have a second name
                seen.add(id(inner))
                yield from of_parser(inner, abouts.get(name, ""))


def _arguments(
    parser: argparse.ArgumentParser, actions: list[argparse.Action]
) -> Iterator[str]:
    shown = [
        each
        for each in actions
        if each.dest != "help" and each.help != argparse.SUPPRESS
    ]
    own = [each for each in shown if _shared(each) is None]
    needed = [
        pages.usage_of(each)
        for each in own
        if (each.required if each.option_strings else each.nargs not in ("?", "*"))
    ]
    more = " [options]" if any(each.option_strings for each in shown) else ""
    yield from ("", f"    {' '.join([parser.prog, *needed])}{more}")
    if own:
        yield from table(own)
    shared = sorted({found for each in shown if (found := _shared(each))})
    if shared:
        links = [f"[{each}](#options-of-the-{each})" for each in shared]
        yield from ("", f"And the options of the {' and the '.join(links)}.")


def _shared(action: argparse.Action) -> str | None:
    """Tell of which section an option is, if it is not the command's own."""
    names = {each.name for each in CONNECTION_OPTIONS}
    texts = {each.help for each in CONNECTION_OPTIONS}
    written = "".join(action.option_strings[-1:]).removeprefix("--")
    if written in names and action.help in texts:
        return "connection"
    parser = argparse.ArgumentParser(add_help=False)
    add_settings_options(parser)
    for each in parser._actions:
        if (each.option_strings, each.help) == (action.option_strings, action.help):
            return "store"
    return None


def table(actions: Sequence[argparse.Action]) -> Iterator[str]:
    """List arguments and options: how each is written, its default, what it does."""
    yield from ("", "| option | default | |", "|---|---|---|")
    for action in actions:
        about = action.help or ""
        if "%(" in about:
            about %= {**vars(action)}
        about, default = told_default(about.replace("%%", "%"))
        if not default and action.default not in (None, False, argparse.SUPPRESS, []):
            default = str(action.default)
        if action.required and action.option_strings:
            default = "required"
        written = "`, `".join([*action.option_strings[:-1], pages.usage_of(action)])
        yield f"| `{cell(written)}` | {cell(default)} | {cell(sentence(about))} |"


def option_table(options: Sequence[Option]) -> Iterator[str]:
    """List options that are written as those of the AWS CLI."""
    yield from ("", "| option | default | |", "|---|---|---|")
    for option in options:
        value = "" if option.kind == "boolean" else f" {option.kind.upper()}"
        choices = f" One of: {', '.join(option.choices)}." if option.choices else ""
        about, default = told_default(option.help + choices)
        yield f"| `--{option.name}{value}` | {default} | {cell(about)} |"


def told_default(text: str) -> tuple[str, str]:
    """Part a text from the default that it tells at its end."""
    if found := re.search(r" The default is (.+)\.$", text):
        return text[: found.start()], found[1]
    if found := _DEFAULT.search(text):
        return text[: found.start()], found[1] or found[2]
    return text, ""


def sentence(text: str) -> str:
    """Write a line as a sentence; a word that is typed keeps its small letter."""
    return pages.sentence(text) if text else ""


def cell(text: str) -> str:
    """Write a text so that it fits into a cell."""
    return text.replace("|", "\\|")


def api_commands() -> Iterator[str]:
    """List the commands of the AWS APIs, with their options."""
    yield from (
        "# Commands of the AWS APIs",
        "",
        "They take the words of the AWS CLI and answer as it does; what differs is in "
        "[The command line](../command-line.md#as-in-the-aws-cli). "
        "Options in bold are required. What an option and an answer mean is on the "
        "page of the API; `millpond cognito-sync list-records help` shows it in a "
        "terminal, with the errors and examples.",
    )
    for name, module in models.CONTRACTS.items():
        api: Api = import_module(module).API
        yield from ("", f"## {name}", "", f"[{api.title}]({name}.md).", "")
        yield from ("| command | options |", "|---|---|")
        service = ServiceModel.load(name)
        by_command = {command_name(each.name): each for each in api.operations}
        for command in service.commands:
            operation = by_command[command]
            options = [_option(each) for each in members(operation.request)]
            link = f"[{command}]({name}.md#{operation.name.lower()})"
            yield f"| {link} | {' '.join(options) or 'none'} |"
    yield from ("", "## Options of every command", "")
    yield "Where to, as whom, and the form of the result."
    yield from option_table((*GLOBAL_OPTIONS, *COMMON_OPTIONS))
    yield from ("", "Where a listing has pages:")
    yield from option_table(PAGING_OPTIONS)
    yield from ("", "## From version 2 of the AWS CLI", "")
    ways = " and ".join(f"`{each}`" for each in WAYS_OPTIONS)
    yield f"They work in the ways of both versions; {ways} choose between these."
    yield from option_table(LATER_OPTIONS)


def _option(member: object) -> str:
    name = command_name(member.name)  # type: ignore[attr-defined]
    required = member.required  # type: ignore[attr-defined]
    return f"**`--{name}`**" if required else f"`--{name}`"
