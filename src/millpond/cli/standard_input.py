"""What comes on standard input."""

from __future__ import annotations

import sys

from millpond.client.api.faults import InputFault


def read() -> bytes:
    """
    Read it to its end.

    Raises:
        InputFault: whoever started the process has closed it.
    """
    if sys.stdin is None:
        raise InputFault("There is no standard input to read: it is closed.")
    return sys.stdin.buffer.read()
