"""
The published models, as the command line reads them.

Each API's model is derived from its contract by `contract.botocore_model` and kept here
as a file, because reading the file takes a millisecond and deriving the model forty. A
test keeps the two the same; this writes the files anew:

    python -m millpond.client.api.models
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

# command -> the module that holds its contract
CONTRACTS: Final[Mapping[str, str]] = {
    "cognito-sync": "millpond.contract.cognito_sync",
    "cognito-identity": "millpond.contract.cognito_identity",
    "kinesis": "millpond.contract.kinesis",
    "sts": "millpond.contract.sts",
}

# API of our own, which no command is named after -> the module that holds its contract
EXTENSIONS: Final[Mapping[str, str]] = {
    "streaming": "millpond.contract.streaming",
    "examination": "millpond.contract.examination",
    "live": "millpond.contract.live",
}
EXTENDED: Final = "cognito-sync"  # it is called where, and as, this one is


def path_of(name: str) -> str:
    """Where the model of an API is kept."""
    return os.path.join(os.path.dirname(__file__), f"{name}.json")


def read(name: str) -> dict[str, Any]:
    """Read the kept model of an API; derive it when there is none."""
    try:
        with open(path_of(name), encoding="utf-8") as file:
            model: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        return derive(name)
    return model


def derive(name: str) -> dict[str, Any]:
    """Derive the model of an API from its contract."""
    import importlib

    from millpond.contract import botocore_model

    module = importlib.import_module({**CONTRACTS, **EXTENSIONS}[name])
    model = botocore_model.service_model(module.API)
    if name in EXTENSIONS:
        model["metadata"] = derive(EXTENDED)["metadata"]
    return model


def write(name: str) -> None:
    """Derive the model of an API and keep it."""
    text = json.dumps(derive(name), indent=1, ensure_ascii=False)
    with open(path_of(name), "w", encoding="utf-8", newline="\n") as file:
        file.write(f"{text}\n")
