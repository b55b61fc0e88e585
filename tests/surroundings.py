"""
What tests take from the environment of whoever runs them: nothing that leads elsewhere.

A variable of a shell or of a CI system, such as AWS_PROFILE, http_proxy or FORCE_COLOR,
changes what boto3, Python, git or we ourselves do, in tests and in each program that
they start. So these are taken out before the first test is collected; a test that is
about one of them sets it. Only what gets packages from a network is given back what it
needs for that.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Final

_OUR_OWN: Final = ("MILLPOND_TEST_", "MILLPOND_CLI_PARITY")  # these are for the tests
_FOR_PACKAGES: Final = ("npm_", "pip_", "uv_")
_ELSEWHERE: Final = (
    "aws_",
    "git_",
    "listen_",
    "make",
    "mflags",
    "millpond_",
    "otel_",
    "pg",
)
_AUTHORITIES: Final = {
    *("CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"),
    *("SSL_CERT_DIR", "SSL_CERT_FILE"),
}
_LOOKS: Final = {
    *("CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "FORCE_COLOR", "LINES", "NO_COLOR"),
    *("NODE_OPTIONS", "NOTIFY_SOCKET", "PYTHONIOENCODING", "PYTHONUNBUFFERED"),
    *("PYTHONWARNINGS", "PY_COLORS"),
}
# A proxy that the system itself has set is passed by, and no machine of AWS is asked.
KNOWN: Final = {
    "no_proxy": "localhost,127.0.0.1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

_taken: dict[str, str] = {}


def leave(environment: MutableMapping[str, str] = os.environ) -> None:
    """Take out what leads elsewhere."""
    for name in [*environment]:
        if is_for_packages(name) or leads_elsewhere(name):
            _taken[name] = environment.pop(name)
    environment.update(KNOWN)


def with_packages() -> dict[str, str]:
    """Give the environment for what gets packages from a network."""
    given = {name: _taken[name] for name in _taken if is_for_packages(name)}
    return {**os.environ, **given, "PIP_USER": "0"}  # into environments, not a home


def is_for_packages(name: str) -> bool:
    """Tell whether a variable says where packages come from, and whom to trust."""
    is_proxy = name.lower().endswith("_proxy")
    return is_proxy or name.lower().startswith(_FOR_PACKAGES) or name in _AUTHORITIES


def leads_elsewhere(name: str) -> bool:
    """Tell whether another variable changes what programs do."""
    if name.startswith(_OUR_OWN):
        return False
    return name.lower().startswith(_ELSEWHERE) or name in _LOOKS
