"""
How Sphinx makes the site of the Markdown in this repository: `make site`.

The pages are files that read well on a code host, and the site has the shape of the
repository: `docs/streams.md` becomes `docs/streams.html`. So a relative link is right
in both places, and pages outside this folder (README.md, those of clients/js) are pages
of the site where they stand. `_site/plain_links.py` does what Markdown cannot say:
tables of contents, from the lists of links in the pages that `contents_pages` names,
and links to files that are no pages.

To add a page: write it, and link it in `docs/index.md`, which is one line. A file
below docs/ that is no page (an HTML page made from the contract, say) needs nothing but
a link in some page: it is copied to the same place in the site.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
MILLPOND = (FOLDER.parent / "src" / "millpond" / "__init__.py").read_text("utf-8")
sys.path.insert(0, str(FOLDER / "_site"))

project = "Millpond"
author = "The Millpond authors"
copyright = author
version = release = re.findall(r"__version__.* = \"(.+)\"", MILLPOND)[0]

extensions = ["myst_parser", "plain_links", "openapi_pages"]

# The source is the repository, so patterns are relative to it. What is excluded is not
# looked into either.
root_doc = "docs/index"
include_patterns = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/**.md",
    "clients/js/**README.md",
    "deploy/**README.md",
    "examples/**README.md",
    "findings/README.md",
]
exclude_patterns = ["**/.*", "**/node_modules", "build", "dist", "**/__pycache__"]

# As a code host does it: `page.md#a-heading` leads there, and a broken one is an error.
myst_heading_anchors = 6
myst_enable_extensions: list[str] = []
contents_pages = ["docs/index", "docs/reference/README", "docs/decisions/README"]
repository_url = "https://github.com/millpond/millpond"

highlight_language = "text"
# A block may leave something out ("..."): it is shown plain then.
suppress_warnings = ["misc.highlighting_failure"]
pygments_style = "friendly"
pygments_dark_style = "github-dark"

html_theme = "furo"
html_title = f"Millpond {version}"
html_static_path = ["_site/static"]
html_css_files = ["millpond.css", "pictures.css"]
html_copy_source = False
html_show_sphinx = False
html_use_index = False
html_domain_indices = False
# Summaries are fetched, which no browser does for a page that was opened from a file.
html_show_search_summary = False
html_search_scorer = str(FOLDER / "_site" / "search-scorer.js")
# Goes to the top of the site; `index.html` there leads to `docs/index.html`.
html_extra_path = ["_site/top"]

linkcheck_timeout = 20
linkcheck_workers = 4
linkcheck_ignore = [
    r"https?://(localhost|127\.0\.0\.1|[\w.-]*example(\.\w+)?)([:/].*)?$"
]
