"""The part of STS that we have is the published one."""

from __future__ import annotations

import pytest

import published
from millpond.contract import sts
from millpond.contract.shapes import Callers, members
from millpond.contract.sts import API


def test_two_operations_are_there(compared):
    """One is unsigned, as published; the other is for everybody with credentials."""
    assert {each.name: each.callers for each in API.operations} == {
        "AssumeRoleWithWebIdentity": Callers.ANYONE,
        "GetCallerIdentity": Callers.EITHER,
    }
    published.check(compared(API).callers())


def test_operations_and_shapes_are_those_of_the_published_model(compared):
    """Names, order, constraints and required members do not differ at all."""
    comparison = compared(API)

    published.check(comparison.operations())
    published.check(comparison.added_errors())


def test_the_api_is_called_as_published(compared):
    """Version, protocol and the namespace of the XML are the published ones."""
    theirs = compared(API).theirs["metadata"]
    ours = {
        "apiVersion": API.version,
        "protocol": API.protocol,
        "xmlNamespace": API.xml_namespace,
        "serviceFullName": API.title,
    }

    published.check(published.differences(ours, {name: theirs[name] for name in ours}))


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
