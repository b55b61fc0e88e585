"""Credentials that a verifier finds in a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple


class Known(NamedTuple):
    """Credentials, with what the verifier asked for."""

    access_key_id: str
    secret: str
    session_token: str | None


def finding(secrets: Mapping[str, str]) -> Callable[..., Known | None]:
    """Make what finds credentials, from secrets by access key id."""

    def find(
        access_key_id: str, session_token: str | None, now_s: float
    ) -> Known | None:
        secret = secrets.get(access_key_id)
        return Known(access_key_id, secret, session_token) if secret else None

    return find
