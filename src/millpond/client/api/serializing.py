"""
From the input of an operation to the parts of a request: path, query, headers, body.

AWS: the protocols rest-json, AWS JSON 1.1 and AWS Query, as botocore/serialize.py
speaks them.
"""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode

from millpond.client.api.ways import V1

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from millpond.client.api.model import OperationModel, Shape
    from millpond.client.api.ways import Ways

_UNTOUCHED: Final = "-._~"


class Parts:
    """A request before it has a host."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.query: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        self.body = b""


def serialize(
    operation: OperationModel, parameters: dict[str, Any], ways: Ways = V1
) -> Parts:
    """Write the input of an operation in the protocol of its API."""
    if operation.service.protocol == "json":
        return _serialize_json(operation, parameters)
    if operation.service.protocol == "query":
        return _serialize_query(operation, parameters)
    return _serialize_rest(operation, parameters, ways)


def percent_encode(value: Any) -> str:
    """Encode everything but letters, digits, '-', '.', '_' and '~'."""
    return quote(str(value).encode("utf-8", "surrogateescape"), safe=_UNTOUCHED)


def _serialize_json(operation: OperationModel, parameters: dict[str, Any]) -> Parts:
    metadata = operation.service.metadata
    parts = Parts(operation.uri)
    parts.headers["X-Amz-Target"] = f"{metadata['targetPrefix']}.{operation.name}"
    parts.headers["Content-Type"] = f"application/x-amz-json-{metadata['jsonVersion']}"
    parts.body = json.dumps(_convert(parameters, operation.input)).encode()
    return parts


def _serialize_query(operation: OperationModel, parameters: dict[str, Any]) -> Parts:
    parts = Parts(operation.uri)
    parts.headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
    form = {
        "Action": operation.name,
        "Version": operation.service.metadata["apiVersion"],
    }
    _fill_form(form, "", parameters, operation.input)
    parts.body = urlencode(form).encode()
    return parts


def _fill_form(form: dict[str, str], name: str, value: Any, shape: Shape) -> None:
    """Write a value under its name, and what is in it under names that begin so."""
    if shape.type == "structure" and isinstance(value, dict):
        for member, each in value.items():
            if member in shape.members:
                inside = f"{name}.{member}" if name else member
                _fill_form(form, inside, each, shape.members[member])
    elif shape.type == "list" and isinstance(value, list):
        if not value:
            form[name] = ""
        for number, each in enumerate(value, 1):
            _fill_form(form, f"{name}.member.{number}", each, shape.member)
    elif shape.type == "boolean":
        form[name] = str(value).lower()
    elif shape.type == "timestamp":
        from millpond.client.api import times

        form[name] = times.utc(value)
    else:
        form[name] = str(_convert(value, shape))


def _serialize_rest(
    operation: OperationModel, parameters: dict[str, Any], ways: Ways
) -> Parts:
    members = operation.input.members
    labels: dict[str, str] = {}
    body: dict[str, Any] = {}
    parts = Parts("")
    for name, value in parameters.items():
        shape = members.get(name)
        if shape is None or value is None:  # without validation they come this far
            continue
        place = shape.location_name or name
        if shape.location == "uri":
            labels[place] = percent_encode(_in_address(value, shape, ways))
        elif shape.location == "querystring":
            parts.query[place] = _in_address(value, shape, ways)
        elif shape.location == "header":
            parts.headers[place] = str(value)
        else:
            body[name] = _convert(value, shape)
    parts.path = operation.uri
    for shape in members.values():
        if shape.location == "uri":
            label = shape.location_name or ""
            parts.path = parts.path.replace(f"{{{label}}}", labels.get(label, ""))
    if any(shape.location is None for shape in members.values()):
        parts.body = json.dumps(body).encode()
        parts.headers["Content-Type"] = "application/json"
    return parts


def _in_address(value: Any, shape: Shape, ways: Ways) -> str:
    # AWS: version 1 looks at the shape, version 2 at the value; true passes for 1.
    if shape.type == "boolean" or (ways.version == 2 and isinstance(value, bool)):
        return str(value).lower()
    return str(value)


def _convert(value: Any, shape: Shape) -> Any:
    """Make a value fit for JSON; what does not fit its shape stays as it is."""
    if shape.type == "structure" and isinstance(value, dict):
        return {
            name: _convert(each, shape.members[name])
            for name, each in value.items()
            if name in shape.members
        }
    if shape.type == "map" and isinstance(value, dict):
        return {name: _convert(each, shape.value) for name, each in value.items()}
    if shape.type == "list" and isinstance(value, list):
        return [_convert(each, shape.member) for each in value]
    if shape.type == "timestamp":
        from millpond.client.api import times

        return times.to_json(value)
    if shape.type == "blob":
        from base64 import b64encode

        return b64encode(value.encode() if isinstance(value, str) else value).decode()
    return value
