"""Numbers on a command line."""

from __future__ import annotations

import argparse


def at_least_1(text: str) -> int:
    """Read a whole number from 1 on."""
    number = whole(text)
    if number is None or number < 1:
        raise argparse.ArgumentTypeError(
            f"must be a whole number, at least 1, not {text!r}"
        )
    return number


def whole(text: str) -> int | None:
    """Read a whole number; None: it is none."""
    try:
        return int(text)
    except ValueError:
        return None
