"""Settings as people are shown them: in the types of JSON, without what is secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from millpond.settings import SECRETS
from millpond.sinks.base import without_secrets

MASK: Final = "********"


def shown(name: str, value: Any) -> Any:
    """Give the value of a setting."""
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
