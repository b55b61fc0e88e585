"""
From words on the command line to the input of an operation.

Each option is first looked up where it refers to a file, then read by the type of its
member: text as it is, numbers, JSON, or shorthand. Last, the members of
`--cli-input-json` or `--cli-input-yaml` fill in what no option gave.

AWS: awscli/argprocess.py, awscli/customizations/cliinputjson.py; of version 2,
cliinput.py there.
"""

from __future__ import annotations

import json

from millpond.cli.api import paramfile
from millpond.cli.api.arguments import INPUT_JSON, INPUT_YAML, attribute
from millpond.client.api.faults import Fault, InputFault
from millpond.client.api.model import command_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from millpond.client.api.model import OperationModel, Shape
    from millpond.client.api.ways import Ways


class ParameterFault(InputFault):
    """The value of an option cannot be read."""

    def __init__(self, option: str, message: object) -> None:
        super().__init__(f"Error parsing parameter '{option}': {message}")


def build(
    options: Namespace, operation: OperationModel, *, follow_urls: bool
) -> dict[str, Any]:
    """
    Read the options of an operation.

    Args:
        follow_urls: fetch a value that is a URL.
    Returns:
        The members given, by their names in the model and in its order.
    """
    parameters: dict[str, Any] = {}
    for name, shape in operation.input.members.items():
        option = command_name(name)
        raw = getattr(options, attribute(option))
        if raw is not None:
            value = _dereference(f"--{option}", raw, follow_urls=follow_urls)
            parameters[name] = _read(f"--{option}", value, shape)
    for name in (INPUT_JSON, INPUT_YAML):
        given = getattr(options, attribute(name))
        if given is not None:
            # AWS: looked up here, in its turn among the options, and once more when it
            # is used; what a URL answers is then not used at all.
            _dereference(f"--{name}", given, follow_urls=follow_urls)
    return parameters


def merge_input(options: Namespace, parameters: dict[str, Any], ways: Ways) -> None:
    """Add the members of `--cli-input-json` or `--cli-input-yaml` not given so far."""
    given = {
        name: value
        for name in (INPUT_JSON, INPUT_YAML)
        if (value := getattr(options, attribute(name))) is not None
    }
    if not given:
        return
    if len(given) > 1:
        raise InputFault("Only one --cli-input- parameter may be specified.")
    ((name, value),) = given.items()
    text = paramfile.load(value)
    if text is None:
        text = value
    members = _parse_input(name, text, ways)
    if not isinstance(members, dict):
        raise _no_object(name, text, members, ways)
    for member, each in members.items():
        parameters.setdefault(member, each)


def _parse_input(name: str, text: str | bytes, ways: Ways) -> Any:
    if name == INPUT_YAML:
        from millpond.cli.api import yaml

        try:
            return yaml.parse(text)
        except ValueError:
            raise ParameterFault(name, "Invalid YAML received.") from None
    try:
        return json.loads(text)
    except ValueError as error:
        told = f"Invalid JSON: {error}\nJSON received: {_plain(text)}"
        if ways.version == 2:
            told = "Invalid JSON received."
        raise ParameterFault(name, told) from None


def _no_object(name: str, text: str | bytes, parsed: Any, ways: Ways) -> ParameterFault:
    if ways.version == 2 or name == INPUT_YAML:
        return ParameterFault(
            f"--{name}", f"Invalid type: expecting map, received {type(parsed)}"
        )
    # Ours: the AWS CLI fails here with an internal error of its language.
    return ParameterFault(
        name, f"Invalid JSON: not an object\nJSON received: {_plain(text)}"
    )


def _dereference(option: str, raw: Any, *, follow_urls: bool) -> Any:
    single = raw[0] if isinstance(raw, list) and len(raw) == 1 else raw
    try:
        found = paramfile.load(single, follow_urls=follow_urls)
    except paramfile.ParamFileFault as fault:
        raise ParameterFault(option, fault) from None
    return raw if found is None else found


def _read(option: str, value: Any, shape: Shape) -> Any:
    if _takes_shorthand(shape) and not _looks_like_json(value):
        return _read_shorthand(option, value, shape)
    if shape.type == "list":
        return _read_list(option, value, shape)
    if shape.is_container:
        return _read_object(option, value)
    return _read_scalar(value, shape)


def _takes_shorthand(shape: Shape) -> bool:
    """Structures, maps and lists of those; a list of words needs no syntax."""
    if shape.type == "list":
        return shape.member.is_container
    return shape.is_container


def _looks_like_json(value: Any) -> bool:
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, str) and first.strip().startswith(("[", "{"))


def _read_shorthand(option: str, value: Any, shape: Shape) -> Any:
    from millpond.cli.api import shorthand  # its patterns take long to compile

    try:
        if isinstance(value, list):
            return shorthand.fit([shorthand.parse(each) for each in value], shape)
        # AWS: text out of a file is one expression; where a list is wanted, it stays
        # a structure, and validation says so.
        parsed = shorthand.parse(_plain(value))
        return parsed if shape.type == "list" else shorthand.fit(parsed, shape)
    except shorthand.ShorthandFault as fault:
        raise ParameterFault(option, fault) from None


def _read_list(option: str, value: Any, shape: Shape) -> Any:
    words = value if isinstance(value, list) else [_plain(value)]
    if len(words) == 1 and words[0].lstrip().startswith("["):
        return _parse_json(option, words[0])
    if shape.member.is_container:
        # AWS: when the first word is JSON, all of them are.
        return [_read_object(option, each) for each in words]
    return [_read(option, each, shape.member) for each in words]


def _read_object(option: str, value: Any) -> Any:
    text = _plain(value)
    if text.lstrip().startswith("{"):
        return _parse_json(option, text)
    raise ParameterFault(option, f"Invalid JSON:\n{text}")


def _read_scalar(value: Any, shape: Shape) -> Any:
    try:
        if shape.is_integer:
            return int(value)
        if shape.type in ("float", "double"):
            return float(value)
    except ValueError as error:
        raise Fault(str(error)) from None  # AWS: without the name of the option
    return value


def _parse_json(option: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ParameterFault(
            option, f"Invalid JSON: {error}\nJSON received: {text}"
        ) from None


def _plain(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
