"""
What somebody may have meant who wrote an option or a command that there is not.

The commands of the APIs propose names while they parse, as the AWS CLI does. Our own
commands use plain parsers; what those refused is looked at here, afterwards.
"""

from __future__ import annotations

from millpond.cli.api.arguments import proposal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sequence


def proposals(parser: ArgumentParser, words: Sequence[str]) -> str:
    """
    Propose names for the words that a parser does not know; empty when none is near.

    Args:
        parser: the one that refused the words; those of its commands are followed.
    """
    found = []
    rest = iter(words)
    for word in rest:
        if word.startswith("-"):
            name, equals, value = word.partition("=")
            action = parser._option_string_actions.get(name)
            if action is None:
                behind = _commands_with(name, parser)
                if behind:
                    return _too_early(name, parser, behind)
                found.append(_for_option(name, list(parser._option_string_actions)))
            elif action.nargs != 0:
                value = value if equals else next(rest, "")
                if action.choices is not None and value not in action.choices:
                    found.append(proposal(value, list(action.choices)))
            continue
        choices = choices_of(parser)
        if word in choices:
            parser = choices[word] or parser
            continue
        found.append(proposal(word, list(choices)))
        if any(choices.values()):
            break  # the rest belongs to a command that is not known
    return "".join(found)


def _for_option(name: str, known: Sequence[str]) -> str:
    """Propose options; where settings are read, one of them may be meant."""
    if "--settings" in known:
        from millpond.cli import serve

        hint = serve.how_to_set(name)
        if hint:
            return f"\n\n\n{hint}\n"
    return proposal(name, known)


def _commands_with(option: str, parser: ArgumentParser) -> list[str]:
    """List the commands of a group that have an option which the group has not."""
    return [
        name
        for name, each in choices_of(parser).items()
        if each is not None and option in each._option_string_actions
    ]


def _too_early(option: str, parser: ArgumentParser, commands: Sequence[str]) -> str:
    """Say where an option belongs that stands before the command it is of."""
    return (
        f"\n\n\n{option} stands behind the command: "
        f"{parser.prog} {'|'.join(commands)} ... {option}\n"
    )


def choices_of(parser: ArgumentParser) -> dict[str, ArgumentParser | None]:
    """List the words that may stand alone, with the parsers of commands."""
    found: dict[str, ArgumentParser | None] = {}
    for action in parser._actions:
        if action.choices is None or action.option_strings:
            continue
        if isinstance(action.choices, dict):
            found.update(action.choices)
        else:
            found.update(dict.fromkeys(action.choices))
    return found
