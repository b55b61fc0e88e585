"""
Examples for a help page: command lines that can be copied, changed and run.

Built from the model: which options there are and which are required is its own; the
values are samples by the name of their shape, so that one that is used in ten
operations has one sample. A test runs every example and lets the contract judge what it
sends.
"""

from __future__ import annotations

import json
import shlex

from millpond.cli.api.faults import PROGRAM
from millpond.client.api.model import command_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any, Final

    from millpond.client.api.model import OperationModel, Shape

_ROLE: Final = "arn:aws:iam::000000000000:role/sync"
_STREAM_ARN: Final = "arn:aws:kinesis:us-east-1:000000000000:stream/changes"
_LOGIN: Final = "accounts.example.com"
_WIDTH: Final = 70
_CONTINUED: Final = " \\\n    "

_SAMPLES: Final[Mapping[str, Any]] = {
    "ARNString": f"arn:aws:iam::000000000000:oidc-provider/{_LOGIN}",
    "AccountId": "000000000000",
    "ApplicationArn": "arn:aws:sns:us-east-1:000000000000:app/GCM/MyApp",
    "AssumeRoleArn": _ROLE,
    "ClientContext": "mobile",
    "ConsumerARN": f"{_STREAM_ARN}/consumer/reader:1767225600",
    "ConsumerName": "reader",
    "Data": "hello",
    "HashKey": "0",
    "CognitoIdentityProvider": {
        "ProviderName": "cognito-idp.us-east-1.amazonaws.com/us-east-1_Example",
        "ClientId": "1example23456789",
    },
    "CognitoStreams": {"StreamName": "changes", "StreamingStatus": "ENABLED"},
    "DatasetName": "preferences",
    "DeveloperProviderName": "login.example.com",
    "DeveloperUserIdentifier": "user-1",
    "DeviceId": "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
    "Events": {"SyncTrigger": "https://hooks.example.com/sync"},
    "IdentityId": "us-east-1:11111111-2222-3333-4444-555555555555",
    "IdentityPoolId": "us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f",
    "IdentityPoolName": "mine",
    "IdentityPoolTagsType": {"team": "mobile"},
    "IdentityProviderId": "1example23456789",
    "IdentityProviderName": _LOGIN,
    "IdentityProviderToken": "TOKEN",
    "IdentityProviders": {_LOGIN: "1example23456789"},
    "LoginsMap": {_LOGIN: "TOKEN"},
    "PrincipalTags": {"team": "claim"},
    "PartitionKey": "user-1",
    "PushToken": "PUSH_TOKEN",
    "RetentionPeriodHours": 48,
    "RecordPatch": {
        "Op": "replace",
        "Key": "colour",
        "Value": "teal",
        "SyncCount": 0,
    },
    "RoleMappingMap": {
        _LOGIN: {"Type": "Token", "AmbiguousRoleResolution": "AuthenticatedRole"}
    },
    "RolesMap": {"authenticated": _ROLE},
    "SequenceNumber": "1",
    "ShardId": "shardId-000000000000",
    "StreamARN": _STREAM_ARN,
    "StreamName": "changes",
    "SyncSessionToken": "TOKEN",
    "TagKey": "team",
    "TagKeysType": "team",
    "Timestamp": "2026-01-01T00:00:00Z",
    "TokenDuration": 900,
    "arnType": _ROLE,
    "clientTokenType": "TOKEN",
    "policyDescriptorListType": [{"arn": "arn:aws:iam::000000000000:policy/narrow"}],
    "sessionPolicyDocumentType": '{"Version": "2012-10-17", "Statement": []}',
    "urlType": "www.example.com",
}
# Members whose shape says less than their name.
_MEMBER_SAMPLES: Final[Mapping[str, Any]] = {
    "CustomRoleArn": _ROLE,
    "DestinationUserIdentifier": "user-2",
    "ResourceArn": "arn:aws:cognito-identity:us-east-1:000000000000:identitypool/"
    f"{_SAMPLES['IdentityPoolId']}",
    "ResourceARN": _STREAM_ARN,
    "SamlProviderARNs": ["arn:aws:iam::000000000000:saml-provider/example"],
}
_NUMBERS: Final[Mapping[str, int]] = {"integer": 10, "long": 0}


class Example:
    """A command line, and what it is an example of."""

    def __init__(self, caption: str, words: Iterable[str]) -> None:
        self.caption = caption
        self.words = [*words]

    @property
    def text(self) -> str:
        """The command line as it is typed, over several lines when it is long."""
        # An option and its value stay on one line.
        parts: list[str] = []
        for word in map(shlex.quote, self.words):
            if word.startswith("--") or not parts:
                parts.append(word)
            else:
                parts[-1] += f" {word}"
        one_line = " ".join(parts)
        return one_line if len(one_line) <= _WIDTH else _CONTINUED.join(parts)


def examples(operation: OperationModel) -> Iterator[Example]:
    """Make the examples of an operation; the first has what is required alone."""
    members = operation.input.members
    required = {name: members[name] for name in operation.input.required}
    command = (PROGRAM, operation.service.name, command_name(operation.name))
    start = [*command, *_options(required)]
    yield Example("With what is required:", start)
    # A token of an earlier answer is nothing to begin with.
    optional = {
        name: shape
        for name, shape in members.items()
        if name not in required and not name.endswith("Token")
    }
    if optional:
        more = [*command, *_options({**required, **optional})]
        yield Example("With more of its options:", more)
    picked = _telling_member(operation)
    if picked:
        query = ("--query", picked, "--output", "text")
        yield Example(f"{picked} alone, as text:", [*start, *query])
    from_file = [*command, "--cli-input-json", "file://input.json"]
    yield Example("With the input in a file (see --generate-cli-skeleton):", from_file)


def _telling_member(operation: OperationModel) -> str | None:
    """Choose the first member of the answer that the caller does not know already."""
    if operation.output is None:
        return None
    known = operation.input.members
    return next((name for name in operation.output.members if name not in known), None)


def _options(members: Mapping[str, Shape]) -> Iterator[str]:
    for name, shape in members.items():
        yield f"--{command_name(name)}"
        if shape.type != "boolean":
            yield from _values(shape, sample(name, shape))


def sample(member: str, shape: Shape) -> Any:
    """Make a value of a member of an input."""
    found = _MEMBER_SAMPLES.get(member)
    return _of_shape(shape) if found is None else found


def _of_shape(shape: Shape) -> Any:
    found = _SAMPLES.get(shape.name)
    if found is not None:
        return found
    if shape.type == "structure":
        return {name: _of_shape(each) for name, each in shape.members.items()}
    if shape.type == "list":
        return [_of_shape(shape.member)]
    if shape.type == "map":
        return {_of_shape(shape.key): _of_shape(shape.value)}
    if shape.type == "string":
        return shape.enum[0] if shape.enum else "text"
    if shape.type in _NUMBERS:
        return max(_NUMBERS[shape.type], shape.min or 0)
    return True


def _values(shape: Shape, value: Any) -> Iterator[str]:
    """Write a value as the words that follow its option."""
    if shape.type == "list":
        yield from (_word(each) for each in value)
    else:
        yield _word(value)


def _word(value: Any) -> str:
    """Write one value: as it is, in shorthand, or as JSON where that is not enough."""
    if not isinstance(value, dict):
        return str(value)
    if any(isinstance(each, dict) for each in value.values()):
        return json.dumps(value)
    return ",".join(f"{name}={_shorthand(each)}" for name, each in value.items())


def _shorthand(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)
