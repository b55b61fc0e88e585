"""What one step of the examination found."""

from __future__ import annotations

import enum
from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

Steps = Generator["Check", None, T]
"""
Yields what it finds, and returns what the next steps need; `None` when they would have
no meaning.
"""


class Status(enum.StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """
    One line.

    Args:
        text: what is so.
        mend: what to do about it; empty when all is well.
    """

    name: str
    status: Status
    text: str
    mend: str = ""


def ok(name: str, text: str) -> Check:
    """All is well."""
    return Check(name, Status.OK, text)


def warn(name: str, text: str, mend: str) -> Check:
    """It works, and yet."""
    return Check(name, Status.WARN, text, mend)


def fail(name: str, text: str, mend: str) -> Check:
    """Calls cannot succeed like this."""
    return Check(name, Status.FAIL, text, mend)
