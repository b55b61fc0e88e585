"""What the tests of push services share: an SNS, and somebody who calls it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from push.sns import CREDENTIALS, Sns


@pytest.fixture(scope="session")
def sns() -> Iterator[Sns]:
    """An SNS, one for each process of the test run."""
    running = Sns()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def _caller(monkeypatch: pytest.MonkeyPatch, sns: Sns) -> None:
    """The credentials of a caller, wherever this machine has others."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sns.url)
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
