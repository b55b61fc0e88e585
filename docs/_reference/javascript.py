"""The page of the JavaScript packages, from the comments that are their types."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from _reference import jsdoc
from _reference.jsdoc import Doc, Export, Member, Tag

CLIENTS: Final = Path(__file__).parents[2] / "clients" / "js"
# Package, what is told of it, its modules by the name that they are imported by, and
# the types that an app meets, each in its file.
PACKAGES: Final = (
    (
        "sync",
        "Datasets that work offline, in step with a server. How an app uses it: "
        "[In JavaScript, offline first](../howto/client-javascript.md).",
        {"@millpond/sync": "index.js", "@millpond/sync/encryption": "encryption.js"},
        {
            "sync.js": ("Options", "Sync"),
            "dataset.js": ("Dataset", "Status"),
            "synchronizing.js": ("Report",),
            "merging.js": ("Merge",),
            "codec.js": ("Codec", "Place"),
            "api/call.js": ("ApiOptions",),
            "credentials.js": ("Provider", "BackendToken"),
            "rules/quota.js": ("Limits",),
            "storage/store.js": ("Storage",),
        },
    ),
    (
        "cognito-js-compat",
        "The names of `amazon-cognito-js`; what differs is in its "
        "[README](../../clients/js/cognito-js-compat/README.md). `AWS` and the default "
        "export hold `config`, `CognitoIdentityCredentials` and `CognitoSyncManager`; "
        "`@millpond/cognito-js-compat/global` puts them into the global `AWS`.",
        {"@millpond/cognito-js-compat": "index.js"},
        {},
    ),
    (
        "testing",
        "A server for the tests of apps, for the runner of Node.js: "
        "[Test your sync code in CI](../howto/test-your-app.md).",
        {"@millpond/testing": "index.js"},
        {
            "server.js": ("Options", "Millpond", "Call"),
            "pools.js": ("Pool", "User"),
        },
    ),
)


def made() -> dict[str, str]:
    """Make the page, by file name."""
    return {"javascript.md": "\n".join(page())}


def page() -> Iterator[str]:
    """Describe all packages."""
    yield from ("# The JavaScript packages", "")
    yield (
        "What they export, with its types in TypeScript's words. A `?` stands behind "
        "what may be left out; names that end in `Ms` are milliseconds. "
        "`@millpond/sync/internals` is for these packages alone and may change with "
        "any release."
    )
    for folder, about, modules, types in PACKAGES:
        source = CLIENTS / folder / "src"
        yield from ("", f"## @millpond/{folder}", "", about)
        shown: set[str] = set()
        for module, entry in modules.items():
            found = [*jsdoc.exports(source / entry)]
            names = ", ".join(each.name for each in found)
            yield ""
            statement = f"import {{ {names} }} from '{module}'"
            for line in textwrap.wrap(statement, 84, subsequent_indent="  "):
                yield f"    {line}"
            for each in found:
                shown.add(each.name)
                yield from described(each)
        for file, names in types.items():
            for name in names:
                if name not in shown:
                    yield from described(jsdoc.find(name, source / file))


def described(found: Export) -> Iterator[str]:
    """Describe an export or a type."""
    yield from ("", f"### `{found.name}`", "")
    if found.kind == "function":
        yield from (f"    {found.name}{call(found.doc)}", "")
    if found.base not in ("", "Error"):
        yield from (f"A `{found.base}`.", "")
    if found.kind == "type" and (written := found.doc.tags[0].type) != "object":
        yield from (f"    {written}", "")
    yield sentence(found.doc.text)
    lines = [*tag_lines(found.doc)]
    for member in found.members:
        if not member.doc.all("internal"):
            lines += member_lines(member, is_error=bool(found.base))
    if lines:
        yield from ("", *lines)


def sentence(text: str) -> str:
    """Write what a comment says as a sentence."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", ":")) or not text else f"{text}."


def member_lines(member: Member, *, is_error: bool) -> Iterator[str]:
    """Describe a member of a class."""
    if member.name == "constructor":
        # Apps make none of the errors; what those have stands in their text.
        yield from () if is_error else tag_lines(member.doc)
        return
    is_told = member.doc.text or member.doc.tags
    if member.kind in ("get", "field") and not is_told:
        return
    kinds = member.doc.all("type", "returns")
    if member.kind in ("get", "field"):
        kind = f" (`{kinds[0].type}`)" if kinds and kinds[0].type else ""
        yield f"* `{member.name}`{kind}: {member.doc.text}"
        return
    prefix = "await " if member.kind == "async" else ""
    text = member.doc.text.replace("\n\n", "\n\n  ")
    yield f"* `{prefix}{member.name}{call(member.doc)}`: {text}".rstrip(": ")
    yield from (f"  {line}" for line in tag_lines(member.doc))


def call(doc: Doc) -> str:
    """Write what is called: the parameters, and what comes back."""
    named = [each for each in doc.all("param") if "." not in each.name]
    words = [f"{_name(each)}: {_type(each)}" for each in named]
    back = next((f": {each.type}" for each in doc.all("returns") if each.type), "")
    return f"({', '.join(words)}){back}"


def _name(tag: Tag) -> str:
    return f"{tag.name[1:]}?" if tag.name.startswith("?") else tag.name


def _type(tag: Tag) -> str:
    return "object" if tag.type.startswith("{") and len(tag.type) > 60 else tag.type


def tag_lines(doc: Doc) -> Iterator[str]:
    """List parameters, properties, what comes back and what is thrown."""
    for tag in doc.all("param", "property"):
        kind = f" (`{tag.type}`)" if tag.type else ""
        indent = "  " if "." in tag.name else ""
        name = _name(tag).rpartition(".")[2]
        inner = any(each.name.lstrip("?").startswith(f"{name}.") for each in doc.tags)
        if tag.text or tag.kind == "property" or _type(tag) != tag.type or inner:
            yield f"{indent}* `{name}`{kind}: {tag.text}".rstrip(": ")
    for tag in doc.all("returns"):
        if tag.text:
            yield f"* returns: {tag.text}"
    for tag in doc.all("throws"):
        yield f"* throws `{tag.type}`: {tag.text}".rstrip(": ")
    for tag in doc.all("type"):
        if re.match(r"[A-Z]\w*$", tag.type):
            yield f"* type: `{tag.type}`"
