"""
The URLs of sinks: hosts, a name, options.

    scheme://[user[:password]@][host[:port][,host[:port]...]]/name[?option=value&...]

What is wrong with one is said without repeating it, because it may hold a password.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from millpond.errors import SettingsError

PERCENT_ENCODE: Final = (
    "In a user name and a password, write # as %23, / as %2F, ? as %3F and @ as %40."
)
VOLATILE: Final = "volatile"
"""The option by which somebody accepts that acknowledged records may be in memory."""
NOT_A_HOST: Final = f"The URL does not name a host and a port. {PERCENT_ENCODE}"


class SinkUrl(NamedTuple):
    """A URL, taken apart and percent-decoded."""

    user: str
    password: str
    hosts: tuple[str, ...]  # each with its port, if it has one
    name: str  # the path without the slash before it
    options: dict[str, str]


def read_url(url: str, *, options: Collection[str]) -> SinkUrl:
    """
    Take a URL apart.

    Args:
        options: the names of the options that this kind of sink knows.
    Raises:
        SettingsError: it is no URL, or it has an option that is not known.
    """
    try:
        parts = urlsplit(url)
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)
    except ValueError as error:
        if url.partition("?")[2] or url.endswith("?"):
            reason = "its options are not of the form name=value&name=value"
        else:
            reason = "it cannot be read"
        raise SettingsError(
            f"This is not the URL of a sink: {reason}. {PERCENT_ENCODE}"
        ) from error
    for name, _ in given:
        if name not in options:
            known = ", ".join(sorted(options)) or "there are none"
            # What stands before an @ may be the end of a password with a question mark.
            given_name = "of this name" if "@" in parts.query else f"'{name}'"
            raise SettingsError(f"There is no option {given_name}; known: {known}.")
    authority, _, hosts = parts.netloc.rpartition("@")
    user, _, password = authority.partition(":")
    return SinkUrl(
        user=unquote(user),
        password=unquote(password),
        hosts=tuple(each for each in hosts.split(",") if each),
        name=unquote(parts.path.removeprefix("/")),
        options=dict(given),
    )


def is_true(options: Mapping[str, str], name: str) -> bool:
    """
    Read an option that is true or false; false when it is not given.

    Raises:
        SettingsError: it is something else.
    """
    text = options.get(name, "false")
    if text not in ("true", "false"):
        raise SettingsError(f"The option '{name}' is 'true' or 'false'.")
    return text == "true"
