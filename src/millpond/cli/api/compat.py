"""
In whose ways a command line is to be run.

They are chosen by --v1 or --v2, else by MILLPOND_CLI_COMPAT, else by `cli_compat` of
the profile in use. They must be known before anything is found fault with, so these
places are looked at before the words are parsed.
"""

from __future__ import annotations

from millpond.cli.api.arguments import WAYS_OPTIONS
from millpond.client.api.configuration import Configuration, files_mention
from millpond.client.api.faults import Fault, SettingFault
from millpond.client.api.ways import NAMED, V1

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

    from millpond.client.api.ways import Ways

SETTING: Final = "cli_compat"
VARIABLE: Final = "MILLPOND_CLI_COMPAT"
_OF_CALLS: Final = "MILLPOND_CLI_"
_OF_TESTS: Final = ("MILLPOND_CLI_PARITY",)
_PROFILE: Final = "--profile"


def choose(
    words: Sequence[str], environment: Mapping[str, str]
) -> tuple[Ways, list[str]]:
    """
    Choose the ways of a command line; give them back with the words that are left.

    A value is never mistaken for --v1 or --v2, because no parser of ours takes a word
    with two dashes for a value.

    Raises:
        SettingFault: the variable or the setting names no ways.
    """
    _refuse_unknown(environment)
    chosen = None
    rest = []
    for word in words:
        if word in WAYS_OPTIONS:
            chosen = NAMED[word.removeprefix("--")]  # the last one wins
        else:
            rest.append(word)
    return chosen or _configured(rest, environment), rest


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    for name in environment:
        if name.startswith(_OF_CALLS) and name != VARIABLE and name not in _OF_TESTS:
            from millpond import nearness

            near = nearness.ask(name, [VARIABLE])
            raise SettingFault(f"There is no setting behind {name}.{near}")


def _configured(words: Sequence[str], environment: Mapping[str, str]) -> Ways:
    if name := environment.get(VARIABLE):
        return _named(name, VARIABLE)
    # Most people have no such setting, and need not wait for their files to be parsed.
    if not files_mention(SETTING, environment):
        return V1
    try:
        profile = Configuration(_profile(words), environment).profile
    except Fault:
        return V1  # it is told in its turn
    setting = profile.get(SETTING)
    return _named(setting, SETTING) if isinstance(setting, str) and setting else V1


def _named(name: str, place: str) -> Ways:
    if name not in NAMED:
        raise SettingFault(
            f'Unknown {place} value: {name}, valid values are "v1" or "v2"'
        )
    return NAMED[name]


def _profile(words: Sequence[str]) -> str | None:
    """Find what --profile says, without knowing the other options."""
    found = None
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == _PROFILE:
            found = value if equals else "".join(words[index + 1 : index + 2])
    return found
