"""
What is called and refused, in an API of JSON: over paths, or AWS JSON 1.1.

All operations of an API of AWS JSON 1.1 are a `POST /`, told apart by a header, and a
document has one operation for a path and a method. So there is one, which takes and
answers what any of them does; and each is described by itself as a path item among the
components, to be put in its place by whoever wants that operation alone.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from _openapi.schemas import SCHEMAS, Schemas, location_of
from millpond.contract.shapes import (
    Api,
    Callers,
    InHeader,
    InPath,
    Operation,
    Shape,
    summary_of,
)
from millpond.errors import (
    ExpiredTokenException,
    IncompleteSignatureException,
    InternalErrorException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    NotAuthorizedException,
    RequestEntityTooLargeException,
    RequestTimeoutException,
    SerializationException,
    ServiceException,
    ServiceUnavailableException,
    TooManyRequestsException,
    UnknownOperationException,
    UnrecognizedClientException,
)
from millpond.wire import codecs, event_frames, event_stream
from millpond.wire.codecs import Codec
from millpond.wire.errors import encode_error

JsonObject = dict[str, Any]
Refusals = tuple[type[ServiceException], ...]

ANY_CALL: Final[Refusals] = (
    InternalErrorException,
    RequestEntityTooLargeException,
    RequestTimeoutException,
    SerializationException,
    ServiceUnavailableException,
    TooManyRequestsException,
    UnknownOperationException,  # where what names it is left out
)
SIGNED_CALL: Final[Refusals] = (
    ExpiredTokenException,
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    NotAuthorizedException,
    UnrecognizedClientException,
)
OPENAPI: Final = "3.1.1"
LICENSE: Final = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
SERVERS: Final = [
    {
        "url": "http://{host}:{port}",
        "description": "Your server.",
        "variables": {
            "host": {"default": "127.0.0.1"},
            "port": {"default": "8014"},
        },
    }
]
_KEYS: Final = (
    "A developer key, or the temporary credentials of an identity; the token of those "
    "goes into `X-Amz-Security-Token`."
)
_REQUEST_ID: Final = {
    "x-amzn-RequestId": {"$ref": "#/components/headers/x-amzn-RequestId"}
}
REQUEST_ID_HEADER: Final = {
    "description": "The id of the request, as in the server's log.",
    "schema": {"type": "string"},
}


def document(apis: Sequence[Api]) -> JsonObject:
    """Describe the APIs of a name; the first one is AWS's."""
    schemas = Schemas()
    items = {
        operation.name: _item(api, operation, schemas)
        for api in apis
        for operation in api.operations
    }
    components: JsonObject = {
        "headers": {
            "x-amzn-ErrorMessage": {
                "description": "What is wrong, in printable ASCII and not too long.",
                "schema": {"type": "string"},
            },
            "x-amzn-RequestId": REQUEST_ID_HEADER,
        },
        "securitySchemes": security_schemes(apis[0].name),
    }
    if apis[0].protocol == "json":
        components["pathItems"] = items
        paths = {"/": {"post": _any_of_them(apis[0], [*items.values()])}}
    else:
        paths = {}
        for api in apis:
            for operation in api.operations:
                item = items[operation.name]
                paths.setdefault(operation.uri, {}).update(item)
    return schemas.finish({**head(apis), "paths": paths, "components": components})


def head(apis: Sequence[Api]) -> JsonObject:
    """Say what a document is about."""
    api = apis[0]
    own = [each.title for each in apis[1:]]
    about = [f"{api.title} as Millpond serves it."]
    if own:
        about.append(f"{', '.join(own)}: operations of Millpond's own, beside those.")
    if api.protocol == "json":
        about.append(
            "All operations are `POST /`; the header `X-Amz-Target` names one. "
            "`paths` describes what they have in common. Each by itself is a path "
            "item in `components`: put one in the place of `/` for a document about it."
        )
    if api.cbor:
        about.append(
            "Bodies may be CBOR (`application/x-amz-cbor-1.1`) as well, of the same "
            "members: bytes are byte strings, times have tag 1 and are milliseconds."
        )
    about.append("Unknown members are passed over. A null is an absent member.")
    return {
        "openapi": OPENAPI,
        "info": {
            "title": f"Millpond: {api.title}",
            "version": api.version,
            "description": "\n\n".join(about),
            "license": LICENSE,
        },
        "servers": SERVERS,
        "tags": [{"name": each.title} for each in apis],
    }


def security_schemes(service: str) -> JsonObject:
    """Describe how a request is signed: AWS Signature Version 4, in two places."""
    scope = f"for the service `{service}` and the region of the server"
    return {
        "sigv4": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": f"AWS Signature Version 4, {scope}. {_KEYS}",
            "x-amazon-apigateway-authtype": "awsSigv4",
        },
        "sigv4_query": {
            "type": "apiKey",
            "in": "query",
            "name": "X-Amz-Signature",
            "description": f"The same, {scope}, of a presigned URL. {_KEYS}",
            "x-amazon-apigateway-authtype": "awsSigv4",
        },
    }


def security(operation: Operation) -> list[JsonObject]:
    """Say how an operation is signed."""
    if operation.callers is Callers.ANYONE:
        return []
    return [{"sigv4": []}, {"sigv4_query": []}]


def describe(api: Api, operation: Operation) -> JsonObject:
    """Name an operation and say what it does."""
    words = operation.description.partition("\n\n")[2].replace("\n", " ")
    paragraphs = [each for each in words.split("  ") if each]
    who = f"Who may call: {operation.callers.value}."
    return {
        "operationId": operation.name,
        "tags": [api.title],
        "summary": operation.summary,
        "description": "\n\n".join([*paragraphs, who]),
    }


def refusals(api: Api, operation: Operation) -> Refusals:
    """List what an operation may refuse, with what any call is refused for."""
    common = (*ANY_CALL, api.constraint_error)
    if operation.callers is not Callers.ANYONE:
        common = (*common, *SIGNED_CALL)
    return (*operation.errors, *operation.also_answers, *common)


def no_operation(schemas: Schemas) -> JsonObject:
    """Describe what is answered where nothing says which protocol is spoken."""
    error = UnknownOperationException
    content = {
        _media_type(codecs.REST_JSON): {
            "schema": schemas.put(error.__name__, _error(error))
        }
    }
    return {
        "description": "The request names no operation.",
        "headers": {"x-amzn-RequestId": REQUEST_ID_HEADER},
        "content": content,
    }


def _item(api: Api, operation: Operation, schemas: Schemas) -> JsonObject:
    """Describe an operation as the path item that it is, or would be."""
    codec = codecs.REST_JSON if api.protocol == "rest-json" else codecs.JSON
    described = describe(api, operation)
    parameters = [*_parameters(operation.request, schemas)]
    if api.protocol == "json":
        parameters.append(_target([f"{api.target_prefix}.{operation.name}"]))
    if parameters:
        described["parameters"] = parameters
    body = _request_body(api, operation, schemas, codec)
    if body is not None:
        described["requestBody"] = body
    described["responses"] = {
        "200": _success(api, operation, schemas, codec),
        **_refused(refusals(api, operation), schemas, codec),
    }
    if api.protocol == "json":
        described["responses"].setdefault("404", no_operation(schemas))
    described["security"] = security(operation)
    return {operation.method.lower(): described}


def _parameters(shape: type[Shape], schemas: Schemas) -> Iterable[JsonObject]:
    """Describe the members of a request that travel outside its body."""
    hints = typing.get_type_hints(shape, include_extras=True)
    for field in msgspec.structs.fields(shape):
        hint = hints[field.name]
        location = location_of(hint)
        if location is None:
            continue
        schema = schemas.member(hint, given=True)
        described = {"description": schema.pop("description", "")}
        if "$ref" in schema and not described["description"]:
            named = schemas.find(schema["$ref"])
            described = {"description": named["description"]}
        places = {InPath: "path", InHeader: "header"}
        yield {
            "name": location.name,
            "in": places.get(type(location), "query"),
            "required": field.required,
            **described,
            "schema": schema,
        }


def _target(names: list[str]) -> JsonObject:
    schema = {"const": names[0]} if len(names) == 1 else {"enum": names}
    return {
        "name": "X-Amz-Target",
        "in": "header",
        "required": True,
        "description": "The name of the operation.",
        "schema": {"type": "string", **schema},
    }


def _request_body(
    api: Api, operation: Operation, schemas: Schemas, codec: Codec
) -> JsonObject | None:
    fields = msgspec.structs.fields(operation.request)
    hints = typing.get_type_hints(operation.request, include_extras=True)
    inside = [each for each in fields if location_of(hints[each.name]) is None]
    if not inside:
        if api.protocol == "rest-json":
            return None
        return {"description": "Passed over.", "content": {_media_type(codec): {}}}
    return {
        "required": any(each.required for each in inside),
        "content": {
            _media_type(codec): {
                "schema": schemas.structure(operation.request, given=True)
            }
        },
    }


def _success(
    api: Api, operation: Operation, schemas: Schemas, codec: Codec
) -> JsonObject:
    response = operation.response
    answer: JsonObject = {"description": "Done; the body is empty."}
    if response is not None:
        answer["description"] = summary_of(response)
    answer["headers"] = _REQUEST_ID
    if operation.event_stream:
        assert response is not None
        schemas.structure(response, given=False)
        if api.protocol == "rest-json":
            kind = event_stream.CONTENT_TYPE.decode()
            words = f"Server-sent events; the data of each is a `{response.__name__}`."
        else:
            kind = event_frames.CONTENT_TYPE.decode()
            words = "Frames of an event stream of AWS, for five minutes."
        answer["description"] = words
        answer["content"] = {kind: {}}
    elif response is not None:
        schema = schemas.structure(response, given=False)
        answer["content"] = {_media_type(codec): {"schema": schema}}
    elif codec.empty:
        answer["content"] = {
            _media_type(codec): {"schema": {"type": "object", "maxProperties": 0}}
        }
    return answer


def _refused(errors: Refusals, schemas: Schemas, codec: Codec) -> JsonObject:
    """Describe what is answered to a request that is refused, by status."""
    by_status: dict[int, list[type[ServiceException]]] = {}
    for error in sorted({*errors}, key=lambda each: each.__name__):
        status, _, _ = encode_error(error(), codec)
        by_status.setdefault(status, []).append(error)
    return {
        str(status): _refusal(listed, schemas, codec)
        for status, listed in sorted(by_status.items())
    }


def _refusal(
    errors: Sequence[type[ServiceException]], schemas: Schemas, codec: Codec
) -> JsonObject:
    names = [each.__name__ for each in errors]
    references = [schemas.put(each.__name__, _error(each)) for each in errors]
    schema = references[0]
    if len(references) > 1:
        mapping = {name: SCHEMAS + name for name in names}
        discriminator = {"propertyName": "__type", "mapping": mapping}
        schema = {"oneOf": references, "discriminator": discriminator}
    kind = {"type": "string", "enum": names}
    headers = {
        "x-amzn-ErrorType": {"required": True, "schema": kind},
        "x-amzn-ErrorMessage": {"$ref": "#/components/headers/x-amzn-ErrorMessage"},
        **_REQUEST_ID,
    }
    return {
        "description": ", ".join(names),
        "headers": headers,
        "content": {_media_type(codec): {"schema": schema}},
    }


def _error(error: type[ServiceException]) -> JsonObject:
    return {
        "type": "object",
        "description": summary_of(error),
        "properties": {
            "__type": {"type": "string", "const": error.__name__},
            "message": {"type": "string"},
        },
        "required": ["__type", "message"],
    }


def _any_of_them(api: Api, items: Sequence[Mapping[str, Any]]) -> JsonObject:
    """Describe what all operations of an API have in common: one path and method."""
    operations = [item["post"] for item in items]
    kind = _media_type(codecs.JSON)
    bodies = [
        content["schema"]
        for each in operations
        if "schema" in (content := each["requestBody"]["content"][kind])
    ]
    targets = [f"{api.target_prefix}.{each.name}" for each in api.operations]
    answers = _merged([each["responses"] for each in operations])
    return {
        "operationId": api.target_prefix,
        "tags": [api.title],
        "summary": "Call the operation that X-Amz-Target names.",
        "parameters": [_target(targets)],
        "requestBody": {"content": {kind: {"schema": {"anyOf": bodies}}}},
        "responses": answers,
        "security": [{}, {"sigv4": []}, {"sigv4_query": []}],
    }


def _merged(answers: Sequence[JsonObject]) -> JsonObject:
    """Describe what several operations answer, by status."""
    merged: JsonObject = {}
    for status in sorted({status for each in answers for status in each}):
        those = [each[status] for each in answers if status in each]
        if status == "404":  # they all say the same
            merged[status] = those[0]
            continue
        schemas: dict[str, list[Any]] = {}
        for each in those:
            for kind, content in each.get("content", {}).items():
                schemas.setdefault(kind, []).append(content.get("schema"))
        content = {kind: _any_of(found) for kind, found in schemas.items()}
        names = _names(those)
        said = ", ".join(names) or "What the operation answers; it may be nothing."
        headers = dict(those[0]["headers"])
        if names:
            kinds = {"type": "string", "enum": names}
            headers["x-amzn-ErrorType"] = {"required": True, "schema": kinds}
        merged[status] = {"description": said, "headers": headers, "content": content}
    return merged


def _any_of(schemas: Sequence[Any]) -> JsonObject:
    flat = [
        option
        for schema in schemas
        if schema is not None
        for option in schema.get("oneOf", [schema])
    ]
    options = [each for at, each in enumerate(flat) if each not in flat[:at]]
    if not options:
        return {}
    return {"schema": options[0] if len(options) == 1 else {"anyOf": options}}


def _names(answers: Sequence[JsonObject]) -> list[str]:
    return sorted(
        {
            name
            for each in answers
            if "x-amzn-ErrorType" in each["headers"]
            for name in each["headers"]["x-amzn-ErrorType"]["schema"]["enum"]
        }
    )


def _media_type(codec: Codec) -> str:
    return codec.content_type[1].decode()
