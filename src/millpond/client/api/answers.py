"""
What a service answers: a result by its shape, or an error.

AWS: the JSON protocols of botocore/parsers.py; XML is read by `xml_answers`. Members
come in the order of the model, unknown ones and nulls are dropped; whole numbers and
booleans are converted, everything else is taken as it came, times too.
"""

from __future__ import annotations

import json

from millpond.client.api.faults import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any, Final

    from millpond.client.api.model import OperationModel, Shape
    from millpond.client.api.transport import Response

_ERROR_STATUS_MIN: Final = 300
_SERVER_ERROR_STATUS_MIN: Final = 500


class ServiceError:
    """An error that the service told us."""

    def __init__(self, code: str, message: str, status: int) -> None:
        self.code = code
        self.message = message
        self.status = status


def is_error(response: Response) -> bool:
    """Tell whether an answer is an error; a redirect is one too."""
    return response.status >= _ERROR_STATUS_MIN


def parse_result(
    response: Response, operation: OperationModel, read_time: Callable[[Any], Any]
) -> dict[str, Any]:
    """
    Read a result.

    Args:
        read_time: what to make of a time.
    """
    if operation.output is None:
        return {}
    if operation.service.protocol == "query":
        from millpond.client.api import xml_answers

        return xml_answers.parse_result(response.body, operation, read_time)
    body = _parse_body(response.body)
    try:
        parsed = _parse(body, operation.output, read_time)
    except (AttributeError, TypeError, ValueError) as error:
        raise Fault(str(error)) from None
    if parsed is None:
        raise Fault("The answer is null.")
    result: dict[str, Any] = parsed
    return result


def unpublished(response: Response, names: Collection[str]) -> dict[str, Any]:
    """Read members of a JSON result that no model has, as they are."""
    body = _parse_body(response.body) if names else {}
    return {name: body[name] for name in names if name in body}


def parse_error(response: Response, protocol: str) -> ServiceError:
    """Read an error, from wherever its code and its message stand."""
    if response.status == _ERROR_STATUS_MIN:
        # AWS: read as a result, and then found to be an error without a name.
        return ServiceError("Unknown", "Unknown", response.status)
    if not _says_nothing(response) and protocol == "query":
        from millpond.client.api import xml_answers

        code, message = xml_answers.parse_error(response.body)
        return ServiceError(code, message, response.status)
    if _says_nothing(response):
        from http.client import responses

        reason = responses.get(response.status, "")
        return ServiceError(str(response.status), reason, response.status)
    body = _parse_body(response.body)
    if not isinstance(body, dict):
        # Ours: the AWS CLI fails here with an internal error of its language.
        body = {"message": response.body.decode("utf-8", "replace")}
    message = body.get("message", body.get("Message", ""))
    return ServiceError(
        error_code(response.headers, body, response.status, protocol),
        str(message),
        response.status,
    )


def error_code(
    headers: Mapping[str, str], body: dict[str, Any], status: int, protocol: str
) -> str:
    """
    Find the code: in a header, in the body, else the status.

    AWS: rest-json looks into x-amzn-ErrorType, code and Code before __type.

    Args:
        headers: names in lower case, or in any case for a mapping that minds none.
    """
    if protocol == "rest-json":
        found = headers.get("x-amzn-errortype")
        if found is None:
            found = body.get("code", body.get("Code"))
        if found is not None:
            return _bare_code(found)
    found = body.get("__type", status)
    code = "" if found is None else _bare_code(found)
    query_error = headers.get("x-amzn-query-error", "").split(";")
    if len(query_error) == 2 and query_error[0]:
        return query_error[0]
    return code


def _bare_code(code: object) -> str:
    """Cut the namespace in front and the URL behind."""
    return str(code).split(":", 1)[0].rsplit("#", 1)[-1]


def _says_nothing(response: Response) -> bool:
    """Tell whether a server error has no body, or some proxy's page for one."""
    body = response.body.strip()
    return response.status >= _SERVER_ERROR_STATUS_MIN and (
        not body or body.startswith(b"<html>")
    )


def _parse_body(content: bytes) -> Any:
    """Read JSON; text that is none counts as a message."""
    if not content:
        return {}
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Fault(str(error)) from None
    try:
        return json.loads(text)
    except ValueError:
        return {"message": text}


def _parse(value: Any, shape: Shape, read_time: Callable[[Any], Any]) -> Any:
    if shape.type == "structure":
        if value is None:
            return None
        found = ((name, each, value.get(name)) for name, each in shape.members.items())
        return {
            name: _parse(raw, each, read_time)
            for name, each, raw in found
            if raw is not None
        }
    if shape.type == "list":
        return [
            None if each is None else _parse(each, shape.member, read_time)
            for each in value
        ]
    if shape.type == "map":
        return {
            name: _parse(each, shape.value, read_time) for name, each in value.items()
        }
    if shape.type == "timestamp":
        return read_time(value)
    if shape.is_integer:
        return int(value)
    if shape.type == "boolean":
        return value if isinstance(value, bool) else str(value).lower() == "true"
    return value
