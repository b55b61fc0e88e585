"""The model that botocore loads says what the service's own model says."""

from __future__ import annotations

from typing import Any

import botocore.model
import botocore.serialize
import pytest

import published
from millpond.client.api import models
from millpond.contract.botocore_model import service_model
from millpond.contract.cognito_sync import API

OURS = service_model(API)
THEIRS = published.load("cognito-sync")

SAMPLES = {
    "string": "us-east-1:0a-b ü/?&=+~ of length",
    "integer": 5,
    "long": 7,
    "timestamp": 1415212845.5,
    "boolean": True,
}


def bare(value: Any) -> Any:
    """A model without its texts, which are ours, and without orders nobody sees."""
    if isinstance(value, dict):
        found = {k: bare(v) for k, v in value.items() if k != "documentation"}
        if "errors" in found:
            found["errors"] = sorted(each["shape"] for each in found["errors"])
        if isinstance(found.get("required"), list):
            found["required"] = sorted(found["required"])
        return found
    return [bare(each) for each in value] if isinstance(value, list) else value


def sample(shape: botocore.model.Shape) -> Any:
    """A value for every member there is."""
    if shape.type_name == "structure":
        return {name: sample(each) for name, each in shape.members.items()}
    if shape.type_name == "list":
        return [sample(shape.member)]
    if shape.type_name == "map":
        return {"SyncTrigger": sample(shape.value)}
    return shape.enum[0] if getattr(shape, "enum", None) else SAMPLES[shape.type_name]


def test_the_metadata_is_the_services_own():
    """Names, version, protocol and signature are those of the service."""
    published.check(published.differences(OURS["metadata"], THEIRS["metadata"]))


def test_every_operation_is_there_in_the_same_order():
    """The operations are the service's, in its order."""
    ours, theirs = list(OURS["operations"]), list(THEIRS["operations"])
    published.check(published.differences(ours, theirs))


@pytest.mark.parametrize("name", THEIRS["operations"])
def test_an_operation_agrees(name):
    """Method, path, input, output and errors are those of the service."""
    published.check(
        published.differences(
            bare(OURS["operations"].get(name)), bare(THEIRS["operations"][name])
        )
    )


@pytest.mark.parametrize("name", THEIRS["shapes"])
def test_a_shape_agrees(name):
    """Types, members, their order, places, limits and patterns are the service's."""
    theirs, ours = bare(THEIRS["shapes"][name]), bare(OURS["shapes"].get(name, {}))
    if theirs.get("exception"):
        # the name of the shape that holds a message differs in one error
        theirs["members"] = ours["members"] = {}

    published.check(published.differences(ours, theirs))
    published.check(
        published.differences(
            list(ours.get("members", ())), list(theirs.get("members", ()))
        )
    )


def test_no_shape_is_ours_alone():
    """There is nothing in our model that the service does not have."""
    published.check(set(OURS["shapes"]) - set(THEIRS["shapes"]))


@pytest.mark.parametrize("name", THEIRS["operations"])
@pytest.mark.parametrize("only_required", [False, True])
def test_botocore_writes_the_same_request_with_either_model(name, only_required):
    """botocore makes the same request of an input with our model as with its own."""

    def serialize(model: dict[str, Any], given: Any) -> dict[str, Any]:
        operation = botocore.model.ServiceModel(model).operation_model(name)
        serializer = botocore.serialize.create_serializer("rest-json")
        written: dict[str, Any] = serializer.serialize_to_request(given, operation)
        return written

    shape = botocore.model.ServiceModel(THEIRS).operation_model(name).input_shape
    given = sample(shape)
    if only_required:
        given = {k: v for k, v in given.items() if k in shape.required_members}

    if name not in OURS["operations"]:
        pytest.skip("published since; told above")
    published.check(
        published.differences(serialize(OURS, given), serialize(THEIRS, given))
    )


def test_the_texts_are_our_own():
    """No text of an operation is the service's."""
    theirs = {each["documentation"] for each in THEIRS["operations"].values()}

    assert not theirs & {each["documentation"] for each in OURS["operations"].values()}


def test_every_operation_says_who_may_call_it():
    """The text of an operation ends with whose credentials it takes."""
    assert all(
        "May be called" in o["documentation"] for o in OURS["operations"].values()
    )


@pytest.mark.parametrize("name", [*models.CONTRACTS, *models.EXTENSIONS])
def test_the_kept_model_is_the_derived_one(name):
    """The kept file is the contract's; `make docs` writes it."""
    assert models.derive(name) == models.read(name)


def test_a_model_that_is_not_kept_is_derived(monkeypatch, tmp_path):
    """Without its file, a model comes from the contract."""
    monkeypatch.setattr(models, "path_of", lambda name: str(tmp_path / name))

    assert models.read("cognito-sync") == OURS
