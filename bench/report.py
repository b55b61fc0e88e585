"""The table that people read and the JSON that programs read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from results import Results, Throughput

LOAD_CORE_MAX: Final = 0.9  # above it wrk may have been what was measured


def show(results: Results, conditions: Mapping[str, str]) -> str:
    """Write everything as text."""
    parts = ["\n".join(f"{name}: {value}" for name, value in conditions.items())]
    if results.throughputs:
        parts.append(_throughputs(results.throughputs))
    if results.figures:
        figures = [(f.name, f"{f.value:,.0f}", f.unit) for f in results.figures]
        parts.append(_table(("figure", "value", "unit"), figures))
    if results.comparisons:
        rows = [
            (
                c.name,
                f"{c.value:.2f} {c.unit}",
                "" if c.by_processor is None else f"{c.by_processor:.2f} x",
                c.budget,
                c.verdict,
            )
            for c in results.comparisons
        ]
        head = ("comparison", "value", "by CPU", "budget", "")
        parts.append(_table(head, rows))
    parts += [f"note: {note}" for note in (*results.notes, *_warnings(results))]
    return "\n\n".join(parts)


def _throughputs(throughputs: Sequence[Throughput]) -> str:
    rows = [
        (
            each.name,
            str(each.connections),
            f"{each.rate:,.0f}",
            f"{each.p50_ms:.2f}",
            f"{each.p99_ms:.2f}",
            "?" if each.server_us is None else f"{each.server_us:,.0f}",
            _share(each.server_core),
            _share(each.load_core),
        )
        for each in throughputs
    ]
    head = (
        *("requests", "conn.", "per s", "p50 ms", "p99 ms"),
        *("CPU us", "server core", "wrk core"),
    )
    return _table(head, rows)


def _share(core: float | None) -> str:
    return "?" if core is None else f"{core:.0%}"


def _warnings(results: Results) -> list[str]:
    return [
        f"wrk used {each.load_core:.0%} of its core in '{each.name}'; the server may "
        "be faster than shown"
        for each in results.throughputs
        if each.load_core > LOAD_CORE_MAX
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = []
    for row in (head, ["-" * width for width in widths], *rows):
        first, *rest = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in rest)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def save(results: Results, conditions: Mapping[str, str], file: Path) -> None:
    """Write everything as JSON."""
    document = {
        "conditions": dict(conditions),
        "throughputs": [_throughput(each) for each in results.throughputs],
        "figures": [vars(each) for each in results.figures],
        "comparisons": [
            {**vars(each), "verdict": each.verdict} for each in results.comparisons
        ],
        "notes": results.notes,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _throughput(each: Throughput) -> dict[str, Any]:
    return {
        "name": each.name,
        "connections": each.connections,
        "rate": each.rate,
        "p50_ms": each.p50_ms,
        "p99_ms": each.p99_ms,
        "server_us": each.server_us,
        "server_core": each.server_core,
        "load_core": each.load_core,
        "rounds": [vars(one) for one in each.rounds],
    }
