"""Cognito Identity is the published one."""

from __future__ import annotations

import datetime
import json
import re
import unicodedata

import msgspec
import pytest
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from msgspec import inspect as inspection

import published
from millpond.contract import cognito_identity as contract
from millpond.contract.cognito_identity import API
from millpond.contract.shapes import Callers, members, published_pattern
from millpond.errors import ServiceException, ValidationException
from millpond.wire.decoding import RequestDecoder

POOL_ID = "us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f"
ROLE = "arn:aws:iam::000000000000:role/Players"
SECRET = "secret" * 10_000  # longer than a token may be


def test_all_operations_are_there(compared):
    """Nothing that is published is left out."""
    published.check(set(compared(API).theirs["operations"]) ^ set(API.by_name))
    assert list(API.by_name) == sorted(API.by_name)


def test_signing_in_needs_no_signature(compared):
    """Four operations are for anyone, as published; the rest are for developers."""
    anyone = [each.name for each in API.operations if each.callers is Callers.ANYONE]
    rest = {each.callers for each in API.operations if each.name not in anyone}

    published.check(compared(API).callers())
    assert anyone == [
        "GetCredentialsForIdentity",
        "GetId",
        "GetOpenIdToken",
        "UnlinkIdentity",
    ]
    assert rest == {Callers.DEVELOPER}


def test_operations_and_shapes_are_those_of_the_published_model(compared):
    """Names, order, constraints and required members do not differ at all."""
    comparison = compared(API)

    published.check(comparison.operations())
    published.check(comparison.added_errors())


def test_requests_are_addressed_as_the_published_model_says(compared):
    """Target prefix, protocol and names in the metadata are the published ones."""
    comparison = compared(API)

    ours, theirs = comparison.ours["metadata"], comparison.theirs["metadata"]
    published.check(published.differences(ours, theirs))


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
        ("ListIdentities", {"IdentityPoolId": POOL_ID}, "Value null at 'maxResults'"),
        ("DeleteIdentities", {"IdentityIdsToDelete": []}, "greater than or equal to 1"),
        (
            "DeleteIdentities",
            {"IdentityIdsToDelete": [f"us-east-1:{n:x}" for n in range(61)]},
            "Member must have length less than or equal to 60",
        ),
        (
            "GetId",
            {"IdentityPoolId": POOL_ID, "Logins": {f"p{n}": "t" for n in range(11)}},
            "Member must have length less than or equal to 10",
        ),
        ("GetId", {"IdentityPoolId": POOL_ID, "AccountId": "x"}, r"pattern: \d+"),
        (
            "GetOpenIdTokenForDeveloperIdentity",
            {"IdentityPoolId": POOL_ID, "Logins": {}, "TokenDuration": 86_401},
            "less than or equal to 86400",
        ),
        (
            "SetIdentityPoolRoles",
            {"IdentityPoolId": POOL_ID, "Roles": {"guest": ROLE}},
            "pattern: (un)?authenticated",
        ),
        (
            "SetIdentityPoolRoles",
            {
                "IdentityPoolId": POOL_ID,
                "Roles": {},
                "RoleMappings": {"p": {"Type": "Guess"}},
            },
            "Member must satisfy enum value set: [Token, Rules]",
        ),
        (
            "SetIdentityPoolRoles",
            {
                "IdentityPoolId": POOL_ID,
                "Roles": {},
                "RoleMappings": {
                    "p": {"Type": "Rules", "RulesConfiguration": {"Rules": []}}
                },
            },
            "Member must have length greater than or equal to 1",
        ),
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


@pytest.mark.parametrize(
    ("operation", "given"),
    [
        ("GetId", {"IdentityPoolId": POOL_ID}),
        ("GetCredentialsForIdentity", {"IdentityId": POOL_ID}),
        ("GetOpenIdToken", {"IdentityId": POOL_ID}),
        ("GetOpenIdTokenForDeveloperIdentity", {"IdentityPoolId": POOL_ID}),
        ("UnlinkIdentity", {"IdentityId": POOL_ID, "LoginsToRemove": []}),
    ],
)
@pytest.mark.parametrize(
    "logins",
    [
        {"accounts.google.com": SECRET},
        {SECRET: "accounts.google.com"},
        {SECRET: SECRET},
        {"accounts.google.com": "secret\0"},
        {"accounts.google.com": ["secret"]},
        {"accounts.google.com": {"secret": "secret"}},
        ["secret"],
        "secret",
    ],
)
def test_a_login_is_never_repeated(operation, given, logins):
    """Whatever is wrong with a login, the refusal does not show its token."""
    decoder = RequestDecoder(API, API.by_name[operation])
    with pytest.raises(ServiceException) as caught:
        decoder.decode(json.dumps({**given, "Logins": logins}).encode())

    assert "ogins" in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("shape", "name"),
    [
        (contract.GetIdRequest, "Logins"),
        (contract.GetOpenIdTokenResponse, "Token"),
        (contract.GetOpenIdTokenForDeveloperIdentityResponse, "Token"),
        (contract.Credentials, "SecretKey"),
        (contract.Credentials, "SessionToken"),
    ],
)
def test_secrets_are_marked(shape, name):
    """Tokens, logins and secret keys are for nobody else's eyes."""
    (member,) = [each for each in members(shape) if each.name == name]

    assert member.sensitive


def test_the_name_of_a_claim_is_anything_that_can_be_seen():
    """Letters, marks, symbols, numbers and punctuation match; spaces do not."""
    decoder = RequestDecoder(API, API.by_name["SetIdentityPoolRoles"])
    (claim,) = [each for each in members(contract.MappingRule) if each.name == "Claim"]
    assert isinstance(claim.type, inspection.StrType)
    pattern = claim.type.pattern
    assert pattern is not None
    assert published_pattern(pattern) == r"[\p{L}\p{M}\p{S}\p{N}\p{P}]+"
    for code in range(0x110000):
        kind = unicodedata.category(chr(code))[0]
        if kind in "LMSNP":
            assert re.search(pattern, chr(code)), hex(code)
        if kind == "Z" or unicodedata.category(chr(code)) in ("Cc", "Cs"):
            assert not re.search(pattern, chr(code)), hex(code)

    rule = {"Claim": "a b", "MatchType": "Equals", "Value": "x", "RoleARN": ROLE}
    mapping = {"Type": "Rules", "RulesConfiguration": {"Rules": [rule]}}
    given = {"IdentityPoolId": POOL_ID, "Roles": {}, "RoleMappings": {"p": mapping}}
    with pytest.raises(ValidationException, match=r"\\p\{L\}\\p\{M\}"):
        decoder.decode(json.dumps(given).encode())
    rule["Claim"] = "custom:größe"
    decoder.decode(json.dumps(given).encode())


def test_credentials_are_what_botocore_reads(compared):
    """The secret is called SecretKey, and the time is in epoch seconds."""
    model = ServiceModel(compared(API).theirs)
    shape = model.operation_model("GetCredentialsForIdentity").output_shape
    answer = contract.GetCredentialsForIdentityResponse(
        identity_id=POOL_ID,
        credentials=contract.Credentials(
            access_key_id="ASIAEXAMPLE",
            secret_key="a-secret",
            session_token="a-token",
            expiration=1414191623.5,
        ),
    )
    body = msgspec.json.encode(answer)
    parsed = create_parser("json").parse(
        {"status_code": 200, "headers": {}, "body": body}, shape
    )

    assert json.loads(body)["Credentials"]["Expiration"] == 1414191623.5
    assert parsed["Credentials"] == {
        "AccessKeyId": "ASIAEXAMPLE",
        "SecretKey": "a-secret",
        "SessionToken": "a-token",
        "Expiration": datetime.datetime(
            2014, 10, 24, 23, 0, 23, 500_000, tzinfo=datetime.UTC
        ),
    }


def test_roles_of_botocore_are_read(compared):
    """The one member with an irregular name arrives too."""
    operation = ServiceModel(compared(API).theirs).operation_model(
        "SetIdentityPoolRoles"
    )
    rule = {"Claim": "c", "MatchType": "NotEqual", "Value": "v", "RoleARN": ROLE}
    mapping = {
        "Type": "Rules",
        "AmbiguousRoleResolution": "Deny",
        "RulesConfiguration": {"Rules": [rule]},
    }
    sent = create_serializer("json").serialize_to_request(
        {
            "IdentityPoolId": POOL_ID,
            "Roles": {"authenticated": ROLE},
            "RoleMappings": {"p": mapping},
        },
        operation,
    )
    decoder = RequestDecoder(API, API.by_name["SetIdentityPoolRoles"])

    assert decoder.decode(sent["body"]) == contract.SetIdentityPoolRolesRequest(
        identity_pool_id=POOL_ID,
        roles={"authenticated": ROLE},
        role_mappings={
            "p": contract.RoleMapping(
                type="Rules",
                ambiguous_role_resolution="Deny",
                rules_configuration=contract.RulesConfigurationType(
                    rules=[
                        contract.MappingRule(
                            claim="c", match_type="NotEqual", value="v", role_arn=ROLE
                        )
                    ]
                ),
            )
        },
    )
