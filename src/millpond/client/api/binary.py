"""
What bytes are on a command line and in an input: base64, or as they are.

Text alone is looked at. Bytes out of a file that was read with `fileb://`, or out of
YAML, are what they are.

AWS: of version 2, awscli/customizations/binaryformat.py.
"""

from __future__ import annotations

from millpond.client.api.faults import Fault, SettingFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from millpond.client.api.configuration import Configuration
    from millpond.client.api.model import Shape

BASE64: Final = "base64"
_FORMATS: Final = (BASE64, "raw-in-base64-out")


def settle(option: str | None, configuration: Configuration) -> str:
    """
    Settle the form: what the option says, else the setting, else what the ways are.

    Raises:
        SettingFault: the setting names no form.
    """
    form = option
    if form is None:
        form = _text(configuration.profile_or_nothing.get("cli_binary_format"))
    if form is None:
        form = configuration.ways.binary_format
    if form not in _FORMATS:
        # Ours: AWS CLI 2 fails here with an internal error of its language.
        named = " or ".join(f'"{each}"' for each in _FORMATS)
        raise SettingFault(
            f"Unknown cli_binary_format value: {form}, valid values are {named}"
        )
    return form


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def decode(value: Any, shape: Shape) -> Any:
    """
    Decode the base64 of every member that is bytes.

    Raises:
        Fault: it is no base64.
    """
    if shape.type == "structure" and isinstance(value, dict):
        return {
            name: decode(each, shape.members[name]) if name in shape.members else each
            for name, each in value.items()
        }
    if shape.type == "map" and isinstance(value, dict):
        return {name: decode(each, shape.value) for name, each in value.items()}
    if shape.type == "list" and isinstance(value, list):
        return [decode(each, shape.member) for each in value]
    if shape.type == "blob" and isinstance(value, str):
        from base64 import b64decode

        try:
            return b64decode(value)
        except ValueError:
            raise Fault(f'Invalid base64: "{value}"') from None
    return value
