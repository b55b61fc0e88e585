"""Settings as they are shown: nothing secret in any of them, wherever it was put."""

from __future__ import annotations

import json
from typing import Any

import pytest

from millpond.service.shown_settings import shown
from millpond.settings import read

POOL = "us-east-1:00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("store", "postgresql://u:hush@h/db?password=hush"),
        ("store", "host=h password=hush"),
        ("listen_store", "host=h password=hush"),
        ("secret_key", "hush" * 16),
        ("hook_secret", "hush" * 16),
        ("lambda_endpoint", "http://u:hush@h:1/a@b"),
        ("sns_endpoint", "HTTPS://u:hush@h/"),
        (
            "login_providers",
            {"a.example": {"client_ids": ["x"], "discovery_url": "https://u:hush@h/x"}},
        ),
        ("imports", {POOL: {"endpoint_url": "https://u:hush@h/x"}}),
        ("streams", {"s": "nats://u:hush@h:1/s"}),
    ],
)
def test_no_setting_shows_a_secret(name: str, text: Any) -> None:
    """Whoever may only read sees this page, and people paste it into tickets."""
    given = text if isinstance(text, str) else json.dumps(text)
    settings = read(environment={f"MILLPOND_{name.upper()}": given}).settings

    assert getattr(settings, name)
    assert "hush" not in json.dumps(shown(name, getattr(settings, name)))


def test_what_is_no_secret_stays() -> None:
    """Hosts, paths and what only looks like a user."""
    assert shown("lambda_endpoint", "http://u:p@h:1/a@b") == "http://h:1/a@b"
    assert shown("sns_endpoint", "https://h/@me?x=a@b") == "https://h/@me?x=a@b"
    assert shown("cors_origins", ["https://app.example"]) == ["https://app.example"]
