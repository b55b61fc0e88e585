"""Alerts and dashboard ask for metrics that there are, as Prometheus understands it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from millpond.metrics import Metrics
from millpond.testing.deadlines import seconds

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
DASHBOARD = ROOT / "deploy" / "grafana" / "millpond.json"
PAGE = ROOT / "docs" / "monitoring.md"
HISTOGRAM = ("_bucket", "_sum", "_count")
LABELS_OF_PROMETHEUS = {"job", "instance", "le"}


def rules() -> list[dict[str, Any]]:
    """Read the alerts."""
    (group,) = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return list(group["rules"])


def panels() -> list[dict[str, Any]]:
    """Read the panels of the dashboard, without the heads of rows."""
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    return [each for each in dashboard["panels"] if each["type"] != "row"]


def questions() -> list[str]:
    """List everything that is asked of Prometheus."""
    asked = [each["expr"] for each in rules()]
    return asked + [t["expr"] for each in panels() for t in each["targets"]]


def exposed() -> dict[str, set[str]]:
    """Name the series that servers expose, and the labels of each."""
    found: dict[str, set[str]] = {"up": set()}
    for each in Metrics().described:
        suffixes = HISTOGRAM if each.kind == "histogram" else ("",)
        found |= {each.name + suffix: set(each.labels) for suffix in suffixes}
    return found


def test_every_metric_and_label_is_there():
    """What is misspelled would be empty for ever, and never fire."""
    known = exposed()
    asked = 0
    for question in questions():
        names = re.findall(r"\b(?:millpond|process)_\w+|\bup\b", question)
        assert names, question
        assert set(names) <= set(known), question
        allowed = set().union(*(known[each] for each in names), LABELS_OF_PROMETHEUS)
        inside = " ".join(re.findall(r"\{([^}]*)\}", question))
        labels = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", inside)
        grouped = re.findall(r"\bby \(([^)]*)\)", question)
        labels += [each.strip() for group in grouped for each in group.split(",")]
        assert set(labels) <= allowed, question
        asked += 1
    assert asked > 50


def test_names_follow_the_conventions():
    """Counters end in _total, and there are base units alone."""
    other_units = {
        "ms",
        "milliseconds",
        "minutes",
        "kib",
        "mib",
        "kilobytes",
        "percent",
    }
    for each in Metrics().described:
        if each.name.startswith("millpond_"):
            assert (each.kind == "counter") == each.name.endswith("_total"), each.name
            assert not other_units & set(each.name.split("_")), each.name
            assert each.help.endswith("."), each.name


def test_every_alert_is_explained():
    """It says what is wrong, how bad it is, and the page has what to do."""
    told = re.findall(r"^\| `(Millpond\w+)` \| .+ \| .+ \|$", PAGE.read_text(), re.M)

    assert told == [each["alert"] for each in rules()]
    for each in rules():
        assert each["labels"]["severity"] in ("critical", "warning")
        assert each["annotations"]["summary"].endswith(".")


def test_the_dashboard_fits_together():
    """Panels have titles, words and a place of their own on 24 columns."""
    taken: set[tuple[int, int]] = set()
    for each in panels():
        assert each["title"]
        assert each["description"].endswith(".")
        at = each["gridPos"]
        columns = range(at["x"], at["x"] + at["w"])
        place = {(x, y) for x in columns for y in range(at["y"], at["y"] + at["h"])}
        assert columns.stop <= 24
        assert not place & taken, each["title"]
        taken |= place


@pytest.fixture
def promtool() -> str:
    """Prometheus' own checker."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    return found


def run(*words: str, text: str | None = None) -> str:
    """Run a checker, which must be content."""
    done = subprocess.run(
        words,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds(60),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_alerts_fire_when_they_should(promtool, tmp_path):
    """Each of them, by figures that Prometheus evaluates; and is silent before."""
    cases = Path(__file__).parent / "rules_test.yaml"
    for each in (RULES, cases):
        shutil.copy(each, tmp_path)
    tried = set(re.findall(r"alertname: (\w+)\n +exp_alerts", cases.read_text("utf-8")))
    assert tried == {each["alert"] for each in rules()}

    run(promtool, "test", "rules", str(tmp_path / cases.name))


def test_prometheus_understands_the_dashboard(promtool, tmp_path):
    """Every question of it is one, once Grafana has put in its variables."""
    asked = [
        {
            "record": "asked",
            "expr": each.replace("$__rate_interval", "5m").replace("$job", ".*"),
        }
        for each in questions()
    ]
    file = tmp_path / "asked.yaml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": asked}]}))

    run(promtool, "check", "rules", "--lint=none", str(file))


def test_prometheus_takes_what_a_server_exposes(promtool, tmp_path):
    """Its linter finds nothing to say against names, units and help."""
    metrics = Metrics()
    metrics.build_info.labels("1", "3", "sqlite").set(1)
    metrics.requests.observe("ListRecords", 200, 0.01)

    run(promtool, "check", "metrics", text=generate_latest(metrics.registry).decode())
