"""Operations of the API that this version does not have say so."""

from __future__ import annotations

import contextlib

import pytest
from botocore import xform_name

from acceptance.sync_client import refused
from acceptance.users import client_of


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("GetCognitoEvents", {}),
        (
            "SetCognitoEvents",
            {"Events": {"SyncTrigger": "arn:aws:lambda:us-east-1:1:function:f"}},
        ),
    ],
)
def test_operation_says_that_it_is_missing(sync, pool, operation, members):
    """What is not built answers 501 and names itself, rather than pretend."""
    with refused(501, "NotImplementedException") as refusal:
        getattr(sync, xform_name(operation))(IdentityPoolId=pool, **members)

    assert operation in refusal.message
    assert "Millpond" in refusal.message


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("RegisterDevice", {"Platform": "GCM", "Token": "t"}),
        ("SubscribeToDataset", {"DatasetName": "prefs", "DeviceId": "x"}),
        ("UnsubscribeFromDataset", {"DatasetName": "prefs", "DeviceId": "x"}),
    ],
)
def test_operation_of_users_says_that_it_is_missing(
    server, pool, guest, operation, members
):
    """The operations of users alone say it to users."""
    with (
        contextlib.closing(client_of(server, guest)) as client,
        refused(501, "NotImplementedException") as refusal,
    ):
        getattr(client, xform_name(operation))(
            IdentityPoolId=pool, IdentityId=guest.identity_id, **members
        )

    assert operation in refusal.message


def test_missing_operations_still_check_their_input(raw, pool, identity):
    """A request that is wrong in itself is refused as such."""
    path = f"/identitypools/{pool}/identity/{identity}/device"

    answer = raw.call("POST", path, {"Platform": "FAX", "Token": "t"})

    assert (answer.status, answer.error) == (400, "InvalidParameterException")
