"""
How often Python looks for garbage that its counts of references do not find.

By itself it does so after every 700 objects that stay for a while, and sometimes looks
at all there are. A server with many updates under way holds more than that at any
moment, its requests leave no such garbage, and what is there at its start stays.
"""

from __future__ import annotations

import gc
from typing import Final

_YOUNG: Final = 5_000  # objects until the youngest are looked at: some 0.1 ms
_TURNS: Final = 20  # of each generation until the next one is looked at, too


def look_rarely() -> None:
    """Have this process look more rarely, and never again at what is there by now."""
    gc.freeze()
    gc.set_threshold(_YOUNG, _TURNS, _TURNS)
