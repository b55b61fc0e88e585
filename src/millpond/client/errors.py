"""What can go wrong in a synchronization, for programs."""

from __future__ import annotations


class SyncError(Exception):
    """The base of all errors of `millpond.client`; no value is ever in its text."""
