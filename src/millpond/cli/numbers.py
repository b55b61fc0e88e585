"""Numbers on a command line."""

from __future__ import annotations

import argparse


def at_least_1(text: str) -> int:
    """Read a whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
    return number
