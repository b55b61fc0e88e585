"""
`millpond configure list|get`: the settings that calls of the APIs go by.

As in the AWS CLI, from its own files and variables. Nothing is written: what writes
these files there (`set`, `import`, `sso`, the questions) is left to it, or to an
editor.
"""

from __future__ import annotations

import argparse
import os
import sys

from millpond.cli.api import compat
from millpond.client.api import credentials
from millpond.client.api.configuration import Configuration
from millpond.client.api.credentials import Elsewhere
from millpond.client.api.faults import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

_NOT_SET: Final = "<not set>"
_NONE: Final = (_NOT_SET, "None", "None")
_PREDEFINED: Final = ("plugins", "preview")
_SHOWN_CHARS: Final = 4
_METHODS: Final = {"environment": "env"}
_NOT_FOUND: Final = 1  # AWS: without a word

# What the AWS CLI has under this name, and we have not.
_ABSENT: Final = (
    *("add-model", "export-credentials", "import", "list-profiles"),
    *("mfa-login", "set", "sso", "sso-session"),
)


def main(argv: list[str]) -> int:
    """Run `millpond configure`."""
    ways, words = compat.choose(argv, os.environ)
    if words and words[0] in _ABSENT:
        raise _AbsentFault(words[0])
    options = make_parser().parse_args(words)
    configuration = Configuration(options.profile, ways=ways)
    if options.command == "list":
        return _list(configuration)
    return _get(configuration, options.varname)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="millpond configure",
        description="Show the settings that calls of the APIs go by, as the AWS CLI "
        "does. Its files are read and never written: to change them, use an editor or "
        "`aws configure`.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser(
        "list", help="say which profile, keys and region count, and where they are set"
    )
    getting = commands.add_parser(
        "get", help="print one setting of a file; the exit status is 1 without it"
    )
    getting.add_argument(
        "varname", help="NAME, PROFILE.NAME, profile.PROFILE.NAME, or NAME.NESTED"
    )
    for each in (listing, getting):
        each.add_argument("--profile", help="look at this profile")
    return parser


def help_sections() -> Iterator[tuple[str, Iterable[str]]]:
    """List the variables that commands read, for the help page."""
    from millpond.cli.environment import VARIABLES
    from millpond.cli.page import terms

    yield "ENVIRONMENT", terms(VARIABLES.items())


class _AbsentFault(Fault):
    """A command of the AWS CLI that there is not."""

    exit_code = exit_code_v2 = 2

    def __init__(self, name: str) -> None:
        super().__init__(
            f"millpond configure has list and get, and no {name}: it reads the files "
            f"of the AWS CLI and writes none. Use `aws configure {name}` or an editor."
        )


def _list(configuration: Configuration) -> int:
    _print_row("Name", "Value", "Type", "Location")
    _print_row("----", "-----", "----", "--------")
    _print_row("profile", *_profile(configuration))
    sys.stdout.flush()  # AWS: it is told even when the profile does not exist
    _ = configuration.profile
    access_key, secret_key = _keys(configuration)
    _print_row("access_key", *access_key)
    _print_row("secret_key", *secret_key)
    _print_row("region", *_region(configuration))
    return 0


def _print_row(name: str, value: str, kind: str, location: str) -> None:
    print(f"{name:>10} {value:>24} {kind:>16}    {location}")


def _profile(configuration: Configuration) -> tuple[str, str, str]:
    if configuration.explicit_profile is not None:
        return configuration.explicit_profile, "manual", "--profile"
    for variable in configuration.ways.profile_variables:
        if variable in configuration.environment:
            return configuration.environment[variable], "env", variable
    return _NONE


def _keys(
    configuration: Configuration,
) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
    try:
        found = credentials.find(configuration, configuration.get("region"))
        if isinstance(found, Elsewhere):
            found = found.fetch()
    except credentials.NoCredentialsFault:
        found = None
    if found is None:
        return _NONE, _NONE
    kind = _METHODS.get(found.source, found.source)
    return (
        (_masked(found.access_key), kind, ""),
        (_masked(found.secret_key), kind, ""),
    )


def _masked(secret: str) -> str:
    return "*" * 16 + secret[-_SHOWN_CHARS:]


def _region(configuration: Configuration) -> tuple[str, str, str]:
    region = configuration.get("region")
    if region is None:
        return _NONE
    source = configuration.source_of("region")
    if source in configuration.variables_of("region"):
        return region, "env", source
    return region, "config-file", configuration.config_file


def _get(configuration: Configuration, name: str) -> int:
    value = _look_up(configuration, name)
    if isinstance(value, dict):
        raise _SectionFault(name)
    if value is None:
        return _NOT_FOUND
    print(value)
    return 0


class _SectionFault(Fault):
    """What is asked for has settings of its own. AWS: without any line break."""

    exit_code = exit_code_v2 = 1

    def __init__(self, name: str) -> None:
        super().__init__(
            f"varname ({name}) must reference a value, not a section or sub-section."
        )

    def report(self) -> str:
        return f"{self}\n"


def _look_up(configuration: Configuration, name: str) -> object:
    """Look a name up; how many parts it has says where."""
    first, *rest = name.split(".")
    if not rest:
        return configuration.profile.get(name)
    if first in _PREDEFINED and len(rest) == 1:
        found = configuration.other_sections.get(first, {}).get(rest[0])
        return found or configuration.profile_named(first).get(rest[0])
    if first == "profile":
        first, *rest = rest
    elif first != "default" and first not in configuration.profile_names:
        first, rest = configuration.profile_name, [first, *rest]
    if not rest:
        raise Fault(f"{name} names a profile, and none of its settings.")
    value: object = configuration.profile_named(first).get(rest[0])
    if len(rest) == 2:
        value = value.get(rest[1]) if isinstance(value, dict) else None
    return value
