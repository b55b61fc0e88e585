"""Lists of which one page is shown: the options, and the token that leads on."""

from __future__ import annotations

import argparse
import base64
import binascii
import sys
from typing import Any, Final, TypeVar

import msgspec

from millpond.cli.numbers import whole
from millpond.errors import MillpondError

ITEMS_DEFAULT: Final = 50
ITEMS_MAX: Final = 1000

T = TypeVar("T")


class TokenError(MillpondError):
    """A token that no list of ours has given."""


def add_options(parser: argparse.ArgumentParser, *, items: int = ITEMS_DEFAULT) -> None:
    """Add the options of a list."""
    parser.add_argument(
        "--max-items",
        type=_count,
        default=items,
        metavar="N",
        help=f"show so many at the most [{items}]",
    )
    parser.add_argument(
        "--starting-token",
        metavar="TOKEN",
        help="go on where another list ended, with the token that it gave",
    )


def _count(text: str) -> int:
    number = whole(text)
    if number is None or not 1 <= number <= ITEMS_MAX:
        raise argparse.ArgumentTypeError(
            f"must be a whole number from 1 to {ITEMS_MAX}, not {text!r}"
        )
    return number


def start(options: argparse.Namespace, kind: type[T]) -> T | None:
    """
    Say behind which position to begin; None for the beginning.

    Raises:
        TokenError: the token is none of such a list.
    """
    token: str | None = options.starting_token
    if token is None:
        return None
    try:
        padded = token + "=" * (-len(token) % 4)
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=kind)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise TokenError("--starting-token is not one that this list gave.") from error


def token_of(position: Any) -> str | None:
    """Spell a position; None at the end of a list."""
    if position is None:
        return None
    encoded = base64.urlsafe_b64encode(msgspec.json.encode(position))
    return encoded.decode().rstrip("=")


def tell_more(token: str | None) -> None:
    """Tell people that there is more."""
    if token is not None:
        sys.stdout.flush()
        print(f"There is more: --starting-token {token}", file=sys.stderr)
