"""The part of STS that we have is the published one."""

from __future__ import annotations

import pytest

from millpond.contract import sts
from millpond.contract.shapes import Callers, members
from millpond.contract.sts import API


def test_two_operations_are_there(compared):
    """One is unsigned, as published; the other is for everybody with credentials."""
    assert {each.name: each.callers for each in API.operations} == {
        "AssumeRoleWithWebIdentity": Callers.ANYONE,
        "GetCallerIdentity": Callers.EITHER,
    }
    assert list(compared(API).callers()) == []


def test_operations_and_shapes_are_those_of_the_published_model(compared):
    """Names, order, constraints and required members do not differ at all."""
    comparison = compared(API)

    assert list(comparison.operations()) == []
    assert list(comparison.added_errors()) == []


def test_the_api_is_called_as_published(compared):
    """Version, protocol and the namespace of the XML are the published ones."""
    metadata = compared(API).theirs["metadata"]

    assert (API.version, API.protocol, API.xml_namespace, API.title) == (
        metadata["apiVersion"],
        metadata["protocol"],
        metadata["xmlNamespace"],
        metadata["serviceFullName"],
    )


@pytest.mark.parametrize(
    ("shape", "name"),
    [
        (sts.AssumeRoleWithWebIdentityRequest, "WebIdentityToken"),
        (sts.Credentials, "SecretAccessKey"),
        (sts.Credentials, "SessionToken"),
    ],
)
def test_secrets_are_marked(shape, name):
    """Tokens and secret keys are for nobody else's eyes."""
    (member,) = [each for each in members(shape) if each.name == name]

    assert member.sensitive
