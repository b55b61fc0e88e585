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
    """The credentials of a caller."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sns.url)
