"""What an administrator wrote, held against the forms of the contract, in words."""

from __future__ import annotations

from typing import Any, Final, get_args

import msgspec

_SHOWN_CHARS_MAX: Final = 60


def why_not(value: str, shape: Any) -> str | None:
    """
    Say why a text cannot be a value of a shape, by the description of that.

    Args:
        shape: of the contract, a text with its constraints.
    Returns:
        A sentence without its full stop; None when it can.
    """
    try:
        msgspec.convert(value, shape)
    except msgspec.ValidationError:
        (described,) = (
            each for each in get_args(shape) if isinstance(each, msgspec.Meta)
        )
        text = (described.description or "").removesuffix(".")
        shown = value if value.isprintable() else repr(value)[1:-1]
        if len(shown) > _SHOWN_CHARS_MAX:
            shown = f"{shown[:_SHOWN_CHARS_MAX]}..."
        return f"'{shown}' is not {text[:1].lower()}{text[1:]}"
    return None
