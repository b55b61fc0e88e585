"""
A reader of the JavaScript sources in clients/js: what is exported, and its comments.

The compiler checks these comments as the types of the packages, so they are right; this
reads them without it. It knows the forms that are used there, and no others: `export`
of a function, a class, a constant or names of another file; JSDoc in front of it with
`@param`, `@property`, `@returns`, `@throws`, `@typedef` and `@type`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

_COMMENT: Final = re.compile(r"/\*\*(.*?)\*/", re.DOTALL)
_FROM: Final = re.compile(r"export \{([^}]*)\}(?: from '([^']+)')?")
_TAG: Final = re.compile(r"(?m)^@(\w+)")
_INLINE: Final = re.compile(r" (@(?:internal|param|returns|type)\b)")
_METHOD: Final = re.compile(
    r" {2}(?P<static>static )?(?P<async>async )?(?P<star>\*)?(?P<get>get )?"
    r"(?P<name>\[?[A-Za-z][\w.]*\]?)\((?P<parameters>[^\n]*?)\) \{"
)
_FIELD: Final = re.compile(r" {2}(?P<name>[A-Za-z]\w*) = ")


class Tag(NamedTuple):
    """A tag of a comment: its kind, type, name and words; `?` in front of a name."""

    kind: str
    type: str
    name: str
    text: str


class Doc(NamedTuple):
    """A comment: its text, and its tags in order."""

    text: str
    tags: list[Tag]

    def all(self, *kinds: str) -> list[Tag]:
        """List the tags of some kinds."""
        return [each for each in self.tags if each.kind in kinds]


class Member(NamedTuple):
    """A method, getter or field of a class."""

    name: str
    parameters: str
    kind: str  # "method", "async", "get" or "field"
    doc: Doc


class Export(NamedTuple):
    """
    Something that a package exports.

    Args:
        kind: "function", "class", "constant" or "type".
        base: of a class, empty where it has none.
    """

    name: str
    kind: str
    base: str
    doc: Doc
    members: list[Member]


def parse(comment: str) -> Doc:
    """Take a comment apart."""
    lines = [re.sub(r"^\s*\* ?", "", line) for line in comment.strip().splitlines()]
    written = _INLINE.sub(r"\n\1", "\n".join(lines))
    starts = [each.start() for each in _TAG.finditer(written)]
    text = written[: starts[0]] if starts else written
    bounds = pairwise([*starts, len(written)])
    tags = [_tag(written[start:end]) for start, end in bounds]
    paragraphs = [" ".join(each.split()) for each in text.split("\n\n")]
    return Doc("\n\n".join(filter(None, paragraphs)), tags)


def _tag(written: str) -> Tag:
    kind, _, rest = written[1:].partition(" ")
    kind, rest = kind.strip(), " ".join(rest.split())
    found = ""
    if rest.startswith("{"):
        end = _closing(rest)
        found, rest = rest[1:end].strip(), rest[end + 1 :].strip()
    name = ""
    if kind in ("param", "property", "typedef", "template", "callback"):
        name, _, rest = rest.partition(" ")
        if name.startswith("["):
            name = "?" + name.strip("[]").partition("=")[0]
    return Tag(kind, plain(found), name, rest.strip())


def _closing(text: str) -> int:
    depth = 0
    for at, letter in enumerate(text):
        depth += (letter == "{") - (letter == "}")
        if depth == 0:
            return at
    return len(text) - 1


def plain(kind: str) -> str:
    """Write a type without where it is imported from."""
    return re.sub(r"import\('[^']*'\)\.", "", kind)


def exports(entry: Path) -> Iterator[Export]:
    """Find what a module exports, in the order in which it says so."""
    source = entry.read_text("utf-8")
    for found in _FROM.finditer(source):
        home = (entry.parent / found[2]) if found[2] else entry
        for name in filter(None, (each.strip() for each in found[1].split(","))):
            yield find(name, home)
    for each in re.finditer(
        r"(?m)^export (?:async )?(?:function|class|const) (\w+)", source
    ):
        yield find(each[1], entry)


def find(name: str, file: Path) -> Export:
    """
    Find what has a name in a file.

    Raises:
        LookupError: there is none, or it is said in a form that is not known here.
    """
    source = file.read_text("utf-8")
    form = rf"(?m)^(?:export )?(?:async )?(function|class|const) {name}\b(.*)$"
    found = re.search(form, source)
    if found is None:
        if again := re.search(
            rf"import \{{[^}}]*\b{name}\b[^}}]*\}} from '([^']+)'", source
        ):
            return find(name, file.parent / again[1])
        return Export(name, "type", "", typedef(name, file), [])
    doc = _before(source, found.start())
    if found[1] != "class":
        tells_call = bool(doc.all("param", "returns"))
        is_function = tells_call or (found[1] == "function" and not doc.all("type"))
        return Export(name, "function" if is_function else "constant", "", doc, [])
    base = re.search(r"extends (\w+)", found[2])
    body = source[found.end() :].partition("\n}")[0] if found[2].endswith("{") else ""
    members = [*_members(body)]
    return Export(name, "class", base[1] if base else "", doc, members)


def typedef(name: str, file: Path) -> Doc:
    """
    Find a type that a comment declares: its text, and its properties.

    Raises:
        LookupError: the file declares none of that name.
    """
    for comment in _COMMENT.finditer(file.read_text("utf-8")):
        doc = parse(comment[1])
        for at, tag in enumerate(doc.tags):
            if tag.kind == "typedef" and tag.name == name:
                rest = doc.tags[at + 1 :]
                ends = [i for i, each in enumerate(rest) if each.kind == "typedef"]
                inner = rest[: ends[0]] if ends else rest
                text = tag.text or (doc.text if at == 0 else "")
                return Doc(text, [tag._replace(text=""), *inner])
    raise LookupError(f"{file} has no type called {name}")


def _before(source: str, at: int) -> Doc:
    """Read the comment that ends right before a place."""
    start = source.rfind("/**", 0, at)
    found = _COMMENT.match(source, start) if start >= 0 else None
    if found is None or source[found.end() : at].strip():
        return Doc("", [])
    return parse(found[1])


def _members(body: str) -> Iterator[Member]:
    """Find the public methods, getters and fields of a class that say what they are."""
    for line in re.finditer(r"(?m)^ {2}\S.*$", body):
        doc = _before(body, line.start())
        if found := _METHOD.match(body, line.start()):
            if found["name"] in ("if", "for", "while", "switch", "catch"):
                continue
            kind = "get" if found["get"] else "async" if found["async"] else "method"
            yield Member(found["name"], found["parameters"], kind, doc)
        elif found := _FIELD.match(body, line.start()):
            yield Member(found["name"], "", "field", doc)
