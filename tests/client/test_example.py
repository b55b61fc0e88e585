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


@pytest.mark.parametrize(
    ("words", "variables", "said"),
    [
        ([], {}, "python settings.py laptop.db show"),
        (["a.db", "nonsense"], {}, "python settings.py laptop.db show"),
        (["a.db", "set", "theme"], {}, "python settings.py laptop.db set theme dark"),
        (["a.db", "font", "size"], {}, "python settings.py laptop.db font size 14"),
        (["a.db", "show"], {"MILLPOND_POOL": ""}, "millpond pool list"),
        (["no/folder/a.db", "show"], {}, "cannot be opened"),
        (["a.db", "sync"], {"MILLPOND_ENDPOINT": "nowhere"}, "nowhere"),
        (["a.db", "sync"], {"PYTHONPATH": "{shadow}"}, "pip install millpond"),
    ],
)
def test_it_says_what_it_needs(tmp_path, words, variables, said):
    """Words, a pool, a place for its file, the package: a sentence for each of them."""
    (tmp_path / "millpond").mkdir()  # a package of that name, and nothing in it
    given = {"MILLPOND_POOL": "us-east-1:0c1c1c1c-0000-0000-0000-000000000000"}
    for name, value in variables.items():
        given[name] = value.format(shadow=tmp_path)
    (tmp_path / "millpond" / "__init__.py").write_text("")

    done = subprocess.run(
        [sys.executable, SCRIPT, *words],
        env={**os.environ, **given},
        cwd=tmp_path / "millpond",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert said in done.stderr
