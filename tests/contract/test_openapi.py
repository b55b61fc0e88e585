"""The OpenAPI documents are valid, and have everything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from acceptance.openapi_world import (
    DOCUMENTS,
    JsonObject,
    alone,
    path_items,
)
from millpond.contract.shapes import Callers
from millpond.server import controls, pages
from millpond.server.bindings import APIS


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_valid(name: str) -> None:
    """It is OpenAPI 3.1, with schemas of its dialect, and each reference leads."""
    faults = [*OpenAPIV31SpecValidator(DOCUMENTS[name]).iter_errors()]

    assert [str(each)[:500] for each in faults] == []
    assert DOCUMENTS[name]["openapi"].startswith("3.1.")


@pytest.mark.parametrize("name", ["cognito-identity", "kinesis", "sts"])
def test_an_operation_can_be_cut_out(name: str) -> None:
    """With its path item in the place of the path, a document is about it alone."""
    for title in DOCUMENTS[name]["components"]["pathItems"]:
        item = {"$ref": f"#/components/pathItems/{title}"}
        cut = {**DOCUMENTS[name], "paths": {"/": item}}

        assert [*OpenAPIV31SpecValidator(cut).iter_errors()] == []
        break  # they are alike, and each is valid where it stands


def test_every_operation_is_described() -> None:
    """Those of all APIs, under their names, and none twice."""
    described = [
        (name, item[method]["operationId"])
        for name, document in DOCUMENTS.items()
        for _, item in path_items(document)
        for method in item
    ]
    by_get = [
        ("sts", f"{each.name}ByGet")
        for api, _ in APIS
        if api.name == "sts"
        for each in api.operations
    ]
    published = [(api.name, each.name) for api, _ in APIS for each in api.operations]

    of_apis = [each for each in described if each[0] != "server"]
    assert sorted(of_apis) == sorted([*published, *by_get])
    assert len(described) == len({*described})


def test_every_page_is_described() -> None:
    """What `server.pages` and `server.controls` serve, but what is for people."""
    described = {path.partition("{")[0] for path in DOCUMENTS["server"]["paths"]}
    tests = {each for each in described if each.startswith(controls.PATH)}

    assert described - tests == {*pages.PATHS}
    assert tests == {f"{controls.PATH}{each}" for each in ("clock", "reset", "calls")}


def test_who_signs_is_described() -> None:
    """What anyone may call says so, and nothing else does."""
    for api, _ in APIS:
        for operation in api.operations:
            document = alone(api.name, operation.name, {})
            (described,) = (
                each for item in document["paths"].values() for each in item.values()
            )
            assert (described["security"] == []) is (
                operation.callers is Callers.ANYONE
            ), operation.name


def test_examples_are_valid() -> None:
    """What a schema shows is what it lets through."""
    from jsonschema import Draft202012Validator

    shown = 0
    for document in DOCUMENTS.values():
        for name, schema in document["components"]["schemas"].items():
            for each in _with_examples(schema):
                for example in each["examples"]:
                    shown += 1
                    assert Draft202012Validator(each).is_valid(example), name
    assert shown


def _with_examples(schema: Any) -> Iterator[JsonObject]:
    if isinstance(schema, dict):
        if isinstance(schema.get("examples"), list):
            yield schema
        schema = [*schema.values()]
    if isinstance(schema, list):
        for each in schema:
            yield from _with_examples(each)


@pytest.mark.parametrize(
    ("text", "is_time"),
    [
        ("0", True),
        ("-59999999999.5", True),
        ("249999999999", True),
        ("-62135596801", False),
        ("253402300800", False),
        ("752785358666.2", False),
        ("-529862434076", False),
        ("1e3", False),
    ],
)
def test_a_text_that_is_a_time_is_one_that_can_be(text: str, is_time: bool) -> None:
    """Its pattern ends where the numbers end: what no calendar has is refused."""
    patch = DOCUMENTS["cognito-sync"]["components"]["schemas"]["RecordPatch"]
    _, by_pattern, *_ = patch["properties"]["DeviceLastModifiedDate"]["anyOf"]

    assert bool(re.search(by_pattern["pattern"], text)) is is_time
