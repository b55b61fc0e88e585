"""
An API of ours, written as a model that botocore can load.

Rule: pure. An `Api` goes in, a dictionary in the "service-2" form comes out; nothing is
read or written. Two readers depend on it: botocore, so that existing tools know the API
without knowing us, and our own command line, which is generated from the same model.

What differs from the contract, on purpose:

1. Only input shapes list what is required. The contract also says which members an
   answer always has; the published model does not, and clients must not insist.
2. The bounds that every integer type has anyway are left out, because botocore would
   check them on the client's side.
3. Times have a type of their own here.
"""

from __future__ import annotations

import html
import typing
from typing import Any, Final

import msgspec
from msgspec import Meta

from millpond import limits
from millpond.contract.shapes import (
    Api,
    Callers,
    EventStream,
    InHeader,
    InPath,
    InQuery,
    Operation,
    Shape,
    published_pattern,
    summary_of,
    unwrap,
)
from millpond.errors import ServiceException

_INT_BITS_MAX: Final = 2**31 - 1
_NATURAL_BOUNDS: Final = {-(2**31), _INT_BITS_MAX, limits.LONG_MIN, limits.LONG_MAX}
_LOCATIONS: Final = {InPath: "uri", InQuery: "querystring", InHeader: "header"}
_SCALARS: Final = {str: "string", bool: "boolean", float: "timestamp", bytes: "blob"}
_VENDORS: Final = ("Amazon ", "AWS ")


def service_model(api: Api) -> dict[str, Any]:
    """Describe an API in the form that `botocore.model.ServiceModel` takes."""
    shapes: dict[str, Any] = {}
    operations = {each.name: _operation(api, each, shapes) for each in api.operations}
    return {
        "version": "2.0",
        "metadata": _metadata(api),
        "operations": operations,
        "shapes": dict(sorted(shapes.items())),
        "documentation": _paragraphs(f"{api.title}, version {api.version}."),
    }


def service_id(api: Api) -> str:
    """Give what SDKs call an API: `Cognito Sync`."""
    name = api.title
    for vendor in _VENDORS:
        name = name.removeprefix(vendor)
    return api.service_id or name


def _metadata(api: Api) -> dict[str, Any]:
    metadata = {
        "apiVersion": api.version,
        "endpointPrefix": api.name,
        "jsonVersion": "1.1",
        "protocol": api.protocol,
        "protocols": [api.protocol],
        "serviceFullName": api.title,
        "serviceId": service_id(api),
        "signatureVersion": "v4",
        "uid": f"{api.name}-{api.version}",
        "auth": ["aws.auth#sigv4"],
    }
    if api.target_prefix:
        metadata["targetPrefix"] = api.target_prefix
    if api.protocol == "query":
        metadata["xmlNamespace"] = api.xml_namespace
    return metadata


def _operation(
    api: Api, operation: Operation, shapes: dict[str, Any]
) -> dict[str, Any]:
    http: dict[str, Any] = {"method": operation.method, "requestUri": operation.uri}
    if api.protocol == "rest-json":
        http["responseCode"] = 200
    described: dict[str, Any] = {
        "name": operation.name,
        "http": http,
        "input": {"shape": _structure(operation.request, shapes, given=True)},
    }
    if operation.response is not None:
        described["output"] = {
            "shape": _structure(operation.response, shapes, given=False)
        }
        if api.protocol == "query":
            described["output"]["resultWrapper"] = f"{operation.name}Result"
    described["errors"] = [{"shape": _error(e, shapes)} for e in operation.errors]
    if operation.callers is Callers.ANYONE:
        described["authtype"] = "none"
        described["auth"] = ["smithy.api#noAuth"]
    preposition = "by" if operation.callers is Callers.ANYONE else "with"
    described["documentation"] = _paragraphs(
        f"{operation.description}\n\n"
        f"May be called {preposition} {operation.callers.value}."
    )
    return described


def _structure(shape: type[Shape], shapes: dict[str, Any], *, given: bool) -> str:
    """Add a structure and all it is made of; `given` says that a caller fills it in."""
    name = shape.__name__
    known = shapes.get(name)
    if known is not None and (not given or "required" in known):
        return name
    described: dict[str, Any] = {"type": "structure"}
    shapes[name] = described  # before the members, which may come back to it
    hints = typing.get_type_hints(shape, include_extras=True)
    fields = msgspec.structs.fields(shape)
    required = [field.encode_name for field in fields if field.required]
    if given and required:
        described["required"] = required
    described["members"] = {
        field.encode_name: _member(hints[field.name], shapes, given=given)
        for field in fields
    }
    if issubclass(shape, EventStream):
        described["eventstream"] = True
        for member in described["members"].values():
            shapes[member["shape"]]["event"] = True
    described["documentation"] = _paragraphs(summary_of(shape))
    return name


def _member(hint: Any, shapes: dict[str, Any], *, given: bool) -> dict[str, Any]:
    """Describe a reference to a shape: which one, where it travels, what it means."""
    _, notes = unwrap(hint)
    member: dict[str, Any] = {"shape": _shape(hint, shapes, given=given)}
    for note in notes:
        if type(note) in _LOCATIONS:
            member["location"] = _LOCATIONS[type(note)]
            member["locationName"] = note.name
        elif isinstance(note, Meta) and note.title is None and note.description:
            member["documentation"] = _paragraphs(note.description)
    return member


def _shape(hint: Any, shapes: dict[str, Any], *, given: bool) -> str:
    """Add the shape that a type stands for, and give back its name."""
    core, notes = unwrap(hint)
    if isinstance(core, type) and issubclass(core, Shape):
        return _structure(core, shapes, given=given)
    meta = next(n for n in notes if isinstance(n, Meta) and n.title is not None)
    assert meta.title is not None
    described = _described(core, meta, shapes, given=given)
    if meta.description:
        described["documentation"] = _paragraphs(meta.description)
    shapes[meta.title] = described
    return meta.title


def _described(
    core: Any, meta: Meta, shapes: dict[str, Any], *, given: bool
) -> dict[str, Any]:
    origin, arguments = typing.get_origin(core), typing.get_args(core)
    if origin is typing.Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is list:
        item = {"shape": _shape(arguments[0], shapes, given=given)}
        return {"type": "list", "member": item, **_lengths(meta)}
    if origin is dict:
        key, value = (_shape(each, shapes, given=given) for each in arguments)
        parts = {"key": {"shape": key}, "value": {"shape": value}}
        return {"type": "map", **parts, **_lengths(meta)}
    if core is int:
        assert isinstance(meta.le, int)
        wide = (meta.extra_json_schema or {}).get("format") == "int64"
        kind = "long" if wide or meta.le > _INT_BITS_MAX else "integer"
        bounds = {"max": meta.le, "min": meta.ge}
        return {
            "type": kind,
            **{k: v for k, v in bounds.items() if v not in _NATURAL_BOUNDS},
        }
    kind = "double" if meta.title == "Double" else _SCALARS[core]
    described = {"type": kind, **_lengths(meta)}
    if meta.pattern is not None:
        described["pattern"] = published_pattern(meta.pattern)
    return described


def _lengths(meta: Meta) -> dict[str, Any]:
    lengths = {"max": meta.max_length, "min": meta.min_length}
    return {name: value for name, value in lengths.items() if value is not None}


def _error(error: type[ServiceException], shapes: dict[str, Any]) -> str:
    shapes["ExceptionMessage"] = {"type": "string"}
    described: dict[str, Any] = {
        "type": "structure",
        "required": ["message"],
        "members": {"message": {"shape": "ExceptionMessage"}},
        "error": {"httpStatusCode": error.http_status},
        "exception": True,
        "documentation": _paragraphs(summary_of(error)),
    }
    if error.http_status >= 500:
        described["fault"] = True
    shapes[error.__name__] = described
    return error.__name__


def _paragraphs(text: str) -> str:
    """Write plain paragraphs as the HTML that models carry."""
    parts = (" ".join(part.split()) for part in text.split("\n\n"))
    return "".join(f"<p>{html.escape(part, quote=False)}</p>" for part in parts)
