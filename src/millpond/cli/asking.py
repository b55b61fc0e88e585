"""
Who asks for help, and for the page of what.

`help X`, `X help`, `X --help` and `X -h` are one thing, for the program, a group, a
command and an operation of an API. The last word of the way is the one whose page is
shown; options that are given do no harm.

AWS: only `help` is known there, as the last word; `--help` is an error.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Collection, Sequence
    from typing import Final

HELP: Final = "help"
_OPTIONS: Final = ("--help", "-h")


def is_asked(words: Sequence[str]) -> bool:
    """Tell whether an option asks for help; behind `--` there are no options."""
    return any(each in _OPTIONS for each in _before_dashes(words))


def canonical(words: Sequence[str], own: Collection[str]) -> list[str]:
    """
    Put a line that asks for help in one form: the way to what is meant, then `help`.

    A line that does not ask stays as it is.

    Args:
        own: the names of our own commands. What stands behind one of these is left as
            it is, and `--help` stands for a `help` before; the parser of the command
            knows it (`page_asked`).
    """
    words = list(words)
    if words[:1] == [HELP] and words[1:2] and not words[1].startswith("-"):
        if words[1] in own:
            return [words[1], _OPTIONS[0], *words[2:]]  # whatever else stands there
        words = [*words[1:], HELP]  # of these, too, `--help` may be one
    if not words:
        return [HELP]
    if words[0] in own:
        return words
    return _of_api(words)


def _of_api(words: list[str]) -> list[str]:
    way = _standing(words)
    if not is_asked(words):
        if len(words) == 1 and _operations(words[0]):
            return [*words, HELP]  # a group without a word lists what it has
        # AWS: another word behind `help` does no harm; one that is nearly an operation
        # is refused all the same, with the near name.
        if len(way) == 3 and way[1] == HELP and _is_meant(way[2], _operations(way[0])):
            return [way[0], way[2], HELP]
        return words
    way = [each for each in way if each != HELP]
    if way and way[0] in _apis():
        return [*way[:2], HELP]
    return [*way[:1], HELP]


def _standing(words: Sequence[str]) -> list[str]:
    """List the words that are neither global options nor values of them."""
    from millpond.cli.api.arguments import GLOBAL_OPTIONS, LATER_OPTIONS

    options = (*GLOBAL_OPTIONS, *LATER_OPTIONS)
    takes_value = {f"--{each.name}" for each in options if each.takes_value}
    takes_value.discard("--version")
    found = []
    rest = iter(_before_dashes(words))
    for word in rest:
        if word in takes_value:
            next(rest, None)
        elif not word.startswith("-"):
            found.append(word)
    return found


def _apis() -> Collection[str]:
    from millpond.client.api import models

    return models.CONTRACTS


def _operations(api: str) -> Collection[str]:
    if api not in _apis():
        return ()
    from millpond.client.api.model import ServiceModel

    return ServiceModel.load(api).commands


def _is_meant(word: str, operations: Collection[str]) -> bool:
    from millpond import nearness

    return word in operations or bool(nearness.find(word, operations))


def _before_dashes(words: Sequence[str]) -> Sequence[str]:
    return words[: words.index("--")] if "--" in words else words


def page_asked(parser: ArgumentParser, words: Sequence[str]) -> ArgumentParser | None:
    """
    Find the parser whose page a line of one of our own commands asks for.

    Args:
        parser: that of the command.
        words: those after its name.
    Returns:
        None: no help is asked for, or for what there is not. A group without a command,
        or a command that needs one of a few words and has none, asks for its page.
        Where a command takes words as they are, and has place for it, `help` is one.
    """
    from millpond.cli import near

    asked = is_asked(words)
    rest = iter(_before_dashes(words))
    alone = True
    taken = []
    for word in rest:
        if word.startswith("-"):
            action = parser._option_string_actions.get(word)
            alone = alone and word in _OPTIONS
            if action is not None and action.nargs != 0:
                next(rest, None)
            continue
        choices = near.choices_of(parser)
        if not choices:
            taken.append(word)
        elif word == HELP:
            asked = True
        elif word in choices:
            parser, alone = choices[word] or parser, True
        else:
            return None
    asked = asked or taken == [HELP] or (HELP in taken and len(taken) > _places(parser))
    return parser if asked or (alone and _needs_word(parser)) else None


def without(words: Sequence[str]) -> list[str]:
    """Take out the words that ask for help."""
    before = _before_dashes(words)
    asking = (HELP, *_OPTIONS)
    return [each for each in before if each not in asking] + [*words[len(before) :]]


def _places(parser: ArgumentParser) -> float:
    """Count the words that a command takes beside its options."""
    count = 0.0
    for action in parser._actions:
        if not action.option_strings:
            count += 1 if action.nargs in (None, "?") else float("inf")
    return count


def _needs_word(parser: ArgumentParser) -> bool:
    return any(
        action.choices is not None and not action.option_strings and action.required
        for action in parser._actions
    )
