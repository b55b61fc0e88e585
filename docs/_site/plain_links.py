"""
Plain links as a code host understands them, for Sphinx: contents, folders, files.

* A page that is named by `contents_pages` gets a table of contents, which makes the
  navigation of the site: its headings of the second level are the parts, the pages that
  are linked in lists below them the entries, in that order.
* A link to a folder leads to the README.md in it, as it does on a code host.
* A link to another file or folder leads to it on the code host (`repository_url`), but
  a file in docs/ is copied to the same place in the site.
"""

from __future__ import annotations

import posixpath
import re
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
HEADING = re.compile(r"^## +(?P<title>.+?) *$")
ENTRY = re.compile(r"^\s*(?:[*+-]|\d+\.) +\[[^]]+\]\((?P<path>[^)#:]+\.md)\)")


def contents(text: str) -> str:
    """Word the tables of contents that the lists of links in a page stand for."""
    parts: list[tuple[str, list[str]]] = [("", [])]
    for line in text.splitlines():
        if heading := HEADING.match(line):
            parts.append((heading["title"], []))
        elif entry := ENTRY.match(line):
            parts[-1][1].append(entry["path"].removesuffix(".md"))
    blocks = []
    for title, paths in parts:
        if paths:
            caption = f":caption: {title}\n" if title else ""
            listed = "\n".join(paths)
            blocks.append(f"```{{toctree}}\n:hidden:\n{caption}\n{listed}\n```\n")
    return "\n".join(blocks)


def add_contents(app: Sphinx, name: str, source: list[str]) -> None:
    """Add the tables of contents to the end of a page."""
    if name in app.config.contents_pages:
        source[0] = f"{source[0]}\n\n{contents(source[0])}"


class PlainLinks(SphinxTransform):
    """Resolve links to what is no page, before Sphinx takes them for downloads."""

    default_priority = 10

    def apply(self, **_kwargs: Any) -> None:
        """Replace them in one document."""
        for kind in (addnodes.download_reference, addnodes.pending_xref):
            for node in list(self.document.findall(kind)):
                if node.get("reftype") == "myst" and node.get("refdomain") != "doc":
                    self._resolve(node)

    def _resolve(self, node: Any) -> None:
        target = node["reftarget"].partition("#")[0]
        if not target:
            return
        folder = posixpath.dirname(self.env.docname)
        path = posixpath.normpath(posixpath.join(folder, target))
        place = Path(self.env.srcdir, path)
        if path.startswith("..") or not place.exists():
            return  # the parser tells of it
        readme = posixpath.normpath(posixpath.join(path, "README"))
        if place.is_dir() and readme in self.env.found_docs:
            node["refdomain"], node["reftarget"] = "doc", readme
            node["reftargetid"] = None
            return
        if place.is_file() and path.startswith("docs/"):
            copied = self.env.metadata[self.env.docname].setdefault("copied_files", [])
            copied.append(path)
            url = posixpath.relpath(path, folder or ".")
        else:
            kind = "tree" if place.is_dir() else "blob"
            url = f"{self.config.repository_url}/{kind}/main/{path}"
        reference = nodes.reference("", "", *node.children, refuri=url)
        reference.source, reference.line = node.source, node.line
        node.replace_self(reference)


def copy_files(app: Sphinx, problem: Exception | None) -> None:
    """Copy the files that pages link to, and that the site therefore has."""
    if problem is not None or app.builder.format != "html":
        return
    for page in app.env.found_docs:
        for path in app.env.metadata[page].get("copied_files", []):
            place = Path(app.outdir, path)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(app.srcdir, path), place)


def setup(app: Sphinx) -> dict[str, Any]:
    """Say what is done when."""
    app.add_config_value("contents_pages", [], "env", [list])
    app.add_config_value("repository_url", "", "env", [str])
    app.connect("source-read", add_contents)
    app.add_transform(PlainLinks)
    app.connect("build-finished", copy_files)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
