"""What a command says beside its output, and how it ends when it is interrupted."""

from __future__ import annotations

import sys
from typing import Final

INTERRUPTED: Final = 130  # 128 and the number of the signal, as shells have it


def note(text: str) -> None:
    """Write to standard error, in its place among what was written before."""
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)
