"""
`--generate-cli-skeleton`: the input to be filled in, or a sample of the answer.

AWS: `ArgumentGenerator` of botocore/utils.py. A string is empty in an input and named
after its member in an answer; a number is 0, a boolean true, a time the epoch; a list
has one element, a map one key, "KeyName". What has an enum is one of its values: any in
version 1, the first in version 2.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from millpond.client.api.model import Shape

    Pick = Callable[[Sequence[str]], str]


def any_of(values: Sequence[str]) -> str:
    """Pick any of some values."""
    import random

    return random.choice(values)


def first_of(values: Sequence[str]) -> str:
    """Pick the first of some values."""
    return values[0]


def of_input(shape: Shape, pick: Pick) -> Any:
    """Make the skeleton of an input; `pick` chooses from an enum."""
    return _generate(shape, name=None, pick=pick)


def of_output(shape: Shape | None) -> Any:
    """Make the sample of an answer."""
    return {} if shape is None else _generate(shape, name="", pick=first_of)


def _generate(shape: Shape, *, name: str | None, pick: Pick) -> Any:
    """`name` is what a string is called; `None` leaves strings empty."""
    naming = name is not None
    if shape.type == "structure":
        return {
            member: _generate(each, name=member if naming else None, pick=pick)
            for member, each in shape.members.items()
        }
    if shape.type == "list":
        called = shape.member.name if naming else None
        return [_generate(shape.member, name=called, pick=pick)]
    if shape.type == "map":
        called = "" if naming else None
        return {"KeyName": _generate(shape.value, name=called, pick=pick)}
    if shape.type == "string":
        if naming:
            return name
        return pick(shape.enum) if shape.enum else ""
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
