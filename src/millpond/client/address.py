"""Where a copy is kept; by itself, as an app says it before any rule is loaded."""

from __future__ import annotations

from typing import NamedTuple


class Address(NamedTuple):
    """
    Where a copy is kept.

    Args:
        identity_id: empty before the device knows who it is (`following`).
    """

    pool: str
    identity_id: str
    dataset_name: str
