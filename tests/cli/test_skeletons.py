"""--generate-cli-skeleton prints a form or a sample, and sends nothing."""

from __future__ import annotations

import json

import pytest
from botocore.model import ServiceModel as BotocoreModel
from botocore.utils import ArgumentGenerator

from millpond.client.api import models
from millpond.client.api.model import ServiceModel

SERVICE = ServiceModel.load("cognito-sync")
BOTOCORE = BotocoreModel(models.read("cognito-sync"))

INPUT = """\
{
    "IdentityPoolId": ""
}
"""
OUTPUT = """\
{
    "IdentityPoolId": "IdentityPoolId",
    "BulkPublishStartTime": "1970-01-01T00:00:00",
    "BulkPublishCompleteTime": "1970-01-01T00:00:00",
    "BulkPublishStatus": "BulkPublishStatus",
    "FailureMessage": "FailureMessage"
}
"""
# AWS: their own samples do not pass their own check.
FAILING = ("get-identity-pool-configuration", "set-identity-pool-configuration")


@pytest.mark.parametrize("value", [[], ["input"]])
def test_the_input_of_bulk_publish_details(run, stub, value):
    """No value and `input` print the form, without options, keys or region."""
    words = ("--generate-cli-skeleton", *value, "--endpoint-url", stub.url)

    result = run("cognito-sync", "get-bulk-publish-details", *words)

    assert (result.code, result.out, result.err) == (0, INPUT, "")
    assert stub.received == []


def test_the_output_of_bulk_publish_details(details, stub):
    """`output` prints a sample answer and sends nothing."""
    result = details("--generate-cli-skeleton", "output")

    assert (result.code, result.out, result.err) == (0, OUTPUT, "")
    assert stub.received == []


def test_the_output_needs_no_credentials(details, monkeypatch):
    """A sample is printed to those without keys."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")

    assert details("--generate-cli-skeleton", "output").out == OUTPUT


def test_the_output_needs_a_region(details, monkeypatch):
    """A sample is not printed without a region."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    result = details("--generate-cli-skeleton", "output")

    assert (result.code, result.out) == (255, "")
    assert result.err.startswith("You must specify a region.")


def test_the_output_wants_the_required_options(run):
    """`output` does not lift what is required."""
    words = ("get-bulk-publish-details", "--generate-cli-skeleton", "output")

    result = run("cognito-sync", *words)

    assert result.code == 2
    assert "required: --identity-pool-id" in result.err


def test_the_output_checks_the_input(run, stub):
    """`output` reports an input that would not be sent."""
    result = run(
        *("cognito-sync", "get-bulk-publish-details", "--identity-pool-id", ""),
        *("--generate-cli-skeleton", "output", "--endpoint-url", stub.url),
    )

    assert (result.code, result.out) == (255, "")
    assert result.err == (
        "\nParameter validation failed:\nInvalid length for parameter IdentityPoolId, "
        "value: 0, valid min length: 1\n"
    )


def test_the_output_takes_its_input_from_json(run):
    """`output` with --cli-input-json checks what the JSON says."""
    words = ("--cli-input-json", '{"IdentityPoolId": 5}', "--generate-cli-skeleton")

    result = run("cognito-sync", "get-bulk-publish-details", *words, "output")

    assert result.code == 255
    assert "Invalid type for parameter IdentityPoolId, value: 5" in result.err


def test_the_output_honours_format_and_query(details):
    """A sample goes through --query and --output as an answer does."""
    skeleton = ("--generate-cli-skeleton", "output")

    assert (
        details(*skeleton, "--query", "BulkPublishStatus").out
    ) == '"BulkPublishStatus"\n'
    assert (
        details(*skeleton, "--query", "BulkPublishStartTime", "--output", "text").out
        == "1970-01-01 00:00:00\n"
    )


@pytest.mark.parametrize("command", SERVICE.commands)
def test_an_input_has_every_member(run, command):
    """The form of each operation is the one that botocore makes."""
    result = run("cognito-sync", command, "--generate-cli-skeleton")

    operation = SERVICE.operation(command)
    shape = BOTOCORE.operation_model(operation.name).input_shape
    expected = ArgumentGenerator().generate_skeleton(shape)
    assert without_enums(json.loads(json.dumps(expected, default=str))) == (
        without_enums(json.loads(result.out.replace("T00:00:00", " 00:00:00")))
    )


def without_enums(value):
    """One of the values of an enum stands for all, since it is drawn by lot."""
    if isinstance(value, dict):
        return {name: without_enums(each) for name, each in value.items()}
    if isinstance(value, list):
        return [without_enums(each) for each in value]
    return type(value).__name__ if isinstance(value, str) and value else value


@pytest.mark.parametrize("command", SERVICE.commands)
def test_a_sample_has_every_member(run, command):
    """The sample of each operation is the one that botocore makes."""
    operation = SERVICE.operation(command)
    given = {
        name: {"structure": {}, "map": {"k": "v"}, "list": []}.get(shape.type, "x" * 20)
        for name, shape in operation.input.members.items()
        if name in operation.input.required
    }
    words = ("--cli-input-json", json.dumps(given), "--generate-cli-skeleton", "output")

    result = run("cognito-sync", command, *words)

    shape = BOTOCORE.operation_model(operation.name).output_shape
    if command in FAILING:
        assert result.code == 255
        assert "RoleArn, value: 7, valid min length: 20" in result.err
    elif shape is None or not shape.members:
        assert (result.code, result.out) == (0, "")
    else:
        generator = ArgumentGenerator(use_member_names=True)
        expected = generator.generate_skeleton(shape)
        assert json.loads(json.dumps(expected, default=lambda t: t.isoformat())) == (
            json.loads(result.out)
        )


@pytest.mark.parametrize("value", ["yaml", "Output", ""])
def test_another_value_is_a_bad_choice(details, value):
    """Only input and output are valid."""
    result = details("--generate-cli-skeleton", value)

    assert result.code == 2
    assert "argument --generate-cli-skeleton: Invalid choice" in result.err
