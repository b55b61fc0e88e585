"""
The sources of settings, put together: what is set, by whom, and what is wrong.

Everything is looked at before anything is refused, so that one start tells all there is
to mend.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from millpond import nearness
from millpond.errors import SettingsError
from millpond.settings import checks
from millpond.settings.fields import PREFIX, Settings
from millpond.settings.files import read_file
from millpond.settings.values import WrongValueError, convert, describe

_FIELDS: Final = {each.name: each for each in dataclasses.fields(Settings)}
# What commands read that call a server, and no server does.
_OF_CALLS: Final = frozenset((f"{PREFIX}CLI_COMPAT",))
# What only our own tests read.
_OF_TESTS: Final = (f"{PREFIX}TEST_", f"{PREFIX}CLI_PARITY")
# Values that may be secrets, or have one in them; no message repeats them.
SECRETS: Final = frozenset(("secret_key", "hook_secret"))
_UNSHOWN: Final = SECRETS | {
    "store",
    "listen_store",
    "streams",
    "stream_payload_store",
}
# What Kubernetes sets in every container beside a service whose name begins with ours.
_SERVICE_LINK: Final = (
    rf"{PREFIX}(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|"
    r"PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_PORT: Final = ("tcp://", "udp://", "sctp://")


class Problem(NamedTuple):
    """Something that is wrong."""

    setting: str  # its name, or the one that somebody made up
    text: str  # one sentence for people, or two
    origin: str = ""  # where it was set; empty: nowhere

    def __str__(self) -> str:
        return f"{self.text} (set by {self.origin})" if self.origin else self.text


class Reading(NamedTuple):
    """What the sources say."""

    settings: Settings  # with the default in the place of what cannot be used
    origins: Mapping[str, str]  # by name, of what is not left at its default
    problems: Sequence[Problem]


def load(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """
    Read settings.

    Args:
        environment: variables; those that begin with `MILLPOND_` are settings.
        overrides: values from the command line; None means not given.
    Raises:
        SettingsError: something is wrong; the message names all of it.
    """
    reading = read(file, environment, overrides)
    refuse(reading.problems)
    return reading.settings


def refuse(problems: Sequence[Problem]) -> None:
    """
    Refuse to go on with what is wrong.

    Raises:
        SettingsError: there is a problem; the message names all.
    """
    if len(problems) == 1:
        raise SettingsError(str(problems[0]))
    if problems:
        listed = "".join(f"\n  {each}" for each in problems)
        raise SettingsError(f"{len(problems)} settings are wrong:{listed}")


def read(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Reading:
    """
    Read settings, and tell what is wrong rather than refuse it.

    Raises:
        SettingsError: the file cannot be read.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    problems: list[Problem] = []
    for name, value, origin, is_text in (
        *_given_in_file(file, problems),
        *_given_in_environment(environment or {}, problems),
        *_given_on_command_line(overrides or {}, problems),
    ):
        origins[name] = origin
        problems = [each for each in problems if each.setting != name]
        try:
            values[name] = convert(_FIELDS[name], value, is_text=is_text)
        except WrongValueError as error:
            values.pop(name, None)
            problems.append(Problem(name, _complaint(name, value, error), origin))
    settings = Settings(**values)
    wrong = {each.setting for each in problems}
    problems += [
        Problem(name, text, origins.get(name, ""))
        for name, text in checks.check(settings)
        if name not in wrong
    ]
    return Reading(settings, origins, problems)


def _complaint(name: str, value: Any, error: WrongValueError) -> str:
    taken = checks.what_it_takes(name)
    text = f"it must be {taken}" if taken else str(error)
    misplaced = [each for each in value if each in _FIELDS] if _is_table(value) else []
    if misplaced:
        text += (
            f". '{misplaced[0]}' is a setting: those stand above the first [table] of "
            "a file"
        )
    shown = "" if name in _UNSHOWN or _is_table(value) else f" is {describe(value)}"
    text = text.removesuffix(".") + ("" if text.endswith("?") else ".")
    if text.startswith("it must"):
        return (
            f"Setting '{name}'{shown}; {text}"
            if shown
            else (f"Setting '{name}' {text.removeprefix('it ')}")
        )
    return f"Setting '{name}': {text}"


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


_Given = tuple[str, Any, str, bool]  # name, value, origin, whether it is text


def _given_in_file(file: Path | None, problems: list[Problem]) -> Iterator[_Given]:
    if file is None:
        return
    for name, value in read_file(file, _FIELDS).items():
        if name in _FIELDS:
            yield name, value, str(file), False
        else:
            problems.append(_unknown_in_file(name, value, file))


def _unknown_in_file(name: str, value: Any, file: Path) -> Problem:
    shown = describe(name)
    if _is_table(value):
        inner = next((each for each in value if each in _FIELDS), None)
        if inner is not None and not nearness.find(name, _FIELDS):
            return Problem(
                name,
                f"There is no setting {shown}. The setting '{inner}' stands at the top "
                "of the file, in no table.",
                str(file),
            )
    proposal = propose_setting(name)
    return Problem(name, f"There is no setting {shown}.{proposal}", str(file))


def propose_setting(name: str) -> str:
    """Propose a setting in the place of what is none; empty when none is near."""
    return nearness.ask(name.lower().removeprefix(PREFIX.lower()), _FIELDS)


def _given_in_environment(
    environment: Mapping[str, str], problems: list[Problem]
) -> Iterator[_Given]:
    variables = {PREFIX + name.upper(): name for name in _FIELDS}
    for variable, value in environment.items():
        # Containers are given variables that no shell would take, with hyphens, say.
        spelled = variable.upper().replace("-", "_")
        if not spelled.startswith(PREFIX) or _is_not_meant(variable, value):
            continue
        name = variables.get(variable)
        if name is not None:
            yield name, value, variable, True
            continue
        found = nearness.ask(spelled.removeprefix(PREFIX), _upper_names())
        proposal = found.replace("'", f"'{PREFIX}", 1)
        problems.append(
            Problem(variable, f"There is no setting behind {variable}.{proposal}")
        )


def _is_not_meant(variable: str, value: str) -> bool:
    """Whether a variable is there for another reason than to set something."""
    if variable in _OF_CALLS or variable.startswith(_OF_TESTS):
        return True
    if re.fullmatch(_SERVICE_LINK, variable):
        return True
    return variable.endswith("PORT") and value.startswith(_SERVICE_PORT)


def _upper_names() -> list[str]:
    names = [name.upper() for name in _FIELDS]
    return names + [each.removeprefix(PREFIX) for each in _OF_CALLS]


def _given_on_command_line(
    overrides: Mapping[str, Any], problems: list[Problem]
) -> Iterator[_Given]:
    for name, value in overrides.items():
        if value is None:
            continue
        if name in _FIELDS:
            yield name, value, f"--{name.replace('_', '-')}", False
        else:
            problems.append(Problem(name, f"There is no setting '{name}'."))
