"""The identity-pool part of Cognito Identity is the published one."""

from __future__ import annotations

import json

import pytest
from botocore.model import ServiceModel
from botocore.serialize import create_serializer

from millpond.contract import cognito_identity as contract
from millpond.contract.cognito_identity import API
from millpond.contract.shapes import Callers
from millpond.errors import ValidationException
from millpond.wire.decoding import RequestDecoder

POOL_ID = "us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f"


def test_the_identity_pool_operations_are_there():
    """The table has the operations on pools, for developers."""
    assert list(API.by_name) == [
        "CreateIdentityPool",
        "DeleteIdentityPool",
        "DescribeIdentityPool",
        "ListIdentityPools",
        "UpdateIdentityPool",
    ]
    assert {each.callers for each in API.operations} == {Callers.DEVELOPER}


def test_operations_and_shapes_are_those_of_the_published_model(compared):
    """Names, order, constraints and required members do not differ at all."""
    comparison = compared(API)

    assert list(comparison.operations()) == []
    assert list(comparison.added_errors()) == []


def test_requests_are_addressed_as_the_published_model_says(compared):
    """Target prefix, protocol and names in the metadata are the published ones."""
    comparison = compared(API)

    assert comparison.ours["metadata"] == comparison.theirs["metadata"]


@pytest.mark.parametrize(
    ("operation", "given", "complaint"),
    [
        (
            "CreateIdentityPool",
            {"IdentityPoolName": "a#b", "AllowUnauthenticatedIdentities": True},
            "Member must satisfy regular expression pattern",
        ),
        (
            "CreateIdentityPool",
            {"IdentityPoolName": "a"},
            "Value null at 'allowUnauthenticatedIdentities'",
        ),
        (
            "CreateIdentityPool",
            {
                "IdentityPoolName": "a",
                "AllowUnauthenticatedIdentities": True,
                "SamlProviderARNs": ["short"],
            },
            "at 'samlProviderARNs.1.member' failed",
        ),
        (
            "CreateIdentityPool",
            {
                "IdentityPoolName": "a",
                "AllowUnauthenticatedIdentities": True,
                "SupportedLoginProviders": {f"p{n}": "x" for n in range(11)},
            },
            "Member must have length less than or equal to 10",
        ),
        ("ListIdentityPools", {}, "Value null at 'maxResults'"),
        ("ListIdentityPools", {"MaxResults": 61}, "less than or equal to 60"),
        ("DescribeIdentityPool", {"IdentityPoolId": "x"}, "regular expression"),
    ],
)
def test_constraints_are_checked(operation, given, complaint):
    """A request that breaks a constraint is a ValidationException that names it."""
    decoder = RequestDecoder(API, API.by_name[operation])
    with pytest.raises(ValidationException) as caught:
        decoder.decode(json.dumps(given).encode())

    assert complaint in caught.value.message


def test_a_request_of_botocore_is_read(compared):
    """What the official serializer sends arrives member by member."""
    operation = ServiceModel(compared(API).theirs).operation_model("UpdateIdentityPool")
    sent = create_serializer("json").serialize_to_request(
        {
            "IdentityPoolId": POOL_ID,
            "IdentityPoolName": "Players",
            "AllowUnauthenticatedIdentities": False,
            "OpenIdConnectProviderARNs": ["arn:aws:iam::000000000000:oidc-provider/a"],
            "CognitoIdentityProviders": [{"ClientId": "abc"}],
        },
        operation,
    )
    decoder = RequestDecoder(API, API.by_name["UpdateIdentityPool"])

    assert sent["headers"]["X-Amz-Target"] == f"{API.target_prefix}.UpdateIdentityPool"
    assert decoder.decode(sent["body"]) == contract.UpdateIdentityPoolRequest(
        identity_pool_id=POOL_ID,
        identity_pool_name="Players",
        allow_unauthenticated_identities=False,
        open_id_connect_provider_arns=["arn:aws:iam::000000000000:oidc-provider/a"],
        cognito_identity_providers=[contract.CognitoIdentityProvider(client_id="abc")],
    )
