"""
The AWS Query protocol: a form to a contract object, a contract object to XML.

A request is a form, in the body of a POST or in the query string of a GET: `Action` and
`Version` name the operation, the other parameters are its members. A member of a member
is reached with a dot, an item of a list with `.member.` and its number:

    Action=AssumeRoleWithWebIdentity&Version=2011-06-15&PolicyArns.member.1.arn=...

Rules:

1. It is a form, so a '+' is a space, in contrast to the query strings of `decoding`.
2. Unknown parameters are passed over. A parameter that is given twice is refused, for a
   signature says nothing about which of two is meant.
3. A NUL character is refused wherever it stands, as in `decoding`.
4. Errors have the names of the query services: one table, below, says which.

Source: the STS answers that clients have recorded; the names of the errors are those of
the STS model and of the errors that all query services share.
"""

from __future__ import annotations

import datetime
import functools
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import inspect as inspection

from millpond.contract.shapes import (
    Api,
    Member,
    Operation,
    Shape,
    members,
    strip,
)
from millpond.errors import (
    AccessDeniedException,
    ExpiredTokenException,
    ExternalServiceException,
    IncompleteSignatureException,
    InternalErrorException,
    InvalidIdentityTokenException,
    InvalidParameterException,
    InvalidSignatureException,
    MalformedPolicyDocumentException,
    MissingAuthenticationTokenException,
    NotAuthorizedException,
    RequestEntityTooLargeException,
    SerializationException,
    ServiceException,
    ServiceUnavailableException,
    TooManyRequestsException,
    UnknownOperationException,
    UnrecognizedClientException,
    ValidationException,
)
from millpond.wire.decoding import read_integer
from millpond.wire.validation import VALUE_CHARS_MAX, lower_first, refusal

FORM_BYTES_MAX: Final = 131_072  # a token of 20,000 characters, escaped, fits twice
PARAMETERS_MAX: Final = 256  # the largest request of ours has about 20

CONTENT_TYPE: Final = (b"content-type", b"text/xml")

# AWS: errors that are not of one operation are in this namespace (fog-aws#368,
# ex_aws#177: InvalidAction).
_FAULT_NAMESPACE: Final = "http://webservices.amazon.com/AWSFault/2005-15-09"

# Exception -> code and status. What is not listed keeps its name, without the ending.
CODES: Final[Mapping[type[ServiceException], tuple[str, int]]] = {
    AccessDeniedException: ("AccessDenied", 403),
    ExpiredTokenException: ("ExpiredToken", 403),
    ExternalServiceException: ("IDPCommunicationError", 400),
    IncompleteSignatureException: ("IncompleteSignature", 400),
    InternalErrorException: ("InternalFailure", 500),
    InvalidIdentityTokenException: ("InvalidIdentityToken", 400),
    InvalidParameterException: ("InvalidParameterValue", 400),
    InvalidSignatureException: ("SignatureDoesNotMatch", 403),
    MalformedPolicyDocumentException: ("MalformedPolicyDocument", 400),
    MissingAuthenticationTokenException: ("MissingAuthenticationToken", 403),
    NotAuthorizedException: ("AccessDenied", 403),
    RequestEntityTooLargeException: ("RequestEntityTooLarge", 413),
    SerializationException: ("MalformedInput", 400),
    ServiceUnavailableException: ("ServiceUnavailable", 503),
    TooManyRequestsException: ("Throttling", 400),
    UnknownOperationException: ("InvalidAction", 400),
    UnrecognizedClientException: ("InvalidClientTokenId", 403),
    ValidationException: ("ValidationError", 400),
}
# The same, where the operation itself lists the exception: what has expired is then the
# token in the request, not the one that it is signed with.
_CODES_LISTED: Final[Mapping[type[ServiceException], tuple[str, int]]] = {
    ExpiredTokenException: ("ExpiredTokenException", 400),  # AWS: STS model
}

_ITEM: Final = re.compile(r"\.member\.(?P<number>[1-9][0-9]{0,8})(?=\.|\Z)")
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class QueryRoute:
    """An operation with what it takes to decode a request of it."""

    def __init__(self, api: Api, operation: Operation) -> None:
        self.api: Final = api
        self.operation: Final = operation

    @functools.cached_property
    def decoder(self) -> QueryDecoder:
        """Decodes its requests; made for the first one, as most are never called."""
        return QueryDecoder(self.api, self.operation)


class QueryRouter:
    """Finds the operation that a form asks for."""

    def __init__(self, apis: Iterable[Api]) -> None:
        self._routes = {
            (operation.name, api.version): QueryRoute(api, operation)
            for api in apis
            if api.protocol == "query"
            for operation in api.operations
        }

    def by_action(self, action: str, version: str | None) -> QueryRoute:
        """
        Find the operation of an Action and a Version.

        Raises:
            UnknownOperationException: there is none of this name in this version.
        """
        route = self._routes.get((action, version or ""))
        if route is None:
            # AWS: these texts (fog-aws#368).
            named = "NO_VERSION_SPECIFIED" if version is None else _shown(version)
            raise UnknownOperationException(
                f"Could not find operation {_shown(action)} for version {named}"
            )
        return route


def read_form(raw: bytes) -> dict[str, str]:
    """
    Read a form, from a body or a query string.

    Raises:
        RequestEntityTooLargeException: it is longer than `FORM_BYTES_MAX`.
        SerializationException: a parameter is given twice, or there are too many.
        ValidationException: a NUL character stands in it.
    """
    if len(raw) > FORM_BYTES_MAX:
        raise RequestEntityTooLargeException(
            f"The form is larger than {FORM_BYTES_MAX} bytes."
        )
    pairs = [pair for pair in raw.split(b"&") if pair]
    if len(pairs) > PARAMETERS_MAX:
        raise SerializationException(
            f"The form has {len(pairs)} parameters; the limit is {PARAMETERS_MAX}."
        )
    form: dict[str, str] = {}
    for pair in pairs:
        raw_name, _, raw_value = pair.partition(b"=")
        name, value = _unescape(raw_name), _unescape(raw_value)
        if name in form:
            # Ours: AWS takes the first one.
            raise SerializationException(
                f"Parameter '{_shown(name)}' is given more than once."
            )
        if "\0" in name or "\0" in value:
            raise ValidationException(
                f"1 validation error detected: Value at '{lower_first(_shown(name))}' "
                "failed to satisfy constraint: Member must not contain a NUL character"
            )
        form[name] = value
    return form


def _unescape(raw: bytes) -> str:
    """Decode %XX and '+'. Bytes that are not UTF-8 become U+FFFD."""
    return unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8", "replace")


def _shown(text: str) -> str:
    """Shorten a text of the caller's that a message repeats."""
    return text[:VALUE_CHARS_MAX].replace("\0", "\\0")


class QueryDecoder:
    """Decodes requests of one operation."""

    def __init__(self, api: Api, operation: Operation) -> None:
        self._api = api
        self._shape = operation.request

    def decode(self, form: Mapping[str, str]) -> Shape:
        """
        Decode a request.

        Args:
            form: what `read_form` read; `Action` and `Version` may be in it.
        Raises:
            SerializationException: a parameter has the wrong form.
            ServiceException: of the API's own kind, when a constraint is broken.
        """
        given = _read_structure(self._shape, form, "")
        try:
            return msgspec.convert(given, self._shape)
        except msgspec.ValidationError as error:
            raise refusal(self._api, self._shape, given, str(error)) from None


def _read_structure(
    shape: type[msgspec.Struct], form: Mapping[str, str], prefix: str
) -> dict[str, Any]:
    given = {
        member.name: _read_value(member.type, form, f"{prefix}{member.name}")
        for member in members(shape)
    }
    return {name: value for name, value in given.items() if value is not None}


def _read_value(kind: inspection.Type, form: Mapping[str, str], name: str) -> Any:
    """Read a value and all that is in it; None when there is nothing of it."""
    match kind:
        case inspection.StrType() | inspection.LiteralType():
            return form.get(name)
        case inspection.IntType():
            return read_integer(form[name], name) if name in form else None
        case inspection.ListType():
            return _read_list(strip(kind.item_type)[0], form, name)
        case inspection.StructType(cls=shape):
            return _read_structure(shape, form, f"{name}.") or None
    raise AssertionError(f"{name}: the query protocol does not carry this type")


def _read_list(
    item: inspection.Type, form: Mapping[str, str], name: str
) -> list[Any] | None:
    """Read the items of a list, in the order of their numbers."""
    numbers = set()
    for each in form:
        if not each.startswith(f"{name}."):
            continue
        found = _ITEM.match(each, len(name))
        if found is None:
            # It is not unknown: to pass over it would change the list.
            raise SerializationException(
                f"Parameter '{_shown(each)}' must be named '{name}.member.NUMBER', "
                "with numbers from 1 on."
            )
        numbers.add(int(found["number"]))
    if name in form and (form[name] or numbers):
        raise SerializationException(f"Parameter '{name}' must be a list.")
    if not numbers:
        # AWS: a list without items is sent as the bare name (botocore).
        return [] if name in form else None
    items = (_read_value(item, form, f"{name}.member.{n}") for n in sorted(numbers))
    return [{} if each is None else each for each in items]


def encode_response(
    api: Api, operation: Operation, response: Shape | None, request_id: str
) -> bytes:
    """Encode an answer."""
    name = operation.name
    result = ""
    if response is not None:
        result = _element(f"{name}Result", _structure(response))
    metadata = _element("ResponseMetadata", _text_element("RequestId", request_id))
    inside = f"{result}{metadata}"
    return (
        f'<{name}Response xmlns="{api.xml_namespace}">{inside}</{name}Response>'
    ).encode()


def encode_error(
    error: ServiceException, request_id: str, route: QueryRoute | None = None
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """
    Encode an error.

    Args:
        route: what the request asked for, when that is known.
    Returns:
        Status, headers with the content type, and the body.
    """
    code, status = error_code(type(error), route.operation if route else None)
    namespace = route.api.xml_namespace if route else _FAULT_NAMESPACE
    described = (
        _text_element("Type", "Sender" if status < 500 else "Receiver"),
        _text_element("Code", code),
        _text_element("Message", error.message),
    )
    inside = (
        _element("Error", "".join(described)),
        _text_element("RequestId", request_id),
    )
    body = f'<ErrorResponse xmlns="{namespace}">{"".join(inside)}</ErrorResponse>'
    return status, [CONTENT_TYPE], body.encode()


def error_code(
    kind: type[ServiceException], operation: Operation | None
) -> tuple[str, int]:
    """Say under which code and status an exception of an operation travels."""
    if operation is not None and kind in operation.errors and kind in _CODES_LISTED:
        return _CODES_LISTED[kind]
    return CODES.get(kind, (kind.__name__.removesuffix("Exception"), kind.http_status))


def _structure(value: msgspec.Struct) -> str:
    return "".join(_member(member, value) for member in members(type(value)))


def _member(member: Member, owner: msgspec.Struct) -> str:
    value = getattr(owner, member.attribute)
    return "" if value is None else _element(member.name, _value(member.type, value))


def _value(kind: inspection.Type, value: Any) -> str:
    match kind:
        case inspection.StructType():
            return _structure(value)
        case inspection.ListType():
            item, _ = strip(kind.item_type)
            return "".join(_element("member", _value(item, each)) for each in value)
        case inspection.FloatType():
            return _time(value)
        case inspection.BoolType():
            return "true" if value else "false"
    return _escape(str(value))


def _time(epoch_s: float) -> str:
    """Write a time as AWS does: ISO 8601, UTC, whole seconds."""
    # Rounded down, so that nothing seems to last longer than it does.
    moment = datetime.datetime.fromtimestamp(math.floor(epoch_s), datetime.UTC)
    return moment.isoformat().replace("+00:00", "Z")


def _text_element(name: str, text: str) -> str:
    return _element(name, _escape(text))


def _element(name: str, inside: str) -> str:
    return f"<{name}>{inside}</{name}>"


def _escape(text: str) -> str:
    """Make a text fit to stand in XML; what XML cannot hold becomes U+FFFD."""
    text = _NOT_XML.sub("\ufffd", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("\r", "&#13;")  # a bare one would be read as a newline
