"""How far the scripts are that run once the server answers (`server.init_scripts`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from millpond.metrics import Metrics

WAITING: Final = "waiting"
RUNNING: Final = "running"
SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
STATES: Final = (WAITING, RUNNING, SUCCEEDED, FAILED)


class InitProgress:
    """Each script and how it does, for the metrics and for who examines the server."""

    def __init__(self, metrics: Metrics) -> None:
        self._gauge = metrics.init_scripts
        self._states: dict[str, str] = {}
        self.failure = ""
        """A sentence; empty: nothing has failed."""
        self._show()

    def begin(self, scripts: Iterable[str]) -> None:
        """Note which there are."""
        self._states = dict.fromkeys(scripts, WAITING)
        self._show()

    def note(self, script: str, state: str) -> None:
        """Note how one does."""
        self._states[script] = state
        self._show()

    def count(self, state: str) -> int:
        """Say how many are in a state."""
        return Counter(self._states.values())[state]

    @property
    def running(self) -> str:
        """The script that runs; empty: none."""
        return next((k for k, v in self._states.items() if v == RUNNING), "")

    def _show(self) -> None:
        for state in STATES:
            self._gauge.labels(state).set(self.count(state))
