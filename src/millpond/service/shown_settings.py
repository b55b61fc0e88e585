"""Settings as people are shown them: in the types of JSON, without what is secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import msgspec

from millpond.settings import SECRETS
from millpond.sinks.base import without_secrets

MASK: Final = "********"
_USER: Final = re.compile(r"(?i)^(https?://)[^/?#]*@")


def shown(name: str, value: Any) -> Any:
    """Give the value of a setting; a URL without user and password, wherever it is."""
    return _without_users(_shown(name, value))


def _shown(name: str, value: Any) -> Any:
    if name in SECRETS:
        return MASK if value else ""
    if name in ("store", "listen_store", "stream_payload_store"):
        return without_secrets(value) if value else ""
    if name == "streams":
        return {stream: without_secrets(url) for stream, url in value.items()}
    if name == "login_providers":
        fields = ("client_ids", "keys", "discovery_url")
        return {
            provider: {each: getattr(of, each) for each in fields if getattr(of, each)}
            for provider, of in value.items()
        }
    return str(value) if isinstance(value, Path) else msgspec.to_builtins(value)


def _without_users(value: Any) -> Any:
    if isinstance(value, str):
        return _USER.sub(r"\1", value)
    if isinstance(value, dict):
        return {name: _without_users(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_users(each) for each in value]
    return value
