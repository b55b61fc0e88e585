"""
The log of requests: one line for each that was answered, or for some of them.

A line says who asked for what, and how that went. It has names of things (pool,
identity, dataset), never what is in them: no body, no query, no header.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final, Self
from urllib.parse import quote

import structlog

from millpond.service.context import Caller
from millpond.settings import Settings

_log = structlog.get_logger()

PATH_CHARS_MAX: Final = 1024
_NAME_CHARS_MAX: Final = 256


class RequestLog:
    """Writes the lines, when the settings want them."""

    def __init__(
        self, every: int, *, random_number: Callable[[], float] = random.random
    ) -> None:
        """
        Args:
            every: how many requests have one line among them, on average. Which ones
                is left to chance: apps call in patterns, and a count could meet but one
                kind of call.
        """
        self._every = every
        self._random_number = random_number

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Make the log that the settings want; None when they want none."""
        return cls(settings.log_requests_every) if settings.log_requests else None

    def note(
        self,
        *,
        request_id: str,
        operation: str,
        status: int,
        seconds: float,
        method: str,
        raw_path: bytes,
        client: Any,
        caller: Caller,
        decoded: Any,
    ) -> None:
        """
        Log a request that was answered.

        Args:
            raw_path: as it came, without the query.
            client: address and port of the other end of the connection.
            caller: whose signature was verified.
            decoded: the request, when it could be read.
        """
        if self._every > 1 and self._random_number() * self._every >= 1:
            return
        _log.info(
            "request.answered",
            request_id=request_id,
            operation=operation,
            status=status,
            duration_ms=round(seconds * 1000, 3),
            method=method[:_NAME_CHARS_MAX],
            path=_show(raw_path),
            client_address=client[0] if client else None,
            **_names(caller, decoded),
        )


def _names(caller: Caller, decoded: Any) -> dict[str, str]:
    """Tell who called, and about which pool; the request says what the caller not."""
    names = {}
    session = caller.session
    if caller.access_key_id:
        names["access_key_id"] = caller.access_key_id
    for name in ("identity_pool_id", "identity_id"):
        value = getattr(session, name, None) or getattr(decoded, name, None)
        if isinstance(value, str):
            names[name] = value[:_NAME_CHARS_MAX]
    return names


def _show(raw_path: bytes) -> str:
    """Show a path as it came; what could steer a terminal is escaped."""
    return quote(raw_path[:PATH_CHARS_MAX], safe="/%:@!$&'()*+,;=-._~")
