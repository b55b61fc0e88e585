"""
Helm's own engine, in a process of its own: it is a library with threads and signal
handlers that a test run, which forks, had better not load.

    rendered = render(CHART, {"plain": {}, "more": {"replicaCount": 3}})
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

MISSING: Final = (
    ""
    if importlib.util.find_spec("helm_python")
    else "There is no Helm for this platform: pip install helm-python-sdk"
)
RELEASE: Final = "sync"
NAMESPACE: Final = "prod"

_PROGRAM: Final = """
import json, sys
import helm_python as helm
asked = json.load(sys.stdin)
answer = {"lint": helm.lint(asked["chart"])["messages"], "rendered": {}}
answer["archive"] = helm.package(asked["chart"], destination=asked["folder"])
with helm.Chart.load(asked["chart"]) as chart:
    for name, values in asked["values"].items():
        try:
            chart.validate_schema(values)
            given = {"name": asked["release"], "namespace": asked["namespace"]}
            answer["rendered"][name] = chart.render(values, **given)
        except helm.HelmError as error:
            answer["rendered"][name] = {"error": str(error)}
json.dump(answer, sys.stdout)
"""


class Helm:
    """What Helm says of a chart."""

    def __init__(
        self, chart: Path, values: Mapping[str, Mapping[str, Any]], folder: Path
    ) -> None:
        """
        Args:
            values: those to render it with, by a name.
            folder: where the chart is packaged to.
        """
        asked = {"chart": str(chart), "folder": str(folder), "values": values}
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            input=json.dumps(asked | {"release": RELEASE, "namespace": NAMESPACE}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        self.findings: list[dict[str, Any]] = answer["lint"]
        self.archive = Path(answer["archive"])
        self._rendered: dict[str, dict[str, str]] = answer["rendered"]

    def error(self, name: str) -> str:
        """Say why values were refused; empty: they were not."""
        return self._rendered[name].get("error", "")

    def manifests(self, name: str) -> list[dict[str, Any]]:
        """List the objects that come of values."""
        assert not self.error(name), self.error(name)
        texts = self._rendered[name].items()
        read = [
            each
            for file, text in texts
            if file.endswith(".yaml")
            for each in yaml.safe_load_all(text)
        ]
        return [each for each in read if isinstance(each, dict)]

    def notes(self, name: str) -> str:
        """Give what Helm says after an installation."""
        (notes,) = [
            text
            for file, text in self._rendered[name].items()
            if file.endswith("NOTES.txt")
        ]
        return notes

    def one(self, name: str, kind: str, suffix: str = "") -> dict[str, Any]:
        """Give the only object of a kind whose name ends so."""
        (found,) = [
            each
            for each in self.manifests(name)
            if each["kind"] == kind
            and each["metadata"]["name"].endswith(f"millpond{suffix}")
        ]
        return found
