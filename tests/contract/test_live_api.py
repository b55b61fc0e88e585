"""Live updates are Millpond's own: beside the published API, and not a part of it."""

from __future__ import annotations

import pytest

from millpond.contract import cognito_sync, live
from millpond.wire.routing import Router


def test_the_published_api_stays_as_it_is():
    """AWS's operations are listed without ours, and so is what is derived of them."""
    published = set(cognito_sync.API.by_name)

    assert len(published) == 17
    assert not published & set(live.API.by_name)


def test_the_path_leads_to_no_other_operation():
    """No path of the published API is taken away, and theirs do not take ours."""
    names = {"IdentityPoolId": "us-east-1:a", "IdentityId": "us-east-1:b"}
    path = b"/identitypools/us-east-1:a/identities/us-east-1:b/live"

    for apis in ([cognito_sync.API, live.API], [live.API, cognito_sync.API]):
        found = Router(apis).by_path("GET", path)
        assert found is not None
        route, labels = found
        assert (route.operation.name, labels) == ("GetLiveUpdates", names)
    assert Router([cognito_sync.API]).by_path("GET", path) is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods(method):
    """Live updates are asked for with GET alone."""
    path = b"/identitypools/us-east-1:a/identities/us-east-1:b/live"

    assert Router([cognito_sync.API, live.API]).by_path(method, path) is None
