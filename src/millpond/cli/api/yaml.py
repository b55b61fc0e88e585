"""
YAML: results, inputs, and skeletons of inputs.

The library is the one of AWS CLI 2, because two libraries differ in what they quote and
where they break a line. It takes as long to load as a whole command does otherwise, so
it is loaded where YAML is asked for.

AWS: of version 2, awscli/formatter.py, customizations/cliinput.py and
generatecliskeleton.py.
"""

from __future__ import annotations

import io
import json

from millpond.cli.api import formatting, skeleton
from millpond.client.api.faults import Fault
from millpond.client.api.model import first_sentence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from millpond.client.api.model import Shape


def dump(result: Any, *, as_item: bool = False) -> str:
    """
    Write a result.

    Args:
        as_item: as the one item of a list, so that what follows makes the list longer.
    """
    if result == {}:
        return ""
    if as_item:
        result = [result]
    elif not isinstance(result, (dict, list)):
        # AWS: a scalar alone is written as JSON; YAML would put '...' behind it.
        text = json.dumps(result, ensure_ascii=False, default=formatting.encode)
        return f"{text}\n"
    library = _load()
    from ruamel.yaml.representer import RepresenterError

    writer = library.YAML(typ="safe")
    writer.default_flow_style = False
    written = io.StringIO()
    try:
        writer.dump(result, written)
    except RepresenterError as error:
        raise Fault(str(error)) from None
    return written.getvalue()


def parse(text: str | bytes) -> Any:
    """
    Read the input of an operation.

    Raises:
        ValueError: it is no YAML.
    """
    library = _load()
    from ruamel.yaml.error import YAMLError

    try:
        return library.YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise ValueError(str(error)) from None


def skeleton_of(shape: Shape) -> str:
    """Write the skeleton of an input, with what each member is behind it."""
    library = _load()
    writer = library.YAML()
    writer.representer.add_representer(_Bytes, _represent_bytes)
    written = io.StringIO()
    value = skeleton.of_input(shape, skeleton.first_of)
    writer.dump(_commented(value, shape, writer), written)
    return written.getvalue()


def _commented(value: Any, shape: Shape, writer: Any) -> Any:
    """Put a comment behind each member of a structure, however deep it is."""
    if shape.type == "list":
        return [_commented(each, shape.member, writer) for each in value]
    if shape.type == "map":
        return {
            name: _commented(each, shape.value, writer) for name, each in value.items()
        }
    if shape.type == "blob":
        return _Bytes()
    if shape.type != "structure":
        return value
    commented = writer.map()
    for name, each in value.items():
        member = shape.members[name]
        commented[name] = _commented(each, member, writer)
        comment = _comment(member, required=name in shape.required)
        if comment:
            commented.yaml_add_eol_comment(f"# {comment}", name)
    return commented


class _Bytes:
    """No bytes, in a place where some belong."""


def _represent_bytes(representer: Any, _: _Bytes) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:binary", "")


def _comment(shape: Shape, *, required: bool) -> str:
    """AWS: whether it is required, its first sentence, what it may be."""
    parts = ["[REQUIRED]"] if required else []
    if shape.documentation:
        parts.append(f"{first_sentence(shape.documentation)}.")
    if shape.enum:
        parts.append(f"Valid values are: {', '.join(shape.enum)}.")
    return " ".join(parts)


def _load() -> Any:
    try:
        import ruamel.yaml
    except ImportError:
        raise Fault(
            "YAML needs the package ruamel.yaml, which belongs to millpond and is "
            "missing here: pip install 'ruamel.yaml>=0.17.21'"
        ) from None
    return ruamel.yaml
