"""The example in Python runs, on two devices, and does what it says."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from acceptance.oidc_provider import OidcProvider
from acceptance.users import Backend
from millpond.testing.server import RunningServer

SCRIPT = Path(__file__).parents[2] / "examples/python/settings.py"


@pytest.fixture
def device(tmp_path) -> Iterator[Callable[..., Any]]:
    """Run the script as one user, on the device whose file is named."""
    with contextlib.closing(OidcProvider()) as provider:
        known = {"login_providers": json.dumps({provider.name: provider.setting})}
        with RunningServer(tmp_path / "server", settings=known) as server:
            identities = server.client("cognito-identity")
            pool = Backend(identities, OpenIdConnectProviderARNs=[provider.arn]).pool
            token = tmp_path / "token"
            token.write_text(provider.token("ann"))
            environment = {
                **os.environ,
                "MILLPOND_ENDPOINT": server.endpoint,
                "MILLPOND_POOL": pool,
                "MILLPOND_LOGIN": provider.name,
                "MILLPOND_TOKEN": str(token),
            }

            def run(name: str, *words: str, online: bool = True) -> str:
                offline = {} if online else {"MILLPOND_ENDPOINT": "http://127.0.0.1:1"}
                done = subprocess.run(
                    [sys.executable, SCRIPT, tmp_path / name, *words],
                    env={**environment, **offline},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert "Traceback" not in done.stderr, done.stderr
                return done.stdout + done.stderr

            yield run


def test_settings_follow_a_user(device):
    """Set on a plane, sent later, merged member by member where both changed."""
    device("laptop.db", "set", "theme", "dark", online=False)
    assert "Not now: " in device("laptop.db", "sync", online=False)
    assert device("laptop.db", "sync") == "0 came, 1 went\n"
    assert device("phone.db", "sync") == "1 came, 0 went\n"
    device("laptop.db", "font", "size", "14")
    device("phone.db", "font", "name", "mono")
    device("laptop.db", "sync")
    device("phone.db", "sync")
    device("laptop.db", "sync")

    shown = "theme: dark\nfont: 14 points mono\n"
    assert device("laptop.db", "show") == shown
    assert device("phone.db", "show") == shown
