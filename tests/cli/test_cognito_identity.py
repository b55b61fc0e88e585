"""Cognito Identity on the command line: the same machinery, with a model of its own."""

from __future__ import annotations

import json
import re
from typing import Any

import botocore
import botocore.model
import botocore.serialize
import pytest
from botocore.utils import ArgumentGenerator

import published
from millpond.cli.api.arguments import GLOBAL_OPTIONS
from millpond.client.api import serializing
from millpond.client.api.model import ServiceModel, Shape, command_name
from millpond.contract.cognito_identity import API
from millpond.contract.shapes import Callers, members

SERVICE = ServiceModel.load("cognito-identity")
PUBLISHED = botocore.model.ServiceModel(published.load("cognito-identity"))
SAMPLES: dict[str, Any] = {"string": "x" * 20 + " ü", "long": 7, "integer": 5}
UNSIGNED = [
    command_name(each.name) for each in API.operations if each.callers is Callers.ANYONE
]
ROLE = "arn:aws:iam::000000000000:role/Players"


def sample(shape: Shape) -> Any:
    """A value for every member there is."""
    if shape.type == "structure":
        return {name: sample(each) for name, each in shape.members.items()}
    if shape.type == "list":
        return [sample(shape.member), sample(shape.member)]
    if shape.type == "map":
        return {"a key": sample(shape.value)}
    if shape.type == "boolean":
        return False
    return shape.enum[0] if shape.enum else SAMPLES[shape.type]


@pytest.fixture
def identity(run, stub):
    """Run an operation of cognito-identity against the stub."""
    return lambda *words: run("cognito-identity", *words, "--endpoint-url", stub.url)


def test_each_operation_of_the_contract_is_a_command():
    """There is one command for each operation, in the contract's order."""
    assert [command_name(each.name) for each in API.operations] == SERVICE.commands


def test_names_are_written_as_botocore_writes_them():
    """Every operation and option is called what it is called in the AWS CLI."""
    names = {each.name for each in API.operations}
    for operation in API.operations:
        names |= {each.name for each in members(operation.request)}

    assert "OpenIdConnectProviderARNs" in names
    for name in names:
        assert command_name(name) == botocore.xform_name(name, "-")


@pytest.mark.parametrize("command", SERVICE.commands)
@pytest.mark.parametrize("complete", [True, False])
def test_a_request_is_the_one_of_the_published_model(command, complete):
    """Target, content type and body are what botocore sends of its own accord."""
    operation = SERVICE.operation(command)
    given = sample(operation.input)
    if not complete:
        given = {k: v for k, v in given.items() if k in operation.input.required}
    theirs = botocore.serialize.create_serializer("json").serialize_to_request(
        given, PUBLISHED.operation_model(operation.name)
    )

    ours = serializing.serialize(operation, given)

    assert (ours.path, ours.query) == (theirs["url_path"], {})
    published.check(published.differences(ours.headers, dict(theirs["headers"])))
    published.check(
        published.differences(json.loads(ours.body), json.loads(theirs["body"]))
    )


def test_all_members_can_be_given_as_options(identity, stub):
    """Flags, maps, lists and structures arrive as the API wants them."""
    result = identity(
        *("create-identity-pool", "--identity-pool-name", "Players"),
        *("--no-allow-unauthenticated-identities", "--allow-classic-flow"),
        *("--supported-login-providers", "accounts.google.com=123"),
        *("--developer-provider-name", "login.game"),
        *("--open-id-connect-provider-arns", "arn:aws:iam::0:oidc-provider/a"),
        *("--cognito-identity-providers", "ClientId=c,ServerSideTokenCheck=true"),
        *("--saml-provider-arns", "arn:aws:iam::0:saml-provider/s"),
        *("--identity-pool-tags", "team=games,stage=test"),
    )

    assert (result.code, result.err) == (0, "")
    assert json.loads(stub.received[0].body) == {
        "IdentityPoolName": "Players",
        "AllowUnauthenticatedIdentities": False,
        "AllowClassicFlow": True,
        "SupportedLoginProviders": {"accounts.google.com": "123"},
        "DeveloperProviderName": "login.game",
        "OpenIdConnectProviderARNs": ["arn:aws:iam::0:oidc-provider/a"],
        "CognitoIdentityProviders": [{"ClientId": "c", "ServerSideTokenCheck": True}],
        "SamlProviderARNs": ["arn:aws:iam::0:saml-provider/s"],
        "IdentityPoolTags": {"team": "games", "stage": "test"},
    }


def test_mappings_can_be_written_in_shorthand(identity, stub, pool):
    """Maps of structures of lists of structures are no trouble."""
    mapping = (
        "p={Type=Rules,AmbiguousRoleResolution=Deny,RulesConfiguration={Rules="
        f"[{{Claim=c,MatchType=Equals,Value=v,RoleARN={ROLE}}}]}}}}"
    )
    result = identity(
        *("set-identity-pool-roles", "--identity-pool-id", pool),
        *("--roles", f"authenticated={ROLE}", "--role-mappings", mapping),
    )

    assert (result.code, result.out, result.err) == (0, "", "")
    assert json.loads(stub.received[0].body)["RoleMappings"] == {
        "p": {
            "Type": "Rules",
            "AmbiguousRoleResolution": "Deny",
            "RulesConfiguration": {
                "Rules": [
                    {
                        "Claim": "c",
                        "MatchType": "Equals",
                        "Value": "v",
                        "RoleARN": ROLE,
                    }
                ]
            },
        }
    }


@pytest.mark.parametrize("command", SERVICE.commands)
def test_what_is_for_anyone_needs_no_credentials(identity, stub, monkeypatch, command):
    """Unsigned operations are sent without; the others are not sent at all."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    operation = SERVICE.operation(command)
    required = {
        name: sample(shape)
        for name, shape in operation.input.members.items()
        if name in operation.input.required
    }

    result = identity(command, "--cli-input-json", json.dumps(required))

    if command in UNSIGNED:
        assert (result.code, result.err) == (0, "")
        assert "authorization" not in stub.received[0].headers
        target = f"AWSCognitoIdentityService.{operation.name}"
        assert stub.received[0].headers["x-amz-target"] == target
    else:
        assert (result.code, stub.received) == (255, [])
        assert result.err.startswith("Unable to locate credentials")


def test_credentials_are_not_used_where_none_are_needed(identity, stub, pool):
    """Keys in the environment do not make an unsigned operation signed."""
    identity("get-id", "--identity-pool-id", pool)
    identity("list-identity-pools", "--max-results", "1")

    signed = ["authorization" in each.headers for each in stub.received]
    assert signed == [False, True]


def test_an_answer_is_printed_in_the_order_of_the_model(identity, stub, pool):
    """Credentials have SecretKey, and the time is as it came."""
    stub.will_answer(
        {
            "Credentials": {
                "Expiration": 1414191623.0,
                "SessionToken": "t",
                "SecretKey": "s",
                "AccessKeyId": "ASIA",
            },
            "IdentityId": pool,
        }
    )
    result = identity("get-credentials-for-identity", "--identity-id", pool)

    assert json.dumps(json.loads(result.out)) == json.dumps(
        {
            "IdentityId": pool,
            "Credentials": {
                "AccessKeyId": "ASIA",
                "SecretKey": "s",
                "SessionToken": "t",
                "Expiration": 1414191623.0,
            },
        }
    )


def test_a_refusal_is_told_by_its_code(identity, stub, pool):
    """The code and the message are the service's."""
    body = {"__type": "NotAuthorizedException", "message": "No."}
    stub.will_answer(body, status=400)
    result = identity("get-id", "--identity-pool-id", pool)

    assert (result.code, result.out) == (255, "")
    assert result.err == (
        "\nAn error occurred (NotAuthorizedException) when calling the GetId "
        "operation: No.\n"
    )


@pytest.mark.parametrize("command", SERVICE.commands)
def test_required_options_are_asked_for(identity, stub, command):
    """All that are required are named; a flag, as in the AWS CLI, when it is sent."""
    operation = SERVICE.operation(command)
    required = [
        f"--{command_name(name)}"
        for name, shape in operation.input.members.items()
        if name in operation.input.required and shape.type != "boolean"
    ]
    result = identity(command)
    asked = re.search(r"are required: (.*)", result.err)

    assert (result.code, stub.received) == (2, [])
    assert asked is not None
    assert asked[1].split(", ") == required


def test_a_required_flag_is_asked_for(identity, stub):
    """Whether guests are let in has to be said, one way or the other."""
    result = identity("create-identity-pool", "--identity-pool-name", "Players")

    assert (result.code, stub.received) == (255, [])
    assert 'required parameter in input: "AllowUnauthenticatedIdentities"' in result.err


@pytest.mark.parametrize("command", SERVICE.commands)
def test_a_skeleton_is_the_one_of_the_published_model(run, command):
    """The form of each input has the members that botocore's own has."""
    result = run("cognito-identity", command, "--generate-cli-skeleton")
    shape = PUBLISHED.operation_model(SERVICE.operation(command).name).input_shape
    theirs = ArgumentGenerator().generate_skeleton(shape)

    assert (result.code, result.err) == (0, "")
    ours = without_enums(json.loads(result.out))
    published.check(published.differences(ours, without_enums(theirs)))


def without_enums(value: Any) -> Any:
    """One of the values of an enum stands for all, since it is drawn by lot."""
    if isinstance(value, dict):
        return {name: without_enums(each) for name, each in value.items()}
    if isinstance(value, list):
        return [without_enums(each) for each in value]
    return "an enum" if isinstance(value, str) and value else value


@pytest.mark.parametrize("operation", API.operations, ids=lambda each: each.name)
def test_a_help_page_names_options_errors_and_callers(run, operation):
    """What the contract says of an operation is on its page."""
    result = run("cognito-identity", command_name(operation.name), "help")
    text = " ".join(result.out.split())

    assert (result.code, result.err) == (0, "")
    own = [command_name(each.name) for each in members(operation.request)]
    for option in (*own, *(each.name for each in GLOBAL_OPTIONS)):
        assert re.search(rf"(?m)^\s+--{option} \(", result.out)
    for error in operation.errors:
        assert error.__name__ in text
    assert operation.summary.rstrip(".") in text
    assert operation.callers.value in text
