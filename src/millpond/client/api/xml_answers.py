"""
What a service of the AWS Query protocol answers: XML, as the values of a shape.

AWS: `QueryParser` of botocore/parsers.py. Members come in the order of the model, and
those that are not there are left out; a list has an element `member` for each item, a
map an element `entry`. Names are taken without their namespaces.
"""

from __future__ import annotations

from millpond.client.api.faults import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final
    from xml.etree.ElementTree import Element

    from millpond.client.api.model import OperationModel, Shape

_UNKNOWN: Final = "Unknown"


def parse_result(
    body: bytes, operation: OperationModel, read_time: Callable[[Any], Any]
) -> dict[str, Any]:
    """Read a result; `{}` when there is none in the answer."""
    root = _parse(body)
    wrapper = _child(root, f"{operation.name}Result")
    if wrapper is None or operation.output is None:
        return {}
    result: dict[str, Any] = _value(wrapper, operation.output, read_time)
    return result


def parse_error(body: bytes) -> tuple[str, str]:
    """Read the code and the message of an error; what is not there is "Unknown"."""
    error = _child(_parse(body), "Error")
    if error is None:
        return _UNKNOWN, _UNKNOWN
    code, message = (_child(error, name) for name in ("Code", "Message"))
    return (
        _UNKNOWN if code is None else _text(code),
        _UNKNOWN if message is None else _text(message),
    )


def _parse(body: bytes) -> Element:
    from xml.etree import ElementTree

    try:
        return ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise Fault(
            f"Unable to parse response ({error}), invalid XML received. Further "
            f"retries may succeed:\n{body!r}"
        ) from None


def _value(element: Element, shape: Shape, read_time: Callable[[Any], Any]) -> Any:
    if shape.type == "structure":
        return {
            name: _value(inside, each, read_time)
            for name, each in shape.members.items()
            if (inside := _child(element, name)) is not None
        }
    if shape.type == "list":
        return [_value(each, shape.member, read_time) for each in element]
    if shape.type == "map":
        return {
            _text(_child(each, "key")): _value(inside, shape.value, read_time)
            for each in element
            if (inside := _child(each, "value")) is not None
        }
    text = _text(element)
    if shape.type == "timestamp":
        return read_time(text)
    if shape.type == "boolean":
        return text == "true"
    if shape.is_integer:
        return int(text)
    if shape.type in ("float", "double"):
        return float(text)
    return text


def _child(element: Element, name: str) -> Element | None:
    return next((each for each in element if _name(each) == name), None)


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: Element | None) -> str:
    return "" if element is None else element.text or ""
