"""Another release of botocore than the one followed fails nothing, and is told of."""

from __future__ import annotations

import botocore
import pytest
from botocore.exceptions import UnknownServiceError

import published

DIFFERENCE = "SourceIdentity: max 64 in place of 256"


def test_the_release_that_we_follow_must_agree(monkeypatch):
    """What differs from it is an error of ours, and named."""
    monkeypatch.setattr(botocore, "__version__", published.MADE_FROM)

    with pytest.raises(pytest.fail.Exception, match=DIFFERENCE):
        published.check([DIFFERENCE])


def test_another_release_is_told_of(monkeypatch):
    """The warning has both releases and the difference; nothing fails."""
    monkeypatch.setattr(botocore, "__version__", "9.9.9")

    with pytest.warns(published.OtherModelWarning) as told:
        published.check([DIFFERENCE])

    (message,) = (str(each.message) for each in told)
    assert DIFFERENCE in message
    assert "9.9.9" in message
    assert published.MADE_FROM in message


def test_a_service_that_another_release_dropped_is_skipped(monkeypatch):
    """The release followed has every service; a later one may have dropped one."""
    monkeypatch.setattr(botocore, "__version__", published.MADE_FROM)
    with pytest.raises(UnknownServiceError):
        published.load("no-such-service")

    monkeypatch.setattr(botocore, "__version__", "9.9.9")
    with pytest.raises(pytest.skip.Exception, match=r"9\.9\.9 has no model"):
        published.load("no-such-service")


def test_differences_name_the_place():
    """Nested members are named by their path; what one side lacks is nothing there."""
    ours = {"a": {"max": 64, "min": 2}, "b": [1]}
    theirs = {"a": {"max": 256, "min": 2, "pattern": "x"}, "b": [1]}

    assert published.differences(ours, theirs) == [
        ".a.max: 64 in place of 256",
        ".a.pattern: nothing in place of 'x'",
    ]
    assert published.differences(theirs, theirs) == []
