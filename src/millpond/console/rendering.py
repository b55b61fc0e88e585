"""Templates, made into bytes: loaded at the first page, from the package itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import jinja2
import jinja2.nodes

from millpond.console import charts, inlining, looks
from millpond.console.base import ROOT, link, segment

_STATIC: Final = Path(__file__).with_name("static")
_TEMPLATES: Final = Path(__file__).with_name("templates")
STATIC_TYPES: Final = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


class _Environment(jinja2.Environment):
    def getattr(self, obj: Any, attribute: str) -> Any:
        """Take `data.items` for what the data calls so, not for a method of dicts."""
        # Of the exact class first: of a page's time, asking an ABC is a tenth.
        if (type(obj) is dict or isinstance(obj, Mapping)) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def _parse(
        self, source: str, name: str | None, filename: str | None
    ) -> jinja2.nodes.Template:
        tree = super()._parse(source, name, filename)
        return tree if name == inlining.MACROS else inlining.inline(tree, self._macros)

    @cached_property
    def _macros(self) -> Mapping[str, jinja2.nodes.Macro]:
        source = (_TEMPLATES / inlining.MACROS).read_text("utf-8")
        return inlining.find_macros(self.parse(source, inlining.MACROS))


@cache
def environment() -> jinja2.Environment:
    """Make what renders templates; everything in them is escaped."""
    made = _Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        auto_reload=False,  # or each page would ask the disk for each template
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "time": looks.time,
        "size": looks.size,
        "count": looks.count,
        "duration": looks.duration,
        "cut": looks.cut,
        "curve": charts.curve,
        "path": segment,
    }
    made.tests["cut"] = looks.is_cut
    made.globals |= {"link": link, "static": static_url, "root": ROOT}
    return made


def render(template: str, **values: Any) -> str:
    """Render a template."""
    return environment().get_template(template).render(**values)


@cache
def read_static(name: str) -> bytes | None:
    """Read one of the files that pages load; None: there is none of the name."""
    return (_STATIC / name).read_bytes() if name in STATIC_TYPES else None


@cache
def static_url(name: str) -> str:
    """Make the URL of such a file; it changes with the content."""
    content = read_static(name)
    assert content is not None, name
    return f"{ROOT}/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"
