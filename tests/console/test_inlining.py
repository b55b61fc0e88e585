"""Macros that are put in where they are called mean what they mean otherwise."""

from __future__ import annotations

from typing import Any

import jinja2

from millpond.console import inlining, rendering

TEMPLATE = """
{% import "macros.html" as ui %}
{% macro own(row) %}{% call ui.cell("Own") %}{{ row.name }}{% endcall %}{% endmacro %}
{% call(row) ui.table(["Name", "Size"], rows, "Things", "None.", ["Size"]) %}
{% call ui.cell("Name") %}{% set name = row.name %}{{ ui.text(name) }}{% endcall %}
{% call ui.cell("Size", number=true) %}{{ ui.code(row.size) }}{% endcall %}
{{ own(row) }}
{% endcall %}
{% call ui.facts() %}
{% for value in values %}
{% call ui.fact("Fact " ~ value) %}{% call ui.cell(value) %}{{ ui.badge(value) }}
{{ ui.badge(text=value, kind="bad" if loop.first) }}{% endcall %}{% endcall %}
{% endfor %}
{% endcall %}
{{ ui.text(ui.code(values[0])) }} {{ ui.text(values[1]) if values else ui.empty("x") }}
"""
HOSTILE = ["<script>alert(1)</script>", "\"'>{{ 7 * 7 }}", "x" * 3000, "\u202e", ""]


def test_what_is_put_in_says_the_same() -> None:
    """Hostile values as well, in nested calls, with defaults and without."""
    environment = rendering.environment()
    values: dict[str, Any] = {
        "rows": [{"name": each, "size": each} for each in HOSTILE],
        "values": HOSTILE,
    }
    plain = environment.overlay()
    plain.__dict__["_parse"] = lambda source, name, filename: jinja2.Environment._parse(
        plain, source, name, filename
    )

    expected = plain.from_string(TEMPLATE).render(values)
    assert environment.from_string(TEMPLATE).render(values) == expected
    assert "<script>alert" not in expected
    source = environment.compile(TEMPLATE, raw=True)
    for name in ("text", "cell", "badge", "fact"):
        called = f"'{name}'"
        assert source.count(called) < plain.compile(TEMPLATE, raw=True).count(called)


def test_every_macro_that_is_put_in_can_be() -> None:
    """None of them sets a name of its own, which would be left behind."""
    macros = rendering.environment()._macros  # type: ignore[attr-defined]

    assert set(macros) == inlining.INLINED
    for macro in macros.values():
        assert not [*macro.find_all((jinja2.nodes.Assign, jinja2.nodes.For))]
