"""
A page of each OpenAPI document, for the site: Swagger UI, with nothing from elsewhere.

Swagger UI comes out of the package that holds it for Python, and the document stands in
the page, so that it opens from a file as well. A browser cannot sign a request as AWS
wants it, so nothing can be sent from the page.

Swagger UI shows what is in `paths`. Where many operations share one, each of them is
put there for the page, under a path that names it.
"""

from __future__ import annotations

import html
import json
import shutil
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any, Final

from sphinx.application import Sphinx

PAGE: Final = "docs/reference/openapi/README"
ASSETS: Final = ("swagger-ui.css", "swagger-ui-bundle.js")
METHODS: Final = ("get", "post")
FRAME: Final = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$title</title>
<link rel="stylesheet" href="swagger-ui.css">
<style>
body { margin: 0; background: #fff }
main { overflow-x: auto }
nav { font: 1rem sans-serif; padding: 1rem 2rem 0; max-width: 1460px; margin: auto }
</style>
</head>
<body>
<nav><a href="README.html">All documents</a> ·
<a href="$name.json">This one as JSON</a></nav>
<main id="document"></main>
<script src="swagger-ui-bundle.js"></script>
<script type="application/json" id="source">$source</script>
<script>
const ui = SwaggerUIBundle({
  spec: JSON.parse(document.getElementById("source").textContent),
  dom_id: "#document",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  supportedSubmitMethods: [],
  validatorUrl: null,
});
// It follows references from the address of the document, and follows none that is of a
// file. Nothing is fetched: the document is here.
ui.specActions.updateUrl("http://document.invalid/$name.json");
</script>
</body>
</html>
""")


def shown(document: dict[str, Any]) -> dict[str, Any]:
    """Give a document as the page has it: a path for each operation."""
    items = document.get("components", {}).get("pathItems")
    if items is None:
        return document
    paths = {f"/ ({name})": item for name, item in items.items()}
    components = {k: v for k, v in document["components"].items() if k != "pathItems"}
    return {**document, "paths": paths, "components": components}


def page(name: str, document: dict[str, Any]) -> str:
    """Write the page of a document."""
    source = json.dumps(shown(document), separators=(",", ":"))
    return FRAME.substitute(
        title=html.escape(document["info"]["title"]),
        name=name,
        source=source.replace("<", r"\u003c"),
    )


def documents(app: Sphinx) -> dict[str, dict[str, Any]]:
    """Read the documents that the repository has, by name."""
    folder = Path(app.srcdir, PAGE).parent
    return {
        each.stem: json.loads(each.read_text("utf-8"))
        for each in sorted(folder.glob("*.json"))
    }


def write_pages(app: Sphinx, problem: Exception | None) -> None:
    """Write the pages, and what they load."""
    if problem is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir, PAGE).parent
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in documents(app).items():
        (folder / f"{name}.html").write_text(page(name, document), "utf-8")
    static = resources.files("swagger_ui") / "static"
    for name in ASSETS:
        with resources.as_file(static / name) as asset:
            shutil.copyfile(asset, folder / name)


def add_links(
    app: Sphinx, name: str, _template: str, context: dict[str, Any], _tree: Any
) -> None:
    """Link the pages, which only the site has, at the end of the one about them."""
    if name != PAGE:
        return
    links = "".join(
        f'<li><a href="{each}.html">{html.escape(document["info"]["title"])}</a></li>'
        for each, document in documents(app).items()
    )
    context["body"] += f"<section><h2>As pages</h2><ul>{links}</ul></section>"


def setup(app: Sphinx) -> dict[str, Any]:
    """Say what is done when."""
    app.connect("html-page-context", add_links)
    app.connect("build-finished", write_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
