"""Paths on a command line."""

from __future__ import annotations

import argparse
from pathlib import Path


def some_path(text: str) -> Path:
    """
    Read a path; an empty one, as of a variable that is not set, is not `.`.

    A leading `~` is a home, which a shell leaves to us behind `--option=`.
    """
    if not text:
        raise argparse.ArgumentTypeError("must be a path, and is empty")
    if text.startswith("~"):
        from millpond.settings.values import WrongValueError, expand_home

        try:
            text = expand_home(text)
        except WrongValueError as error:
            reason = str(error).removeprefix("it ")
            raise argparse.ArgumentTypeError(reason) from None
    return Path(text)
