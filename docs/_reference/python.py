"""The pages of the Python client and of the fixtures, read from what they are."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec

from _reference.docstrings import parse, section_lines
from millpond import client
from millpond.testing import ephemeral, pytest_plugin

_LINE: Final = (
    84  # a signature that is longer is written with a line for each parameter
)
# What modules share among themselves stands behind a comment, or says so.
_INNER: Final = "For the rest of the library"

# Names of `millpond.client`; those that are told of but not imported from there have
# their module in front.
CLIENT: Final = {
    "Opening": ("open_sync", "open_sync_blocking", "Sync", "AsyncSync"),
    "Datasets": ("Dataset", "AsyncDataset"),
    "Staying in step": ("watching:Watch", "watching:AsyncWatch", "watching:Seen"),
    "What is told": ("Report", "Status", "DatasetStatus"),
    "Who it is": ("guest", "openid", "developer_token", "botocore_session", "fixed"),
    "Where it is kept": ("SQLite", "Memory"),
    "Who is right": ("newest", "mine", "theirs"),
    "Values": ("text", "json", "encrypted", "codecs:Codec", "codecs:Place", "Limits"),
    "Errors": (
        *("SyncError", "CallError", "Unanswered", "Throttled", "ServerTrouble"),
        *("NotAllowed", "Rejected", "ConflictError", "QuotaError", "CodecError"),
        *("NewerVersionError", "DecryptionError", "UnsentError", "StorageError"),
        "ClosedError",
    ),
}
NOTES: Final = {
    "Who it is": "What these give is the `credentials` of `open_sync`.",
    "Where it is kept": "The `storage` of `open_sync`.",
    "Who is right": (
        "The `merge` of `dataset`, which calls it for a record that both sides "
        "changed. A function of the app takes a key and three values, and gives one; "
        "`None`: the record is removed."
    ),
    "Values": "`text`, `json` and `encrypted` are a `codec` of `dataset`.",
    "Errors": "Texts name datasets, keys and counts, never a value.",
}
# They are got from others: nobody makes one.
NOT_MADE: Final = frozenset(
    {
        *("Sync", "AsyncSync", "Dataset", "AsyncDataset", "Watch", "AsyncWatch"),
        *("Pool", "User", "Clock", "Calls", "Call", "Seen", "Codec"),
    }
)


def made() -> dict[str, str]:
    """Make the pages, by file name."""
    told = {name for names in CLIENT.values() for name in names}
    if missing := set(client.__all__) - told:
        raise LookupError(f"docs/_reference/python.py has no place for {missing}")
    return {
        "python-client.md": "\n".join(client_page()),
        "python-testing.md": "\n".join(testing_page()),
    }


def client_page() -> Iterator[str]:
    """Describe all that an app imports from `millpond.client`."""
    yield from ("# The Python client", "")
    yield (
        "What `from millpond.client import …` gives. How an app uses it: "
        "[In Python, offline first](../howto/client-python.md); codecs and limits: "
        "[Values](../values.md). Keyword arguments stand after the `*`; names that end "
        "in `_s` are seconds, in `_ms` milliseconds since 1970."
    )
    for group, names in CLIENT.items():
        yield from ("", f"## {group}")
        if group in NOTES:
            yield from ("", NOTES[group])
        for name in names:
            module, _, short = name.rpartition(":")
            home = import_module(f"millpond.client.{module}") if module else client
            yield from described(short, getattr(home, short))


def testing_page() -> Iterator[str]:
    """Describe the fixtures, and what they give."""
    yield from ("# Fixtures for the tests of apps", "")
    yield (
        "pytest has them where `millpond[testing]` is installed; how they are used: "
        "[Test your sync code in CI](../howto/test-your-app.md)."
    )
    yield from (
        "",
        "## Fixtures",
        "",
        "| fixture | gives | lasts | |",
        "|---|---|---|---|",
    )
    for name, kind, scope, text in fixtures(Path(str(pytest_plugin.__file__))):
        yield f"| `{name}` | `{kind}` | {scope} | {text} |"
    yield from ("", "## What they give")
    for name in ("EphemeralServer", "Pool", "User", "Clock", "Calls", "Call"):
        yield from described(name, getattr(ephemeral, name))


def fixtures(file: Path) -> Iterator[tuple[str, str, str, str]]:
    """Read the fixtures of a module: name, type, how long one lasts, what it is."""
    for node in ast.parse(file.read_text("utf-8")).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if "pytest.fixture" in (written := ast.unparse(decorator)):
                kind = ast.unparse(node.returns) if node.returns else ""
                kind = kind.removeprefix("Iterator[").removesuffix("]")
                scope = "session" if "session" in written else "test"
                kind = f"{kind}]" if "[" in kind else kind
                yield node.name, kind, scope, parse(ast.get_docstring(node)).text


def described(name: str, found: Any) -> Iterator[str]:
    """Describe a function, a class, or an object that is there to be used."""
    yield from ("", f"### `{name}`")
    if inspect.isclass(found):
        yield from of_class(name, found)
        return
    if callable(found) and not hasattr(type(found), "encode"):
        yield from ("", *signature_lines(name, found))
    documented = found if inspect.isroutine(found) else type(found)
    yield from told(documented.__doc__, annotations(found))


def of_class(name: str, found: type) -> Iterator[str]:
    """Describe a class: what it is, how it is made, its attributes and methods."""
    is_error = issubclass(found, Exception)
    is_record = issubclass(found, msgspec.Struct) or hasattr(found, "_fields")
    if not (is_error or is_record or name in NOT_MADE or inspect.isabstract(found)):
        yield from ("", *signature_lines(name, found))
    if is_error and found.__base__ not in (None, Exception):
        yield from ("", f"A `{found.__base__.__name__}`.")
    doc = parse(found.__doc__)
    yield from ("", doc.text)
    lines = [*section_lines(doc, annotations(found)), *members(found)]
    if lines:
        yield from ("", *lines)


def told(text: str | None, types: dict[str, str]) -> Iterator[str]:
    """Write a docstring: its text, then its lists."""
    found = parse(text)
    yield from ("", found.text)
    lines = [*section_lines(found, types)]
    if lines:
        yield from ("", *lines)


def members(found: type) -> Iterator[str]:
    """List the methods and properties that are for apps, those of its bases too."""
    shown: set[str] = set()
    # An error has what its base has, which is described there.
    for home in found.__mro__[:1] if issubclass(found, Exception) else found.__mro__:
        if not home.__module__.startswith("millpond."):
            continue
        inner = inner_line(home)
        for name, member in vars(home).items():
            function = member.fget if isinstance(member, property) else member
            function = getattr(function, "__wrapped__", function)
            if (
                name.startswith("_")
                or name in shown
                or not inspect.isfunction(function)
            ):
                continue
            doc = parse(function.__doc__)
            if function.__code__.co_firstlineno > inner or "rest of the" in doc.text:
                continue
            shown.add(name)
            if isinstance(member, property):
                kind = annotations(function).get("return", "")
                yield f"* `{name}`{f' (`{kind}`)' if kind else ''}: {doc.text}"
            else:
                written = signature(name, function, width=None)
                prefix = "await " if inspect.iscoroutinefunction(function) else ""
                yield f"* `{prefix}{written}`: {nested(doc.text)}"
            yield from (
                f"  {line}" for line in section_lines(doc, annotations(function))
            )


def nested(text: str) -> str:
    """Let further paragraphs stand in the item of a list."""
    return text.replace("\n\n", "\n\n  ")


def inner_line(home: type) -> float:
    """Find the line of a class's module behind which nothing is for apps."""
    lines, first = inspect.getsourcelines(home)
    for number, line in enumerate(lines):
        if line.strip() == f"# {_INNER}":
            return first + number
    return float("inf")


def annotations(found: Any) -> dict[str, str]:
    """Give the types of parameters or attributes as they are written."""
    if inspect.isclass(found):
        made: dict[str, str] = {}
        for home in reversed(found.__mro__):
            if home.__module__.startswith("millpond."):
                made |= _written(home.__init__) if "__init__" in vars(home) else {}
                made |= _written(home)
        return made
    return _written(found)


def _written(found: Any) -> dict[str, str]:
    notes: dict[str, Any] = getattr(found, "__annotations__", {})
    return {name: each for name, each in notes.items() if isinstance(each, str)}


def signature_lines(name: str, found: Any) -> Iterable[str]:
    """Write a signature as a block."""
    return [f"    {line}" for line in signature(name, found).splitlines()]


def signature(name: str, found: Any, width: int | None = _LINE) -> str:
    """Write what is called, in one line or, if it is longer, with one for each word."""
    whole = inspect.signature(found)
    words: list[str] = []
    star = False
    for each in whole.parameters.values():
        if each.name == "self":
            continue
        if each.kind is each.KEYWORD_ONLY and not star:
            words.append("*")
        star = star or each.kind in (each.KEYWORD_ONLY, each.VAR_POSITIONAL)
        words.append(_parameter(each))
    back = whole.return_annotation
    end = f" -> {back}" if isinstance(back, str) and not inspect.isclass(found) else ""
    short = f"{name}({', '.join(words)}){end}"
    if width is None or len(short) <= width:
        return short
    return "\n".join([f"{name}(", *(f"    {each}," for each in words), f"){end}"])


def _parameter(each: inspect.Parameter) -> str:
    stars = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
    note = f": {each.annotation}" if isinstance(each.annotation, str) else ""
    if each.default is each.empty:
        return f"{stars}{each.name}{note}"
    default = "..." if callable(each.default) else repr(each.default)
    return f"{stars}{each.name}{note}{' = ' if note else '='}{default}"
