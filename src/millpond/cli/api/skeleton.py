"""
`--generate-cli-skeleton`: the input to be filled in, or a sample of the answer.

AWS: `ArgumentGenerator` of botocore/utils.py. A string is empty in an input and named
after its member in an answer; a number is 0, a boolean true, a time the epoch; a list
has one element, a map one key, "KeyName".
"""

from __future__ import annotations

import random

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from millpond.cli.api.model import Shape


def of_input(shape: Shape) -> Any:
    """Make the skeleton of an input."""
    return _generate(shape, name=None)


def of_output(shape: Shape | None) -> Any:
    """Make the sample of an answer."""
    return {} if shape is None else _generate(shape, name="")


def _generate(shape: Shape, *, name: str | None) -> Any:
    """`name` is what a string is called; `None` leaves strings empty."""
    naming = name is not None
    if shape.type == "structure":
        return {
            member: _generate(each, name=member if naming else None)
            for member, each in shape.members.items()
        }
    if shape.type == "list":
        return [_generate(shape.member, name=shape.member.name if naming else None)]
    if shape.type == "map":
        return {"KeyName": _generate(shape.value, name="" if naming else None)}
    if shape.type == "string":
        if naming:
            return name
        return random.choice(shape.enum) if shape.enum else ""
    if shape.type == "timestamp":
        from datetime import datetime

        return datetime(1970, 1, 1)  # noqa: DTZ001 - AWS: printed without a zone
    return _SCALARS.get(shape.type)


_SCALARS: dict[str, Any] = {
    "integer": 0,
    "long": 0,
    "float": 0.0,
    "double": 0.0,
    "boolean": True,
}
