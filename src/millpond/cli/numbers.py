"""Numbers on a command line."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Final

_SECONDS_MAX: Final = 86_400


def at_least_1(text: str) -> int:
    """Read a whole number from 1 on."""
    number = whole(text)
    if number is None or number < 1:
        raise argparse.ArgumentTypeError(
            f"must be a whole number, at least 1, not {text!r}"
        )
    return number


def any_whole(text: str) -> int:
    """Read a whole number."""
    number = whole(text)
    if number is None:
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}")
    return number


def any_number(text: str) -> float:
    """Read a number, with or without a fraction."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"must be a number, not {text!r}")
    return number


def whole(text: str) -> int | None:
    """Read a whole number; None: it is none."""
    try:
        return int(text)
    except ValueError:
        return None


def seconds(least: float) -> Callable[[str], float]:
    """Make a reader of a time that is at least so long, and at most a day."""

    def read(text: str) -> float:
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1.0
        if not least <= seconds <= _SECONDS_MAX:
            raise argparse.ArgumentTypeError(
                f"{text!r} is no number of seconds from {least:g} to {_SECONDS_MAX}"
            )
        return seconds

    return read
