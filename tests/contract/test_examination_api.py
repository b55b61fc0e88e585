"""The operations that examine are Millpond's own, beside the published API."""

from __future__ import annotations

import pytest

from millpond.contract import cognito_sync, examination, live, streaming
from millpond.wire.routing import Router

POOL = b"/identitypools/us-east-1:a"
PATHS = {
    ("GET", POOL + b"/details"): "GetIdentityPoolDetails",
    ("POST", POOL + b"/examination"): "ExamineIdentityPool",
    ("POST", b"/examination"): "ExamineServer",
}


@pytest.mark.parametrize(("row", "operation"), PATHS.items())
def test_the_paths_lead_to_no_other_operation(row, operation):
    """No path of the other APIs is taken away, and theirs do not take ours."""
    others = [cognito_sync.API, live.API, streaming.API]

    for order in ([*others, examination.API], [examination.API, *others]):
        found = Router(order).by_path(*row)
        assert found is not None
        assert operation == found[0].operation.name
    assert Router(others).by_path(*row) is None


@pytest.mark.parametrize("row", PATHS)
def test_other_methods(row):
    """Each is called with its own method alone."""
    router = Router([cognito_sync.API, live.API, streaming.API, examination.API])

    for method in {"GET", "POST", "PUT", "DELETE"} - {row[0]}:
        assert router.by_path(method, row[1]) is None


def test_only_developers_may_ask():
    """What a pool calls, and how the server is, is no business of its users."""
    assert all(each.callers.name == "DEVELOPER" for each in examination.API.operations)
