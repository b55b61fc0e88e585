"""
The settings in the schema of the Helm chart's values.

So Helm refuses what a server would.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Final

from millpond import settings

# From the folder of the reference pages, as everything that is generated.
NAME: Final = "../../deploy/helm/millpond/values.schema.json"
_FILE: Final = Path(__file__).parents[1] / "reference" / NAME
# What the chart sees to, or what has to be in its Secret.
_NOT_OF_THE_CHART: Final = {
    *("data", "store", "listen_store", "secret_key", "hook_secret"),
    *("ephemeral", "port", "init_folder"),
}
_TEXT: Final = {"type": "string"}
_KINDS: Final[dict[str, dict[str, Any]]] = {
    "bool": {"type": "boolean"},
    "str": _TEXT,
    "str | int": {"type": ["string", "integer"]},
    "list[str]": {"type": "array", "items": _TEXT},
    "dict[str, str]": {"type": "object", "additionalProperties": _TEXT},
}
_TABLES: Final = {"type": "object", "additionalProperties": {"type": "object"}}


def made() -> dict[str, str]:
    """Put the settings into the schema as it is; by name, as pages are."""
    schema = json.loads(_FILE.read_text("utf-8"))
    helps = {row.name: row.help for row in settings.table()}
    schema["properties"]["settings"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            each.name: {"description": helps[each.name], **_type(each)}
            for each in dataclasses.fields(settings.Settings)
            if each.name not in _NOT_OF_THE_CHART
        },
    }
    return {NAME: json.dumps(schema, indent=2, ensure_ascii=False) + "\n"}


def _type(each: dataclasses.Field[Any]) -> dict[str, Any]:
    """Word the type of a setting."""
    if each.type == "int":
        bounds = {"minimum": "least", "maximum": "most"}
        given = {key: each.metadata[name] for key, name in bounds.items()}
        return {"type": "integer", **{k: v for k, v in given.items() if v is not None}}
    return _KINDS.get(str(each.type), _TABLES)
