"""Paths on a command line."""

from __future__ import annotations

import argparse
from pathlib import Path


def some_path(text: str) -> Path:
    """Read a path; an empty one, as of a variable that is not set, is not `.`."""
    if not text:
        raise argparse.ArgumentTypeError("must be a path, and is empty")
    return Path(text)
