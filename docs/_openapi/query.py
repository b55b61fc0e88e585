"""
An API of AWS Query: a form is sent, XML is answered.

Here the form itself says what is called, so one `POST /` is told apart by what a schema
can see: `Action` is its discriminator. What is in a list has numbers in its name.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from _openapi import operations
from _openapi.schemas import NO_NUL, SCHEMAS, Schemas, location_of
from millpond.contract.shapes import Api, Operation, Shape, summary_of, unwrap
from millpond.wire import query

JsonObject = dict[str, Any]

_FORM: Final = "application/x-www-form-urlencoded"
_XML: Final = "text/xml"
_NUMBER: Final = "[1-9][0-9]{0,8}"
_TEXT: Final = {"type": "string"}


def document(api: Api) -> JsonObject:
    """Describe an API of AWS Query."""
    schemas = Schemas(xml=True)
    items = {each.name: _item(api, each, schemas) for each in api.operations}
    made = {
        **operations.head([api]),
        "paths": {
            "/": {
                "post": _any_of_them(api, "post", items, schemas),
                "get": _any_of_them(api, "get", items, schemas),
            }
        },
        "components": {
            "pathItems": items,
            "securitySchemes": operations.security_schemes(api.name),
        },
    }
    made["info"]["description"] = "\n\n".join(
        (
            f"{api.title} as Millpond serves it: AWS Query.",
            "All operations are `POST /` with a form, or `GET /` with the same in the "
            "query string; `Action` names one. Answers are XML. `paths` describes what "
            "they have in common, and each by itself is a path item in `components`.",
            "Unknown parameters are passed over; none may be given twice.",
        )
    )
    return schemas.finish(made)


def _item(api: Api, operation: Operation, schemas: Schemas) -> JsonObject:
    form = schemas.put(f"{operation.name}Form", _form(api, operation, schemas))
    described = {
        **operations.describe(api, operation),
        "requestBody": {"required": True, "content": {_FORM: {"schema": form}}},
        "responses": _responses(api, operation, schemas),
        "security": operations.security(operation),
    }
    by_get = {name: each for name, each in described.items() if name != "requestBody"}
    by_get["operationId"] = _by_get(operation.name)
    by_get["parameters"] = [*_parameters(api, operation, schemas)]
    return {"post": described, "get": by_get}


def _by_get(name: str) -> str:
    return f"{name}ByGet"


def _form(api: Api, operation: Operation, schemas: Schemas) -> JsonObject:
    """Describe the form of a request, by the names of its parameters."""
    fixed = _fixed(api, operation)
    made: JsonObject = {
        "type": "object",
        "description": operation.summary,
        "properties": dict(fixed),
        "required": [*fixed],
        # A list would be a parameter that is given more than once.
        "additionalProperties": {"type": "string", "pattern": NO_NUL},
        "propertyNames": {"pattern": NO_NUL},
    }
    for name, schema, required in _flat(operation.request, schemas):
        if ".1" in name:
            pattern = name.replace(".", r"\.").replace(r"\.1", rf"\.{_NUMBER}")
            made.setdefault("patternProperties", {})[f"^{pattern}$"] = schema
        else:
            made["properties"][name] = schema
        if required:
            made["required"].append(name)
    return made


def _parameters(
    api: Api, operation: Operation, schemas: Schemas
) -> Iterable[JsonObject]:
    for name, schema in _fixed(api, operation).items():
        yield {"name": name, "in": "query", "required": True, "schema": schema}
    for name, schema, required in _flat(operation.request, schemas):
        described = dict(schema)
        words = described.pop("description", "")
        if not words and "$ref" in described:
            words = schemas.find(described["$ref"])["description"]
        yield {
            "name": name,
            "in": "query",
            "required": required,
            "description": words,
            "schema": described,
        }


def _fixed(api: Api, operation: Operation) -> JsonObject:
    return {
        "Action": {"type": "string", "const": operation.name},
        "Version": {"type": "string", "const": api.version},
    }


def _flat(
    shape: type[Shape], schemas: Schemas, prefix: str = ""
) -> Iterable[tuple[str, JsonObject, bool]]:
    """List the parameters of a structure; the first item stands for all of a list."""
    hints = typing.get_type_hints(shape, include_extras=True)
    for field in msgspec.structs.fields(shape):
        hint = hints[field.name]
        assert location_of(hint) is None, "a form has no other places"
        name = f"{prefix}{field.encode_name}"
        core, _ = unwrap(hint)
        if typing.get_origin(core) is not list:
            yield name, schemas.member(hint, given=True), field.required
            continue
        item, _ = unwrap(typing.get_args(core)[0])
        assert issubclass(item, Shape), "lists of plain values have not been needed"
        yield from _flat(item, schemas, f"{name}.member.1.")


def _responses(api: Api, operation: Operation, schemas: Schemas) -> JsonObject:
    assert operation.response is not None
    name = f"{operation.name}Response"
    root = {
        "type": "object",
        "description": summary_of(operation.response),
        "properties": {
            f"{operation.name}Result": {
                "type": "object",
                **schemas.members(operation.response, given=False),
            },
            "ResponseMetadata": {
                "type": "object",
                "properties": {"RequestId": _TEXT},
                "required": ["RequestId"],
            },
        },
        "required": [f"{operation.name}Result", "ResponseMetadata"],
        "xml": {"name": name, "namespace": api.xml_namespace},
    }
    by_status: dict[int, list[str]] = {}
    for error in {*operations.refusals(api, operation)}:
        code, status = query.error_code(error, operation)
        by_status.setdefault(status, []).append(code)
    return {
        "200": {
            "description": summary_of(operation.response),
            "headers": {"x-amzn-RequestId": operations.REQUEST_ID_HEADER},
            "content": {_XML: {"schema": schemas.put(name, root)}},
        },
        **{
            str(status): _refusal(sorted({*codes}), schemas)
            for status, codes in sorted(by_status.items())
        },
        "404": operations.no_operation(schemas),
    }


def _refusal(codes: list[str], schemas: Schemas) -> JsonObject:
    described = {"Type": {"enum": ["Sender", "Receiver"]}, "Message": _TEXT}
    root = {
        "type": "object",
        "properties": {
            "Error": {
                "type": "object",
                "properties": {"Code": _TEXT, **described},
                "required": ["Type", "Code", "Message"],
            },
            "RequestId": _TEXT,
        },
        "required": ["Error", "RequestId"],
        "xml": {"name": "ErrorResponse"},
    }
    one_of = {"type": "object", "properties": {"Code": {"enum": codes}}}
    return {
        "description": ", ".join(codes),
        "headers": {"x-amzn-RequestId": operations.REQUEST_ID_HEADER},
        "content": {
            _XML: {
                "schema": {
                    "allOf": [
                        schemas.put("ErrorResponse", root),
                        {"properties": {"Error": one_of}},
                    ]
                }
            }
        },
    }


def _any_of_them(
    api: Api, method: str, items: dict[str, JsonObject], schemas: Schemas
) -> JsonObject:
    """Describe what the operations of an API have in common."""
    forms = {name: f"{SCHEMAS}{name}Form" for name in items}
    one_of = {
        "oneOf": [{"$ref": each} for each in forms.values()],
        "discriminator": {"propertyName": "Action", "mapping": forms},
    }
    described: JsonObject = {
        "operationId": "AWSSecurityTokenService" + ("ByGet" if method == "get" else ""),
        "tags": [api.title],
        "summary": "Call the operation that Action names.",
        "responses": _merged([each[method]["responses"] for each in items.values()]),
        "security": [{}, {"sigv4": []}, {"sigv4_query": []}],
    }
    if method == "post":
        content = {_FORM: {"schema": one_of}}
        return {**described, "requestBody": {"required": True, "content": content}}
    parameter = {"name": "form", "in": "query", "required": True, "schema": one_of}
    return {**described, "parameters": [{**parameter, "style": "form"}]}


def _merged(answers: Sequence[JsonObject]) -> JsonObject:
    merged: JsonObject = {}
    for status in sorted({status for each in answers for status in each}):
        those = [each[status] for each in answers if status in each]
        if status == "404":
            merged[status] = those[0]
            continue
        options = [each["content"][_XML]["schema"] for each in those]
        words = {word for each in those for word in each["description"].split(", ")}
        said = "What the operation answers."
        merged[status] = {
            "description": said if status == "200" else ", ".join(sorted(words)),
            "headers": {"x-amzn-RequestId": operations.REQUEST_ID_HEADER},
            "content": {_XML: {"schema": {"anyOf": options}}},
        }
    return merged
