"""The AWS SDKs that speak to a server through a program of their language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from clients.command_process import CommandProcess

SDKS: Final = ("javascript v3", "go v1", "go v2")


class StartSdk(Protocol):
    """Starts one of `SDKS`, with variables of its own; see the fixture `start_sdk`."""

    def __call__(
        self, name: str, environment: Mapping[str, str] = ...
    ) -> CommandProcess: ...
