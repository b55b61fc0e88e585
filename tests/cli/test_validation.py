"""The input is checked before it is sent, with the faults that botocore finds."""

from __future__ import annotations

import pytest
from botocore.model import ServiceModel as BotocoreModel
from botocore.validate import ParamValidator

from millpond.client.api import models, validation
from millpond.client.api.faults import Fault
from millpond.client.api.model import ServiceModel

SERVICE = ServiceModel.load("cognito-sync")
BOTOCORE = BotocoreModel(models.read("cognito-sync"))

CASES = [
    ("get-bulk-publish-details", {}),
    ("get-bulk-publish-details", {"Nope": 1}),
    ("get-bulk-publish-details", {"IdentityPoolId": ""}),
    ("get-bulk-publish-details", {"IdentityPoolId": None}),
    ("get-bulk-publish-details", {"IdentityPoolId": ["x"]}),
    ("get-bulk-publish-details", {"IdentityPoolId": "no pattern is checked"}),
    ("get-bulk-publish-details", {"IdentityPoolId": "x" * 1000}),
    ("list-datasets", {"MaxResults": "5", "NextToken": 5, "IdentityId": True}),
    ("list-datasets", {"IdentityPoolId": "a", "IdentityId": "b", "MaxResults": True}),
    ("list-datasets", {"IdentityPoolId": "a", "IdentityId": "b", "MaxResults": 1.5}),
    ("set-cognito-events", {"IdentityPoolId": "a", "Events": []}),
    ("set-cognito-events", {"IdentityPoolId": "a", "Events": {"k": 1}}),
    ("set-identity-pool-configuration", {"IdentityPoolId": "a", "PushSync": "x"}),
    (
        "set-identity-pool-configuration",
        {
            "IdentityPoolId": "a",
            "PushSync": {"Nope": 1, "RoleArn": "short", "ApplicationArns": [1, "a"]},
            "CognitoStreams": {"StreamName": "", "StreamingStatus": "MAYBE"},
        },
    ),
    (
        "update-records",
        {
            "RecordPatches": [
                {"Op": 1, "Key": [], "SyncCount": "x", "Value": False},
                {"DeviceLastModifiedDate": "no date", "Key": ""},
                {"DeviceLastModifiedDate": "2014-11-05T18:40:45Z"},
                {"DeviceLastModifiedDate": 1415212845.5},
                {"DeviceLastModifiedDate": None},
                "x",
            ],
        },
    ),
    ("update-records", {"RecordPatches": {"Op": "replace"}}),
]


@pytest.mark.parametrize(("command", "given"), CASES)
def test_the_faults_are_botocores(command, given):
    """Every fault is found, in the same order and words."""
    operation = SERVICE.operation(command)
    shape = BOTOCORE.operation_model(operation.name).input_shape
    expected = ParamValidator().validate(given, shape).generate_report()

    try:
        validation.check(given, operation.input)
    except Fault as fault:
        found = str(fault)
    else:
        found = ""

    assert (f"Parameter validation failed:\n{expected}" if expected else "") == found


def test_nothing_is_sent_when_the_input_is_wrong(run, stub):
    """A fault in the input is told before credentials are looked for."""
    result = run(
        *("cognito-sync", "get-bulk-publish-details", "--identity-pool-id", ""),
        *("--endpoint-url", stub.url),
    )

    assert (result.code, result.out) == (255, "")
    assert result.err.startswith("\nParameter validation failed:\n")
    assert stub.received == []


def test_validation_can_be_turned_off(run, home, stub):
    """With parameter_validation = false the service judges the input."""
    (home / ".aws" / "config").write_text("[default]\nparameter_validation = false\n")

    result = run(
        *("cognito-sync", "get-bulk-publish-details", "--identity-pool-id", ""),
        *("--endpoint-url", stub.url),
    )

    assert result.code == 0
    assert stub.received[0].target == "/identitypools//getBulkPublishDetails"
