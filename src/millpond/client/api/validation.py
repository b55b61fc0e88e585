"""
Checks the input before anything is sent, and lists every fault it finds.

AWS: only what is missing or unknown, types, and least lengths and values; greatest
lengths, patterns and enums are left to the service (botocore/validate.py). The texts
name Python's types, as those of the AWS CLI do.
"""

from __future__ import annotations

from millpond.client.api.faults import InputFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from millpond.client.api.model import Shape

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list, tuple),
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (float, int),
    "double": (float, int),
    "boolean": (bool,),
    "blob": (bytes, bytearray, str),
}


def check(parameters: dict[str, Any], shape: Shape) -> None:
    """
    Check the input of an operation.

    Raises:
        InputFault: what is wrong with it, one line for each fault.
    """
    faults: list[str] = []
    _check(parameters, shape, "", faults)
    if faults:
        raise InputFault("\n".join(["Parameter validation failed:", *faults]))


def _check(value: Any, shape: Shape, path: str, faults: list[str]) -> None:
    if shape.type == "timestamp":
        _check_time(value, path, faults)
        return
    matches: bool = isinstance(value, _TYPES[shape.type])
    if not matches:
        valid = [str(each) for each in _TYPES[shape.type]]
        faults.append(_wrong_type(value, path, valid))
    elif shape.type == "structure":
        _check_structure(value, shape, path, faults)
    elif shape.type == "list":
        _check_least("length", len(value), shape, path, faults)
        for index, each in enumerate(value):
            _check(each, shape.member, f"{path}[{index}]", faults)
    elif shape.type == "map":
        for name, each in value.items():
            _check(name, shape.key, f"{path} (key: {name})", faults)
            _check(each, shape.value, f"{path}.{name}", faults)
    elif shape.type == "string":
        _check_least("length", len(value), shape, path, faults)
    elif shape.type not in ("boolean", "blob"):
        _check_least("value", value, shape, path, faults)


def _check_structure(
    value: dict[str, Any], shape: Shape, path: str, faults: list[str]
) -> None:
    where = _shown(path)
    for name in shape.required:
        if name not in value:
            faults.append(f'Missing required parameter in {where}: "{name}"')
    for name in value:
        if name not in shape.members:
            faults.append(
                f'Unknown parameter in {where}: "{name}", '
                f"must be one of: {', '.join(shape.members)}"
            )
    for name, each in value.items():
        if name in shape.members:
            _check(each, shape.members[name], f"{path}.{name}", faults)


def _check_time(value: Any, path: str, faults: list[str]) -> None:
    from millpond.client.api import times

    try:
        times.parse(value)
    except (ValueError, TypeError, AttributeError, OverflowError):
        valid = ["<class 'datetime.datetime'>", "timestamp-string"]
        faults.append(_wrong_type(value, path, valid))


def _check_least(
    what: str, value: Any, shape: Shape, path: str, faults: list[str]
) -> None:
    if shape.min is not None and value < shape.min:
        least = "min length" if what == "length" else "min value"
        faults.append(
            f"Invalid {what} for parameter {_shown(path)}, value: {value}, "
            f"valid {least}: {shape.min}"
        )


def _wrong_type(value: Any, path: str, valid: list[str]) -> str:
    return (
        f"Invalid type for parameter {_shown(path)}, value: {value}, "
        f"type: {type(value)}, valid types: {', '.join(valid)}"
    )


def _shown(path: str) -> str:
    return path.removeprefix(".") or "input"
