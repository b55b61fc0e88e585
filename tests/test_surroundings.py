"""What tests show does not depend on the variables of whoever runs them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import surroundings
from millpond.testing.deadlines import seconds

# One of each kind, and what it would do.
HOSTILE = {
    "AWS_CA_BUNDLE": "/no/such/file",
    "AWS_ENDPOINT_URL_COGNITO_SYNC": "http://127.0.0.1:9",
    "AWS_PROFILE": "of-nobody",
    "AWS_SESSION_TOKEN": "other",
    "FORCE_COLOR": "1",
    "GIT_DIR": "/no/such/folder",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "MAKEFLAGS": "PYTHON=/no/such/file",
    "MILLPOND_PORT": "1",
    "NODE_EXTRA_CA_CERTS": "/no/such/file",
    "NPM_CONFIG_REGISTRY": "http://127.0.0.1:9",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    "PGSSLMODE": "require",
    "PIP_CERT": "/no/such/file",
    "PYTHONUNBUFFERED": "1",
    "REQUESTS_CA_BUNDLE": "/no/such/file",
    "SSL_CERT_FILE": "/no/such/file",
    "http_proxy": "http://127.0.0.1:9",
    "npm_config_cache": "/no/such/folder",
}


def test_none_of_them_is_left() -> None:
    """Tests and the programs that they start see variables of ours alone."""
    told = subprocess.run(["env"], capture_output=True, text=True, check=True).stdout
    left = {line.partition("=")[0] for line in told.splitlines()}

    assert left & HOSTILE.keys() == set()
    assert HOSTILE.keys() & os.environ.keys() == set()
    assert {name: os.environ[name] for name in surroundings.KNOWN} == surroundings.KNOWN


@pytest.mark.parametrize("words", [(), ("-n", "1")])
def test_whatever_the_tests_were_started_with(words: tuple[str, ...]) -> None:
    """They are taken out in this process, or in those that it starts."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "--color=no", *words),
            f"{__file__}::{test_none_of_them_is_left.__name__}",
        ],
        env={**os.environ, **HOSTILE},
        capture_output=True,
        text=True,
        timeout=seconds(60),
        check=False,
    )

    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_what_gets_packages_is_given_what_it_needs() -> None:
    """Registries, proxies and authorities are those of the machine."""
    assert {name for name in HOSTILE if surroundings.is_for_packages(name)} == {
        *("HTTPS_PROXY", "NODE_EXTRA_CA_CERTS", "NPM_CONFIG_REGISTRY", "PIP_CERT"),
        *("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "http_proxy", "npm_config_cache"),
    }


@pytest.mark.parametrize("name", ["MILLPOND_TEST_POSTGRES", "MILLPOND_CLI_PARITY"])
def test_what_is_for_the_tests_stays(name: str) -> None:
    """A server for them, and what they compare with."""
    assert not surroundings.leads_elsewhere(name)
