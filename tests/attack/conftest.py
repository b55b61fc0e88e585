"""Servers to attack."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attack.kit import Target
from millpond.testing.server import RunningServer


@pytest.fixture
def attack(tmp_path: Path) -> Iterator[Callable[..., Target]]:
    """Start a server of one's own; its settings are named."""
    with contextlib.ExitStack() as stack:

        def start(**settings: Any) -> Target:
            spelled = {name: str(value) for name, value in settings.items()}
            server = RunningServer(tmp_path / "data", settings=spelled)
            return Target(stack.enter_context(server))

        yield start
