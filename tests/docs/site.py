"""The documents as files, and the site that is built of them."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT: Final = Path(__file__).parents[2]
MARKDOWN: Final = MarkdownIt("commonmark").enable("table")
# What a browser loads by itself, by the attribute that names it.
LOADING: Final = {
    ("audio", "src"),
    ("embed", "src"),
    ("iframe", "src"),
    ("image", "href"),
    ("img", "src"),
    ("img", "srcset"),
    ("input", "src"),
    ("object", "data"),
    ("script", "src"),
    ("source", "src"),
    ("source", "srcset"),
    ("use", "href"),
    ("video", "poster"),
    ("video", "src"),
}
LOADING_RELATIONS: Final = {
    "apple-touch-icon",
    "dns-prefetch",
    "icon",
    "manifest",
    "modulepreload",
    "preconnect",
    "prefetch",
    "preload",
    "stylesheet",
}


def documents() -> list[Path]:
    """Find the Markdown files of the repository, but the fragments of changes."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        names = listed.stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        # No git, an archive without its folder, or a checkout that belongs to another
        # user, which git does not read.
        names = [*_walked()]
    names = [each for each in names if "changelog.d/" not in each]
    return sorted(ROOT / each for each in names if (ROOT / each).is_file())


def _walked() -> Iterator[str]:
    """Look for Markdown in all folders but those that git passes over."""
    ignored = (ROOT / ".gitignore").read_text("utf-8").split()
    passed_over = [".git", *(each.rstrip("/") for each in ignored)]
    for folder, inside, files in os.walk(ROOT):
        inside[:] = [
            name
            for name in inside
            if not any(fnmatch(name, pattern) for pattern in passed_over)
        ]
        for name in files:
            if name.endswith(".md"):
                yield str(Path(folder, name).relative_to(ROOT))


def tokens_of(text: str) -> list[Token]:
    """Read Markdown: its blocks, and behind each what stands in it."""
    found = []
    for token in MARKDOWN.parse(text):
        found += [token, *(token.children or [])]
    return found


def links_of(text: str) -> list[str]:
    """List what a page of Markdown links to and shows, but not what it quotes."""
    named = []
    for token in tokens_of(text):
        if token.type in ("link_open", "image"):
            named.append(token.attrGet("href") or token.attrGet("src"))
        elif token.type in ("html_block", "html_inline"):
            seen = Seen()
            seen.feed(token.content)
            named += [*seen.links, *seen.loads]
    return [str(each) for each in named]


def anchors_of(text: str) -> set[str]:
    """Say what the headings of a page are called on a code host."""
    found: Counter[str] = Counter()
    anchors = set()
    tokens = MARKDOWN.parse(text)
    for opening, heading in pairwise(tokens):
        if opening.type != "heading_open":
            continue
        said = "".join(
            each.content
            for each in heading.children or []
            if each.type in ("text", "code_inline")
        )
        slug = re.sub(r"[^\w\- ]", "", said.strip().lower()).replace(" ", "-")
        anchors.add(f"{slug}-{found[slug]}" if found[slug] else slug)
        found[slug] += 1
    return anchors


def is_elsewhere(url: str) -> bool:
    """Say whether a URL names another host, or is no place at all (`mailto:`)."""
    parts = urlsplit(url)
    return bool(parts.scheme or parts.netloc)


@dataclass
class Seen(HTMLParser):
    """What a page of HTML links to, loads, and can be linked by."""

    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    styles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Set the parser up."""
        super().__init__()
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element names."""
        values: dict[str, Any] = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        self.styles += [values["style"]] if "style" in values else []
        for name, value in values.items():
            if (tag, name) in LOADING and not value.startswith("#"):
                parts = value.split(",") if name == "srcset" else [value]
                self.loads += [each.split()[0] for each in parts if each.strip()]
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "meta" and values.get("http-equiv", "").lower() == "refresh":
            self.links.append(values["content"].partition("url=")[2])
        if tag == "link":
            kinds = set(values.get("rel", "").lower().split())
            (self.loads if kinds & LOADING_RELATIONS else self.links).append(
                values.get("href", "")
            )

    def handle_data(self, data: str) -> None:
        """Note what a style sheet within the page says."""
        if self._in_style:
            self.styles.append(data)
            self._in_style = False


def loads_of_css(text: str) -> list[str]:
    """List what a style sheet loads."""
    bare = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    urls = re.findall(r"""url\(\s*["']?([^"')]+)""", bare)
    return [*urls, *re.findall(r"""@import\s+["']([^"']+)""", bare)]


@dataclass
class Site:
    """A site that was built, by the pages in it."""

    folder: Path
    pages: dict[Path, Seen] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read the pages."""
        for path in sorted(self.folder.rglob("*.html")):
            self.pages[path] = Seen()
            self.pages[path].feed(path.read_text("utf-8"))

    def target(self, page: Path, link: str) -> tuple[Path, str]:
        """Say which file a link of a page leads to, and where in it."""
        parts = urlsplit(link)
        path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        return path / "index.html" if path.is_dir() else path, unquote(parts.fragment)

    def broken(self) -> list[str]:
        """List the links within the site that lead nowhere."""
        found = []
        for page, seen in self.pages.items():
            for link in [*seen.links, *seen.loads]:
                if is_elsewhere(link):
                    continue
                path, anchor = self.target(page, link)
                known = path in self.pages and anchor in self.pages[path].ids
                if not path.is_file() or (anchor and path in self.pages and not known):
                    found.append(f"{page.relative_to(self.folder)}: {link}")
        return found

    def reached(self, start: Path) -> set[Path]:
        """Find the pages that links lead to from one of them."""
        reached, todo = set(), [start]
        while todo:
            page = todo.pop()
            if page in reached or page not in self.pages:
                continue
            reached.add(page)
            for link in self.pages[page].links:
                if not is_elsewhere(link):
                    todo.append(self.target(page, link)[0])
        return reached

    def from_elsewhere(self) -> list[str]:
        """List what pages, styles and scripts would load from another host."""
        found = []
        for page, seen in self.pages.items():
            loads = [*seen.loads, *loads_of_css("\n".join(seen.styles))]
            found += [f"{page.name}: {each}" for each in loads if _far(each)]
        for path in self.folder.rglob("*.css"):
            loads = loads_of_css(path.read_text("utf-8"))
            found += [f"{path.name}: {each}" for each in loads if _far(each)]
        for path in self.folder.rglob("*.js"):
            loads = re.findall(
                r"""(?:import|from|fetch|importScripts|Worker)\s*\(?\s*"""
                r"""["'`]((?:https?:)?//[^"'`]+)""",
                path.read_text("utf-8"),
            )
            found += [f"{path.name}: {each}" for each in loads]
        return found


def _far(url: str) -> bool:
    parts = urlsplit(url.strip())
    return bool(parts.netloc) or parts.scheme not in ("", "data")
