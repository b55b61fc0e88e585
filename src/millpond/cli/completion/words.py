"""
Which words may stand at the end of a command line that is being typed.

Rule: the words before the cursor are taken as they stand. Each is a command, an option,
the value of one, or none of our business; whatever is wrong with them is left to the
command itself to say.
"""

from __future__ import annotations

import os

from millpond.cli.api.arguments import (
    GLOBAL_OPTIONS,
    INPUT_JSON,
    INPUT_YAML,
    LATER_OPTIONS,
    WAYS_OPTIONS,
    options_beside,
)
from millpond.cli.commands import COMMANDS
from millpond.cli.completion import local
from millpond.client.api import models
from millpond.client.api.model import ServiceModel, command_name, first_sentence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Final

    from millpond.cli.api.arguments import Option
    from millpond.client.api.model import OperationModel, Shape

_ABOUT_CHARS_MAX: Final = 80
_FILE_SCHEMES: Final = ("file://", "fileb://")
_HELP: Final = "help"


class Word:
    """A word that may be typed, and what it is, for shells that show that."""

    def __init__(self, text: str, about: str = "") -> None:
        self.text = text
        self.about = " ".join(about.split())[:_ABOUT_CHARS_MAX]


class Values:
    """
    What may follow an option.

    Args:
        propose: gives words for what is typed of the value.
        many: several values may follow.
    """

    def __init__(
        self, propose: Callable[[str], Iterable[Word]], *, many: bool = False
    ) -> None:
        self.propose = propose
        self.many = many


def propose(typed: Sequence[str]) -> list[Word]:
    """
    Propose words.

    Args:
        typed: the words after the program's name; the last one is the one being typed,
            perhaps empty.
    Returns:
        Words that begin with what is typed of the last one.
    """
    *before, current = typed
    if before and before[0] in local.COMMANDS:
        found = _in_local(local.COMMANDS[before[0]], before[1:], current)
    else:
        found = _in_api(before, current)
    return [each for each in found if each.text.startswith(current)]


def _in_local(
    command: local.Command, before: Sequence[str], current: str
) -> Iterable[Word]:
    """Follow the words of one of our own commands."""
    options = {
        name: _Option(_local_values(kind)) for name, kind in command.options.items()
    }
    rest = _Rest(before, options)
    for word in rest.standing:
        nested = command.words.get(word)
        if nested is not None:
            return _in_local(nested, before[before.index(word) + 1 :], current)
    words = [] if rest.standing else [Word(name) for name in command.words]
    return rest.complete(current, words)


def _local_values(kind: local.Value) -> Values | None:
    """What may follow an option of ours; `None`: nothing does."""
    if kind == local.FLAG:
        return None
    if kind == local.PATH:
        return Values(_paths)
    return _any_of(()) if kind == local.TEXT else _any_of(kind)


def _in_api(before: Sequence[str], current: str) -> Iterable[Word]:
    """Follow the words of a command of an API, global options in any place."""
    options = {
        f"--{each.name}": _Option(_option_values(each), each.help)
        for each in (*GLOBAL_OPTIONS, *LATER_OPTIONS)
    }
    for name in WAYS_OPTIONS:
        options[name] = _Option(None, f"Run in the ways of the AWS CLI, {name[2:]}.")
    rest = _Rest(before, options)
    if not rest.standing:
        # Our own commands come first, or not at all.
        return rest.complete(current, _commands(with_local=not before))
    if rest.standing[0] not in models.CONTRACTS:
        return rest.complete(current)
    service = ServiceModel.load(rest.standing[0])
    if len(rest.standing) == 1:
        return rest.complete(current, _operations(service))
    if rest.standing[1] in service.commands:
        operation = service.operation(rest.standing[1])
        rest = _Rest(before, {**dict(_operation_options(operation)), **options})
    return rest.complete(current)


def _commands(*, with_local: bool) -> Iterator[Word]:
    for name in models.CONTRACTS:
        yield Word(name, f"Call {name}.")
    if with_local:
        for name, command in COMMANDS.items():
            yield Word(name, command.about)
    yield Word(_HELP, "Show help.")


def _operations(service: ServiceModel) -> Iterator[Word]:
    for name in service.commands:
        yield Word(name, first_sentence(service.operation(name).documentation))
    yield Word(_HELP, "Show help.")


def _operation_options(operation: OperationModel) -> Iterator[tuple[str, _Option]]:
    for member, shape in operation.input.members.items():
        name = command_name(member)
        about = first_sentence(shape.documentation)
        if shape.type == "boolean":
            yield f"--{name}", _Option(None, about)
            yield f"--no-{name}", _Option(None, about)
        else:
            yield f"--{name}", _Option(_member_values(shape), about)
    for option in options_beside(operation):
        yield f"--{option.name}", _Option(_option_values(option), option.help)


class _Option:
    """An option: what may follow it, `None` for nothing, and what it is."""

    def __init__(self, values: Values | None, about: str = "") -> None:
        self.values = values
        self.about = about


class _Rest:
    """
    What the words before the cursor amount to, when these options are known.

    `standing` are those that stand alone, `given` are the options.
    """

    def __init__(self, before: Sequence[str], options: dict[str, _Option]) -> None:
        self.standing: list[str] = []
        self.given: list[str] = []
        self._options = options
        self._waiting: Values | None = None
        for word in before:
            name, equals, _ = word.partition("=")
            if name.startswith("--"):
                option = options.get(name)
                self.given.append(name)
                self._waiting = option.values if option and not equals else None
            elif self._waiting is None:
                self.standing.append(word)
            elif not self._waiting.many:
                self._waiting = None

    def complete(self, current: str, words: Iterable[Word] = ()) -> Iterable[Word]:
        """Choose between the value of an option, the name of one, and a word alone."""
        waiting = self._waiting
        if waiting is not None and not (waiting.many and current.startswith("--")):
            return waiting.propose(current)
        name, equals, value = current.partition("=")
        option = self._options.get(name)
        if equals and option is not None:
            found = option.values.propose(value) if option.values else ()
            return [Word(f"{name}={each.text}", each.about) for each in found]
        names = [
            Word(name, option.about)
            for name, option in self._options.items()
            if name not in self.given
        ]
        return names if current.startswith("-") else [*words] or names


def _option_values(option: Option) -> Values | None:
    if not option.takes_value:
        return None
    if option.choices:
        return _any_of(option.choices)
    sources = {
        "ca-bundle": _paths,
        "profile": _profiles,
        INPUT_JSON: _files,
        INPUT_YAML: _files,
    }
    return Values(sources.get(option.name, lambda current: ()))


def _member_values(shape: Shape) -> Values:
    def propose(current: str) -> Iterable[Word]:
        if current.startswith(_FILE_SCHEMES):
            return _files(current)
        plain = [Word(each) for each in shape.enum]
        element = shape.member if shape.type == "list" else shape
        nested = _shorthand(element, current) if element.type == "structure" else []
        return [*plain, *nested, *(_files(current) if current else [])]

    return Values(propose, many=shape.type == "list")


def _shorthand(structure: Shape, current: str) -> Iterator[Word]:
    """Propose the next name of a structure written as A=1,B=2, or its value."""
    done, comma, pair = current.rpartition(",")
    written = {each.partition("=")[0] for each in done.split(",")}
    name, equals, _ = pair.partition("=")
    if equals and name in structure.members:
        for each in structure.members[name].enum:
            yield Word(f"{done}{comma}{name}={each}")
    elif not equals:
        for member, shape in structure.members.items():
            if member not in written:
                about = first_sentence(shape.documentation)
                yield Word(f"{done}{comma}{member}=", about)


def _any_of(choices: Iterable[str]) -> Values:
    return Values(lambda current: [Word(each) for each in choices])


def _profiles(current: str) -> Iterable[Word]:
    from millpond.client.api.configuration import Configuration
    from millpond.client.api.faults import Fault

    try:
        return [Word(name) for name in Configuration().profile_names]
    except Fault:
        return []


def _files(current: str) -> Iterable[Word]:
    """Propose the schemes of values that stand in files, and the files behind them."""
    for scheme in _FILE_SCHEMES:
        if current.startswith(scheme):
            paths = _paths(current.removeprefix(scheme))
            return [Word(f"{scheme}{each.text}") for each in paths]
    return [Word(scheme) for scheme in _FILE_SCHEMES]


def _paths(current: str) -> Iterable[Word]:
    """Propose files and folders; hidden ones when their dot is typed."""
    folder, base = os.path.split(current)
    prefix = current[: len(current) - len(base)]
    try:
        with os.scandir(os.path.expanduser(folder) or ".") as entries:
            found = sorted((each.name, each.is_dir()) for each in entries)
    except OSError:
        return []
    return [
        Word(f"{prefix}{name}{'/' if is_folder else ''}")
        for name, is_folder in found
        if base.startswith(".") or not name.startswith(".")
    ]
