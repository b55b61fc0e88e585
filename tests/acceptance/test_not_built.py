"""Operations of the API that this version does not have say so."""

from __future__ import annotations

import pytest
from botocore import xform_name

from acceptance.sync_client import refused


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("GetCognitoEvents", {}),
        (
            "SetCognitoEvents",
            {"Events": {"SyncTrigger": "arn:aws:lambda:us-east-1:1:function:f"}},
        ),
        ("RegisterDevice", {"IdentityId": "", "Platform": "GCM", "Token": "t"}),
        (
            "SubscribeToDataset",
            {"IdentityId": "", "DatasetName": "prefs", "DeviceId": "x"},
        ),
        (
            "UnsubscribeFromDataset",
            {"IdentityId": "", "DatasetName": "prefs", "DeviceId": "x"},
        ),
    ],
)
def test_operation_says_that_it_is_missing(sync, pool, identity, operation, members):
    """What is not built answers 501 and names itself, rather than pretend."""
    if "IdentityId" in members:
        members = {**members, "IdentityId": identity}

    with refused(501, "NotImplementedException") as refusal:
        getattr(sync, xform_name(operation))(IdentityPoolId=pool, **members)

    assert operation in refusal.message
    assert "Millpond" in refusal.message


def test_missing_operations_still_check_their_input(raw, pool, identity):
    """A request that is wrong in itself is refused as such."""
    path = f"/identitypools/{pool}/identity/{identity}/device"

    answer = raw.call("POST", path, {"Platform": "FAX", "Token": "t"})

    assert (answer.status, answer.error) == (400, "InvalidParameterException")
