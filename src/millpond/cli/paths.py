"""Paths on a command line."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def some_path(text: str) -> Path:
    """
    Read a path; an empty one, as of a variable that is not set, is not `.`.

    A leading `~` is a home, which a shell leaves to us behind `--option=`.
    """
    if not text:
        raise argparse.ArgumentTypeError("must be a path, and is empty")
    found = os.path.expanduser(text)
    if found.startswith("~"):  # nor would a setting take it (`settings.values`)
        name = found.partition("/")[0]
        raise argparse.ArgumentTypeError(
            f"must be a path, and there is no home '{name}'; what has that name itself "
            f"is ./{name}"
        )
    return Path(found)
