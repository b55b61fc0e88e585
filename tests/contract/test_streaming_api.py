"""The operations on streaming are Millpond's own, beside the published API."""

from __future__ import annotations

import pytest

from millpond.contract import cognito_sync, live, streaming
from millpond.wire.routing import Router

PATHS = {
    b"/identitypools/us-east-1:a/bulkPublishProgress": "GetBulkPublishProgress",
    b"/identitypools/us-east-1:a/stream": "GetStreamDetails",
}


def test_the_published_api_stays_as_it_is():
    """AWS's operations are listed without ours."""
    assert len(cognito_sync.API.by_name) == 17
    assert not set(cognito_sync.API.by_name) & set(streaming.API.by_name)


def test_the_details_stay_as_they_are():
    """What AWS answers about a bulk publish has got no member of ours."""
    assert cognito_sync.GetBulkPublishDetailsResponse.__struct_fields__ == (
        "identity_pool_id",
        "bulk_publish_start_time",
        "bulk_publish_complete_time",
        "bulk_publish_status",
        "failure_message",
    )
    assert cognito_sync.CognitoStreams.__struct_fields__ == (
        "stream_name",
        "role_arn",
        "streaming_status",
    )


@pytest.mark.parametrize(("path", "operation"), PATHS.items())
def test_the_paths_lead_to_no_other_operation(path, operation):
    """No path of the published API is taken away, and theirs do not take ours."""
    apis = [cognito_sync.API, live.API, streaming.API]

    for order in (apis, apis[::-1]):
        found = Router(order).by_path("GET", path)
        assert found is not None
        route, labels = found
        assert operation == route.operation.name
        assert labels == {"IdentityPoolId": "us-east-1:a"}
    assert Router(apis[:2]).by_path("GET", path) is None


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods(method, path):
    """They are asked for with GET alone."""
    router = Router([cognito_sync.API, live.API, streaming.API])

    assert router.by_path(method, path) is None
